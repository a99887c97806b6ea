//! The table of cases through the pinned programs, by `BPF_PROG_TEST_RUN`.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on panics, also outside of #[test]"
)]

use arpguard_common::abi::{map, program};
use arpguard_tests::{
    cases::{Case, Direction, cases, is_reply},
    fixture::{Device, RealServer},
    kernel::{Feature, lacks},
    pins::{Count, Pins},
    programs::{Program, xdp},
};
use nix::net::if_::if_nametoindex;

/// What came of one case, where it is not what the table says.
fn try_case(program: &Program, pins: &Pins, case: &Case, device: u32) -> Result<(), String> {
    let counters = pins.counters();
    let before = counters.read(device);
    let mut out = vec![0; 256];
    let ran = program
        .run(&case.frame, device, &mut out)
        .map_err(|error| format!("{error:?}"))?;
    out.truncate(ran.length);
    let counted = counters.read(device).since(before);

    let codes = program.codes();
    let code = match &case.out {
        Some(_) if case.is_answered() => codes.answer,
        Some(_) => codes.pass,
        None => codes.drop,
    };
    if ran.code != code {
        let got = ran.code.cast_signed();
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

/// Of the second run, what is hidden and pinned to one device finds others of its rule and joins them.
fn run(name: &str, direction: Direction) {
    for pools in [&[][..], POOLS] {
        run_beside(pools, name, direction);
    }
}

/// Eight addresses each of which no case is about.
const POOLS: &[&str] = &["hide @ --rip 192.168.18.10", "pin @ --dev eth1"];

fn run_beside(pools: &[&str], name: &str, direction: Direction) {
    let server = RealServer::new();
    for (pool, line) in pools.iter().enumerate() {
        let of = |last: usize| format!("192.168.18.{}", 200 + pool * 8 + last);
        let addresses = (0..8).map(of).collect::<Vec<_>>().join(" ");
        server.host.guard(&line.replace('@', &addresses));
    }
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

#[test]
fn xdp_does_what_the_table_says() {
    if lacks(Feature::XdpContext) {
        return;
    }
    run(xdp(), Direction::Received);
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
    let mut programs = [xdp(), program::TC_INGRESS, program::TC_EGRESS];
    programs.sort_unstable();
    assert_eq!(pins.list("programs"), programs);
    let maps = pins.list("maps");
    for name in [
        map::SHAPE,
        map::ADDRESSES,
        map::BLOCKS,
        map::PREFIXES,
        map::LOCAL,
        map::LOW_DEVICES,
        map::DEVICES,
        map::LOW_COUNTERS,
        map::COUNTERS,
    ] {
        assert!(maps.iter().any(|map| map == name), "{name} in {maps:?}");
    }
}
