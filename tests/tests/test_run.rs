//! The table of cases through the pinned programs, by `BPF_PROG_TEST_RUN`.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on panics, also outside of #[test]"
)]

use arpguard_common::abi::{map, program};
use arpguard_tests::{
    cases::{Case, Direction, cases, is_reply},
    fixture::{Device, RealServer},
    lab::{Release, kernel, lacks},
    pins::{Count, Pins},
};
use aya::programs::{ProgramError, SchedClassifier, TestRun, TestRunOptions, TestRunResult, Xdp};
use aya_obj::programs::XdpAttachType;
use nix::net::if_::if_nametoindex;

/// What a program may return.
struct Codes {
    pass: u32,
    drop: u32,
    answer: u32,
}

const XDP: Codes = Codes {
    pass: 2,
    drop: 1,
    answer: 3,
};

/// TC_ACT_UNSPEC, which leaves the verdict to the next program, TC_ACT_SHOT and TC_ACT_REDIRECT.
const TC: Codes = Codes {
    pass: u32::MAX,
    drop: 2,
    answer: 7,
};

enum Program {
    Xdp(Xdp),
    Tc(SchedClassifier),
}

impl Program {
    fn open(pins: &Pins, name: &str) -> Self {
        let path = pins.program(name);
        let opened = match name {
            program::XDP | program::XDP_FRAGS => {
                Xdp::from_pin(&path, XdpAttachType::Interface).map(Self::Xdp)
            }
            _ => SchedClassifier::from_pin(&path).map(Self::Tc),
        };
        opened.unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    fn codes(&self) -> Codes {
        match self {
            Self::Xdp(_) => XDP,
            Self::Tc(_) => TC,
        }
    }

    fn run(&self, options: TestRunOptions<'_>) -> Result<TestRunResult, ProgramError> {
        match self {
            Self::Xdp(program) => program.test_run(options),
            Self::Tc(program) => program.test_run(options),
        }
    }

    /// The context of a frame on a device.
    fn context(&self, frame: &[u8], device: u32) -> Vec<u8> {
        let length = u32::try_from(frame.len()).unwrap();
        match self {
            // struct xdp_md: data, data_end, data_meta, ingress_ifindex, rx_queue_index,
            // egress_ifindex
            Self::Xdp(_) => words(&[0, length, 0, device, 0, 0]),
            // struct __sk_buff: ifindex is its eleventh word
            Self::Tc(_) => words(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, device]),
        }
    }
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

/// What came of one case, where it is not what the table says.
fn try_case(program: &Program, pins: &Pins, case: &Case, device: u32) -> Result<(), String> {
    let counters = pins.counters();
    let before = counters.read(device);
    let context = program.context(&case.frame, device);
    let mut out = vec![0; 256];
    let result = program
        .run(TestRunOptions {
            data_in: Some(&case.frame),
            data_out: Some(&mut out),
            ctx_in: Some(&context),
            ..TestRunOptions::new()
        })
        .map_err(|error| format!("{error:?}"))?;
    out.truncate(usize::try_from(result.data_size_out).unwrap());
    let counted = counters.read(device).since(before);

    let codes = program.codes();
    let code = match &case.out {
        Some(_) if case.is_answered() => codes.answer,
        Some(_) => codes.pass,
        None => codes.drop,
    };
    if result.return_value != code {
        let got = result.return_value.cast_signed();
        return Err(format!("returned {got}, not {}", code.cast_signed()));
    }
    let right = match &case.out {
        Some(reply) if case.is_answered() => is_reply(&out, reply),
        Some(frame) => out == *frame,
        // Of what is dropped not a byte was changed either.
        None => out == case.frame,
    };
    if !right {
        return Err(format!("left {out:02x?}, not {:02x?}", case.out));
    }
    if let (Program::Xdp(_), true) = (program, case.is_answered())
        && out.len() != case.frame.len()
    {
        return Err(format!("answered with {} bytes", out.len()));
    }
    let mut expected = Count::ZERO;
    expected.add(case.judged.counter());
    if counted != expected {
        return Err(format!("counted {counted:?}, not {expected:?}"));
    }
    Ok(())
}

fn run(name: &str, direction: Direction) {
    let server = RealServer::new();
    // A device takes part in a test run of XDP once its driver has rings for it.
    server.guard("--attach native");
    let pins = Pins::of(&server.host);
    let program = Program::open(&pins, name);
    let wrong: Vec<String> = server.host.enter(|| {
        let index = |device: Device| if_nametoindex(device.name()).unwrap();
        cases()
            .iter()
            .filter(|case| case.direction == direction)
            .filter_map(|case| {
                let wrong = try_case(&program, &pins, case, index(case.device)).err()?;
                Some(format!("{}\n  {:02x?}\n  {wrong}", case.name, case.frame))
            })
            .collect()
    });
    let count = wrong.len();
    assert!(wrong.is_empty(), "{count} are wrong:\n{}", wrong.join("\n"));
}

/// A test run of XDP on a device of one's choice.
const XDP_RUN: (&str, Release) = ("a context for a test run of XDP", (5, 14));
/// Frames in several buffers.
const FRAGS: (&str, Release) = ("multi-buffer XDP", (5, 18));

#[test]
fn xdp_for_several_buffers_does_what_the_table_says() {
    if lacks(FRAGS.0, FRAGS.1) {
        return;
    }
    run(program::XDP_FRAGS, Direction::Received);
}

#[test]
fn xdp_for_one_buffer_does_what_the_table_says() {
    if lacks(XDP_RUN.0, XDP_RUN.1) {
        return;
    }
    run(program::XDP, Direction::Received);
}

#[test]
fn the_ingress_hook_does_what_the_table_says() {
    run(program::TC_INGRESS, Direction::Received);
}

#[test]
fn the_egress_hook_does_what_the_table_says() {
    run(program::TC_EGRESS, Direction::Sent);
}

#[test]
fn every_program_is_pinned_and_so_is_every_map() {
    let server = RealServer::new();
    server.guard("");
    let pins = Pins::of(&server.host);
    let mut programs = vec![program::XDP, program::TC_INGRESS, program::TC_EGRESS];
    if kernel() >= FRAGS.1 {
        programs.push(program::XDP_FRAGS);
    }
    programs.sort_unstable();
    assert_eq!(pins.list("programs"), programs);
    let maps = pins.list("maps");
    for name in [
        map::SHAPE,
        map::ADDRESSES,
        map::PREFIXES,
        map::LOCAL,
        map::DEVICES,
        map::COUNTERS,
    ] {
        assert!(maps.iter().any(|map| map == name), "{name} in {maps:?}");
    }
}
