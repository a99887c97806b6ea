//! Frames that nobody has sent, judged by the programs and with the policy in force.
//!
//! Running an attached program would count the frame, and tell whoever listens. So the programs are
//! loaded once more, over the maps that they read and with maps of their own to write to, and run by
//! `BPF_PROG_TEST_RUN`. What they count there is their verdict.

use std::{borrow::Cow, io};

use arpguard_common::{
    abi::{CLAIM_LEN, HeardSlots, counted, map, program},
    frame::{ETHERTYPE_8021AD, ETHERTYPE_8021Q, TAG_LEN},
    verdict::{Decider, Direction, Reason},
};
use aya::{
    maps::{Array, HashMap, MapError},
    programs::{Program, ProgramError, TestRun as _, TestRunOptions, TestRunResult},
    sys::SyscallError,
};
use nix::errno::Errno;
use serde::{Deserialize, Serialize};

use super::{
    Attached, Datapath, Hook, Ingress,
    hooks::Side,
    maps::{self, CounterMaps, Source},
    object::{self, Object},
    sys,
};
use crate::{
    device::Device,
    error::{Error, Result, errno},
    fault,
};

const RUN: &str = "run the programs on a frame for";
/// How much of a frame is judged, in bytes. Of ARP behind tags the programs read less.
const MOST: usize = 512;
/// Where in a frame the first tag is.
const TAG_AT: usize = 12;

/// Programs of one device, to be run on frames.
pub struct Trial {
    object: Object,
    counters: CounterMaps,
    device: u32,
    direction: Direction,
    /// Where it is attached.
    hook: Hook,
    /// The one that is run.
    program: &'static str,
    is_attached: bool,
}

/// What a program did with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub enum Outcome {
    /// It goes on.
    Passed,
    /// It goes no further.
    Dropped,
    /// It was made the answer, and goes back.
    Answered,
}

/// What came of one frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    /// Who decided, and why; `None` where the program saw no ARP.
    pub verdict: Option<(Decider, Reason)>,
    /// What was done.
    pub outcome: Outcome,
    /// The frame afterwards.
    pub frame: Vec<u8>,
}

impl Datapath {
    /// Loads what is attached to `device` for `direction` once more; `None` where nothing is.
    ///
    /// # Errors
    /// Where the kernel refuses the programs.
    pub fn trial(
        &self,
        device: &Device,
        attached: &Attached,
        direction: Direction,
    ) -> Result<Option<Trial>> {
        let hook = match direction {
            Direction::Received => attached.ingress.map(|ingress| match ingress {
                Ingress::Native | Ingress::Generic => Hook::Xdp,
                Ingress::Tcx | Ingress::Clsact => Hook::Tc(Side::Ingress),
            }),
            Direction::Sent => attached.egress.map(|_| Hook::Tc(Side::Egress)),
        };
        hook.map(|hook| self.load_trial(device, hook, direction))
            .transpose()
    }

    fn load_trial(&self, device: &Device, hook: Hook, direction: Direction) -> Result<Trial> {
        let tried =
            |cause: &(dyn std::error::Error + 'static)| Error::from_cause(RUN, &device.name, cause);
        let attached = self.programs.of(hook);
        let names: &[&str] = match hook {
            Hook::Xdp => &[attached.name, program::TC_INGRESS],
            Hook::Tc(_) => &[attached.name],
        };
        let mut object = object::load_beside(&self.maps, names)?;
        let loaded = object.program(attached.name).map(Program::fd);
        let is_attached = match loaded {
            Some(Ok(fd)) => sys::identify(fd).map_err(|cause| tried(&cause))?.1 == attached.tag,
            Some(Err(_)) | None => false,
        };
        self.copy_claims(&mut object, device)?;
        let mut counters = CounterMaps::take(&mut Source(|name: &str, _| object.take_map(name)))?;
        counters
            .clear(device.index)
            .map_err(|cause| tried(cause.as_ref()))?;
        Ok(Trial {
            object,
            counters,
            device: device.index,
            direction,
            hook,
            program: attached.name,
            is_attached,
        })
    }
}

impl Datapath {
    /// Who claims what is read by programs and written: they get a copy.
    fn copy_claims(&self, object: &mut Object, device: &Device) -> Result<()> {
        let tried =
            |cause: &(dyn std::error::Error + 'static)| Error::from_cause(RUN, &device.name, cause);
        let refused = |cause: MapError| tried(&cause);
        let mut heard: Array<_, HeardSlots> =
            object.map_mut(map::HEARD)?.try_into().map_err(refused)?;
        maps::look_for_any(&mut heard).map_err(refused)?;
        let mut copy: HashMap<_, [u8; 8], [u8; CLAIM_LEN]> =
            object.map_mut(map::CLAIMS)?.try_into().map_err(refused)?;
        for (key, claim) in self.maps.claims()? {
            copy.insert(key.to_bytes(), claim.to_bytes(), 0)
                .map_err(|cause| tried(&cause))?;
        }
        Ok(())
    }
}

impl Trial {
    /// The program that is run, by name.
    pub const fn program(&self) -> &'static str {
        self.program
    }

    /// Whether it has the very instructions of the one that is attached. It has not where another
    /// build's is, or where the kernel runs XDP on no frame for this device (before Linux 5.15 on
    /// none at all) and the TC hook's is run in its place, which judges alike.
    pub const fn is_attached(&self) -> bool {
        self.is_attached
    }

    /// Runs it on a frame, of which it needs no more than an Ethernet header.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn run(&mut self, frame: &[u8]) -> Result<Ran> {
        let device = self.device;
        let tried = |cause: &(dyn std::error::Error + 'static)| {
            Error::from_cause(RUN, format!("device {device}"), cause)
        };
        let whole = frame.get(..MOST).unwrap_or(frame);
        let (code, left) = match self.start(&self.as_seen(whole)) {
            Err(cause) if self.is_xdp() && errno(&cause) == Some(Errno::EINVAL) => {
                (self.program, self.is_attached) = (program::TC_INGRESS, false);
                self.start(&self.as_seen(whole))
            }
            ran => ran,
        }
        .map_err(|cause| tried(&cause))?;
        let verdict = self.counted()?;
        if verdict.is_some() {
            self.counters
                .clear(device)
                .map_err(|cause| tried(cause.as_ref()))?;
        }
        let outcome = self.outcome(code).ok_or_else(|| {
            let why = format!("{} returned {}", self.program, code.cast_signed());
            tried(&io::Error::other(why))
        })?;
        let frame = match (outcome, self.direction) {
            // A program that passes a received frame leaves it as it is, its outermost tag too.
            (Outcome::Passed, Direction::Received) | (Outcome::Dropped, _) => frame.to_vec(),
            (Outcome::Passed, Direction::Sent) => {
                let rest = frame.get(whole.len()..).unwrap_or_default();
                [&left, rest].concat()
            }
            (Outcome::Answered, _) => left,
        };
        Ok(Ran {
            verdict,
            outcome,
            frame,
        })
    }

    /// The frame as the hook gets it: at the TC ingress hook, the kernel has taken the outermost tag
    /// out of the bytes. One that names a VLAN stays, since a test run can tell of none beside them.
    fn as_seen<'a>(&self, frame: &'a [u8]) -> Cow<'a, [u8]> {
        let tag = frame.get(TAG_AT..TAG_AT + TAG_LEN);
        let Some([kind @ .., high, low]) = tag.and_then(<[u8]>::first_chunk::<TAG_LEN>) else {
            return frame.into();
        };
        let is_tag = [ETHERTYPE_8021Q, ETHERTYPE_8021AD].contains(&u16::from_be_bytes(*kind));
        let is_priority = high & 0x0f == 0 && *low == 0;
        if self.hook == Hook::Tc(Side::Ingress) && is_tag && is_priority {
            let (before, rest) = frame.split_at(TAG_AT);
            let behind = rest.get(TAG_LEN..).unwrap_or_default();
            return [before, behind].concat().into();
        }
        frame.into()
    }

    fn is_xdp(&self) -> bool {
        matches!(self.program, program::XDP | program::XDP_FRAGS)
    }

    /// What the program returned, and what it left of the frame.
    fn start(&self, frame: &[u8]) -> Result<(u32, Vec<u8>), ProgramError> {
        let context = self.context(frame.len());
        let mut left = vec![0; frame.len() + MOST];
        let options = TestRunOptions {
            data_in: Some(frame),
            data_out: Some(&mut left),
            ctx_in: Some(&context),
            ..TestRunOptions::new()
        };
        let TestRunResult {
            return_value,
            data_size_out,
            ..
        } = match self.object.program(self.program) {
            Some(Program::Xdp(program)) => fault::step("run/xdp", || program.test_run(options))?,
            Some(Program::SchedClassifier(program)) => program.test_run(options)?,
            Some(_) | None => return Err(ProgramError::NotLoaded),
        };
        left.truncate(data_size_out as usize);
        Ok((return_value, left))
    }

    /// The context of a frame of this length on the device.
    fn context(&self, length: usize) -> Vec<u8> {
        let mut words = [0; 11];
        let used: &[u32] = if self.is_xdp() {
            // struct xdp_md: data, data_end, data_meta, ingress_ifindex, rx_queue_index,
            // egress_ifindex
            words[1] = length as u32;
            words[3] = self.device;
            &words[..6]
        } else {
            // struct __sk_buff: ifindex is its eleventh word.
            words[10] = self.device;
            &words
        };
        used.iter().flat_map(|word| word.to_ne_bytes()).collect()
    }

    /// The verdict that was counted.
    fn counted(&self) -> Result<Option<(Decider, Reason)>> {
        let totals = self
            .counters
            .totals(self.device)
            .map_err(|cause| maps::unreadable(map::COUNTERS, &cause))?;
        let mut cells = (0..totals.len())
            .filter(|cell| totals[*cell] != 0)
            .filter_map(counted);
        // A change of who claims an address is counted beside the verdict.
        Ok(cells.find(|(_, reason)| *reason != Reason::FlipFlop))
    }

    fn outcome(&self, code: u32) -> Option<Outcome> {
        // XDP_PASS, XDP_DROP and XDP_TX.
        const XDP: [u32; 3] = [2, 1, 3];
        // TC_ACT_UNSPEC, which leaves the verdict to the next program, TC_ACT_SHOT and
        // TC_ACT_REDIRECT.
        const TC: [u32; 3] = [u32::MAX, 2, 7];
        let [passed, dropped, answered] = if self.is_xdp() { XDP } else { TC };
        match code {
            _ if code == passed => Some(Outcome::Passed),
            _ if code == dropped => Some(Outcome::Dropped),
            _ if code == answered => Some(Outcome::Answered),
            _ => None,
        }
    }
}

impl fault::Refusal for ProgramError {
    fn of(io_error: io::Error) -> Self {
        let call = "bpf";
        Self::from(SyscallError { call, io_error })
    }
}
