//! A command does all of what it was told, or nothing, whatever happens to it.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    fmt::Write as _,
    io::Write as _,
    net::Ipv4Addr,
    process::{Child, Stdio},
    thread,
    time::Duration,
};

use arpguard_tests::{
    lab::{Namespace, arpguard, fewer, unhurried},
    server::{pins, real_server},
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

fn hide(server: &Namespace, addresses: &str) -> Child {
    let mut child = server
        .command(arpguard())
        .args(["hide", "-", "--rip", "192.168.18.10"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(addresses.as_bytes())
        .unwrap();
    child
}

/// So many one beside the other: those of a /24 are written as one.
fn many(count: u32) -> String {
    apart(count, [10, 64, 0, 0], 1)
}

/// So many of which each is written by itself.
fn scattered(count: u32) -> String {
    apart(count, [11, 0, 0, 0], 64)
}

fn apart(count: u32, first: [u8; 4], step: u32) -> String {
    let first = u32::from_be_bytes(first);
    (0..count).fold(String::new(), |mut text, number| {
        writeln!(text, "{}", Ipv4Addr::from_bits(first + number * step)).unwrap();
        text
    })
}

#[test]
fn commands_at_the_same_time_wait_for_each_other() {
    let (server, _peer) = real_server();
    thread::scope(|scope| {
        for number in 0..16 {
            let server = &server;
            scope.spawn(move || {
                for round in 0..4 {
                    server.guard(&format!("hide 10.1.{number}.{round}"));
                }
                server.guard(&format!("unhide 10.1.{number}.3"));
            });
        }
    });
    let list = server.guard("list");
    assert_eq!(list.lines().count(), 1 + 16 * 3, "{list}");
    assert!(
        server
            .guard("status")
            .starts_with("rules for 48 addresses and 0 prefixes; ")
    );
}

/// Killed at many moments: before, while and after the rules are written. Whenever that is, either
/// all of the addresses are hidden or none.
#[test]
fn a_command_that_is_killed_has_done_all_or_nothing() {
    let (server, _peer) = real_server();
    server.guard("hide 192.168.18.101 --rip 192.168.18.10");
    let before = server.guard("list");
    let (mut nothing, mut all) = (0, 0);
    let count = fewer(40_000);
    let addresses = many(count / 2) + &scattered(count - count / 2);
    // Until it has had the time to finish a few times, however slow the machine.
    for pause in (0..20_000)
        .step_by(8)
        .map(|pause| unhurried(Duration::from_millis(pause)))
    {
        let mut child = hide(&server, &addresses);
        thread::sleep(pause);
        child.kill().unwrap();
        child.wait().unwrap();
        let status = server.guard("-o json status");
        if status.contains(&format!("\"addresses\": {},", count + 1)) {
            all += 1;
            server.guard("flush");
            server.guard("hide 192.168.18.101 --rip 192.168.18.10");
        } else {
            nothing += 1;
        }
        assert_eq!(server.guard("list"), before, "killed after {pause:?}");
        if all > 2 {
            break;
        }
    }
    assert!(
        nothing > 0 && all > 0,
        "nothing {nothing} times, all {all} times"
    );
}

#[test]
fn a_command_that_is_interrupted_says_so_and_has_done_nothing() {
    let (server, _peer) = real_server();
    server.guard("hide 192.168.18.101 --rip 192.168.18.10");
    let before = server.guard("list");
    // So many that it still writes when the signal comes, however slow the machine.
    let addresses = scattered(fewer(300_000).max(100_000));
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let child = hide(&server, &addresses);
        // Its journal's pin says that it is writing.
        let journal = pins(&server).join("journal");
        while !journal.exists() {
            thread::yield_now();
        }
        kill(Pid::from_raw(child.id().try_into().unwrap()), signal).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(
            (
                output.status.code(),
                String::from_utf8(output.stderr).unwrap()
            ),
            (
                Some(1),
                "arpguard: change the policy: interrupted: a signal asked arpguard to end, and \
                 nothing was changed\n"
                    .to_owned()
            )
        );
        assert_eq!(server.guard("list"), before);
    }
}

#[test]
fn a_full_table_is_told_and_nothing_is_changed() {
    let (server, _peer) = real_server();
    server.guard("hide 192.168.18.101 --rip 192.168.18.10");
    let before = server.guard("list");
    let first = u32::from_be_bytes([10, 64, 0, 0]);
    let prefixes = (0..=1 << 16).fold(String::new(), |mut text, number| {
        let address = Ipv4Addr::from_bits(first + number * 2);
        writeln!(text, "{address}/31").unwrap();
        text
    });
    let output = hide(&server, &prefixes).wait_with_output().unwrap();
    assert_eq!(
        (
            output.status.code(),
            String::from_utf8(output.stderr).unwrap()
        ),
        (
            Some(1),
            "arpguard: write a rule: 10.66.0.0/31: there is room for 65536 prefixes, all taken; \
             hide fewer, or make room with `arpguard unhide`\n"
                .to_owned()
        )
    );
    assert_eq!(server.guard("list"), before);
    assert!(
        server
            .guard("status")
            .starts_with("rules for 1 address and 0 prefixes; ")
    );
}

#[test]
fn a_million_addresses() {
    let million = fewer(1_000_000);
    let (server, _peer) = real_server();
    let output = hide(&server, &many(million)).wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(server.guard("list").lines().count(), 1 + million as usize);
    let last = Ipv4Addr::from_bits(u32::from_be_bytes([10, 64, 0, 0]) + million - 1);
    server.guard(&format!("unhide 10.64.0.0 {last}"));
    assert!(server.guard("status").starts_with(&format!(
        "rules for {} addresses and 0 prefixes; ",
        million - 2
    )));
    server.guard("flush");
    assert_eq!(server.guard("list"), "no policy is in force here\n");
}

#[test]
fn a_vip_that_cannot_be_added_is_not_hidden_either() {
    let (server, _peer) = real_server();
    server.guard("hide 192.168.18.101 --rip 192.168.18.10");
    let before = server.guard("list");
    // IPv4 leaves a device whose MTU is smaller than 68 bytes, and no address can be added there.
    server.sh("ip link set lo mtu 60");
    let output = server.arpguard(&["hide", "10.0.0.1", "10.0.0.2", "--add-to", "lo"]);
    let message = "arpguard: add 10.0.0.1 to: lo: No buffer space available\n";
    assert_eq!(output.stderr, message);
    assert_eq!(output.status.code(), Some(1), "{output}");
    assert_eq!(server.guard("list"), before);
    assert!(!server.sh("ip addr show").contains("10.0.0."));
}
