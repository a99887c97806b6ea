//! The judge on the host against the programs in the kernel, on policies and frames that are drawn.
//!
//! Both are made of the same source, but by two compilers' backends, over other tables, and by
//! programs that read and write frames in their own way. [`tables`] draws what the maps hold and
//! [`frames`] what comes; [`expected`] says by the judge on the host what has to come of a frame,
//! and the programs are run on it.

pub mod expected;
pub mod frames;
pub mod maps;
pub mod tables;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use arpguard_common::{
    abi::{counter, program},
    verdict::Reason,
    wire::Mac,
};
use nix::net::if_::if_nametoindex;

use self::{
    expected::{Done, Expected, Hook},
    frames::Frames,
    maps::Maps,
    tables::Drawn,
};
use crate::{
    dice::Dice,
    fixture::{Device, RealServer},
    kernel::{Feature, has},
    pins::{Count, CountersMap, Pins},
    programs::{self, Program},
};

/// How many frames are drawn for one policy.
pub const ROUND: u64 = 500;

/// The longest frame that a test run takes in one buffer of 4096 bytes, beside what the kernel keeps
/// there for itself.
const ONE_BUFFER: usize = 3400;

/// The programs, the hook that each is for, and what a kernel has to have to run it on a frame.
fn hooked() -> [(&'static str, Hook, Option<Feature>); 3] {
    [
        (programs::xdp(), Hook::Xdp, Some(Feature::XdpContext)),
        (program::TC_INGRESS, Hook::TcIngress, None),
        (program::TC_EGRESS, Hook::TcEgress, None),
    ]
}

/// What programs were tried on.
#[derive(Debug)]
pub struct Tried {
    /// What was counted.
    pub counted: Count,
    /// How often programs ran.
    pub runs: u64,
    /// What was done, where, behind how many tags.
    pub done: BTreeSet<(Hook, Done, usize)>,
}

impl Tried {
    /// Nothing.
    pub const NOTHING: Self = Self {
        counted: Count::ZERO,
        runs: 0,
        done: BTreeSet::new(),
    };

    /// Adds more of it.
    pub fn add(&mut self, more: Self) {
        self.counted.add_all(more.counted);
        self.runs += more.runs;
        self.done.extend(more.done);
    }
}

/// The programs of one real server.
pub struct Bench {
    server: RealServer,
    kernel: Kernel,
}

/// What is in the kernel.
struct Kernel {
    programs: Vec<(&'static str, Hook, Program)>,
    maps: Maps,
    counters: CountersMap,
    devices: Vec<(u32, Mac)>,
}

impl Bench {
    /// Loads the programs, for the devices of a real server, where nothing else is sent. `say` is
    /// told of each that this kernel does not run on a frame.
    ///
    /// # Panics
    ///
    /// Where that fails.
    pub fn new(say: impl Fn(&str)) -> Self {
        let server = RealServer::new();
        // What it hides is written over; a test run of XDP takes devices with native XDP alone.
        server
            .host
            .guard("hide 192.0.2.1 --rip auto --attach native");
        let pins = Pins::of(&server.host);
        let index = |device: Device| server.host.enter(|| if_nametoindex(device.name()));
        let devices = Device::ALL.map(|device| (index(device).unwrap(), device.mac()));
        let mut programs = Vec::new();
        for (name, hook, feature) in hooked() {
            match feature.filter(|feature| !has(*feature)) {
                Some(lacking) => say(&format!(
                    "{name} is not tried: this kernel has no {lacking}"
                )),
                None => programs.push((name, hook, Program::open(&pins, name))),
            }
        }
        Self {
            kernel: Kernel {
                programs,
                maps: Maps::open(&pins),
                counters: pins.counters(),
                devices: devices.to_vec(),
            },
            server,
        }
    }

    /// Whether some program is tried that is for this hook.
    pub fn tries(&self, hook: Hook) -> bool {
        let mut programs = self.kernel.programs.iter();
        programs.any(|(_, tried, _)| *tried == hook)
    }

    /// Draws a policy and [`ROUND`] frames, and tries each on every program.
    ///
    /// # Errors
    /// What differs: the frame, the policy, what has to come of it and what came.
    pub fn round(&mut self, dice: &Dice) -> Result<Tried, String> {
        let Self { server, kernel } = self;
        // Devices are looked for in the namespace of the thread.
        server.host.enter(|| {
            kernel
                .round(dice.clone(), false)
                // Once more, to find the frame; or the frame alone is no trouble.
                .map_err(|all| kernel.round(dice.clone(), true).err().unwrap_or(all))
        })
    }
}

impl Kernel {
    /// Looks at the counters after `each` frame, or at the end.
    fn round(&mut self, mut dice: Dice, each: bool) -> Result<Tried, String> {
        let drawn = Drawn::draw(&mut dice, &self.devices);
        self.maps.write(&drawn);
        let mut frames = Frames::new(&self.devices, &drawn);
        let mut tried = Tried::NOTHING;
        let mut expected = BTreeMap::<u32, Count>::new();
        let mut before = self.counted();
        for _ in 0..ROUND {
            let (device, _) = dice.one_of(&self.devices);
            let frame = frames.draw(&mut dice, device);
            for (name, hook, program) in &self.programs {
                if !is_taken(name, *hook, &frame) {
                    continue;
                }
                let told = |wrong: String| tell(name, device, &frame, &drawn, &wrong);
                let should = Expected::of(*hook, &frame, &drawn, device);
                run(program, &frame, device, &should).map_err(told)?;
                expected
                    .entry(device)
                    .or_insert(Count::ZERO)
                    .add(should.counter);
                if let Some((watched_by, address, mac)) = should.claim
                    && drawn.hear(device, address, mac)
                {
                    let change = counter(watched_by, Reason::FlipFlop);
                    expected
                        .entry(device)
                        .or_insert(Count::ZERO)
                        .add(Some(change));
                }
                tried.runs += 1;
                tried.done.insert((*hook, should.done, should.tags));
                if each {
                    self.compare(&before, &expected).map_err(told)?;
                    (before, expected) = (self.counted(), BTreeMap::new());
                }
            }
        }
        self.compare(&before, &expected)?;
        for count in expected.into_values() {
            tried.counted.add_all(count);
        }
        Ok(tried)
    }

    fn counted(&self) -> BTreeMap<u32, Count> {
        let read = |(device, _): &(u32, Mac)| (*device, self.counters.read(*device));
        self.devices.iter().map(read).collect()
    }

    fn compare(
        &self,
        before: &BTreeMap<u32, Count>,
        expected: &BTreeMap<u32, Count>,
    ) -> Result<(), String> {
        for (device, now) in self.counted() {
            let counted = now.since(before[&device]);
            let should = expected.get(&device).copied().unwrap_or(Count::ZERO);
            if counted != should {
                return Err(format!(
                    "device {device} counted {counted:?}, not {should:?}"
                ));
            }
        }
        Ok(())
    }
}

/// Whether a test run takes a frame (`net/bpf/test_run.c`). A socket buffer has to be longer than a
/// header, and one that says that it is IP has to have IP's header too.
fn is_taken(program: &str, hook: Hook, frame: &[u8]) -> bool {
    let behind = match frame.get(12..14) {
        Some([0x08, 0x00]) => 20,
        Some([0x86, 0xdd]) => 40,
        _ => 1,
    };
    match hook {
        Hook::Xdp => frame.len() <= ONE_BUFFER || program == program::XDP_FRAGS,
        Hook::TcIngress | Hook::TcEgress => (14 + behind..=ONE_BUFFER).contains(&frame.len()),
    }
}

/// Runs a program on a frame.
fn run(program: &Program, frame: &[u8], device: u32, should: &Expected) -> Result<(), String> {
    let mut out = vec![0; frame.len() + 64];
    let ran = program
        .run(frame, device, &mut out)
        .map_err(|error| format!("it cannot be run: {error:?}"))?;
    out.truncate(ran.length);
    let codes = program.codes();
    let code = match should.done {
        Done::Pass | Done::Rewrite => codes.pass,
        Done::Drop => codes.drop,
        Done::Answer => codes.answer,
    };
    if ran.code != code {
        let (got, code) = (ran.code.cast_signed(), code.cast_signed());
        return Err(format!("returned {got}, not {code}: {}", should.verdict));
    }
    if out != should.left {
        let (is, should) = (hex(&out), hex(&should.left));
        return Err(format!("left\n  {is}, not\n  {should}"));
    }
    Ok(())
}

fn tell(program: &str, device: u32, frame: &[u8], drawn: &Drawn, wrong: &str) -> String {
    let frame = hex(frame);
    format!("{program} on device {device}, given\n  {frame}\n{wrong}\nwith {drawn:#?}")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
