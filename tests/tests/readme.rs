//! The README is true: its commands do what it shows, its tables name what there is.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::process::Stdio;

use arpguard_common::{verdict::Reason, wire::Mac};
use arpguard_tests::{
    kernel::{tc_hook, veth_hooks},
    lab::{Wire, arpguard},
    server::{pins, real_server},
};

const SHOWN_HOOKS: &str = "xdp-native (multi-buffer), xdp-generic and tcx can attach";
const README: &str = include_str!("../../README.md");

/// The commands in `console` blocks, each with what is shown below it.
fn commands() -> Vec<(&'static str, String)> {
    let blocks = README.split("```console\n").skip(1);
    let blocks = blocks.map(|rest| rest.split("```").next().unwrap());
    let mut commands: Vec<(&str, String)> = Vec::new();
    for line in blocks.flat_map(str::lines) {
        match line.strip_prefix("$ arpguard ") {
            Some(command) => commands.push((command, String::new())),
            None => {
                let (_, output) = commands.last_mut().unwrap();
                *output += line;
                *output += "\n";
            }
        }
    }
    commands
}

#[test]
fn commands_do_what_is_shown() {
    let (server, peer) = real_server();
    for (number, name) in (3_u8..).zip(["eth3", "eth4"]) {
        let mac = Mac([2, 0, 0, 0, number, 0x10]);
        Wire::between((&server, name, mac), (&peer, name, None));
        let address = 8 + number;
        server.sh(&format!("ip addr add 192.168.18.{address}/24 dev {name}"));
    }
    let commands = commands();
    assert!(commands.len() > 5, "{commands:?}");
    for (command, shown) in commands {
        let output = server
            .command(arpguard())
            .args(command.split_whitespace())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let printed = [output.stdout, output.stderr].concat();
        assert_eq!(
            String::from_utf8(printed).unwrap(),
            // Shown as on a kernel with TCX, which tells what drivers have.
            shown
                .replace(SHOWN_HOOKS, &veth_hooks())
                .replace("(tcx)", &format!("({})", tc_hook()))
                .replace("by tcx", &format!("by {}", tc_hook())),
            "arpguard {command}"
        );
    }
}

#[test]
fn every_reason_is_explained_with_what_is_done() {
    let rows: Vec<_> = README
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` | "))
        .filter_map(|(name, rest)| Some((name, rest.split(" | ").next()?)))
        .filter(|(_, done)| {
            [
                "dropped",
                "answered",
                "rewritten",
                "deferred",
                "noted",
                "passed",
            ]
            .contains(done)
        })
        .collect();
    let mut reasons: Vec<_> = Reason::ALL
        .iter()
        .map(|reason| (reason.name(), reason.outcome()))
        .collect();
    let mut rows = rows;
    rows.sort_unstable();
    reasons.sort_unstable();
    assert_eq!(rows, reasons);
}

#[test]
fn options_and_paths_are_those_of_the_command() {
    let (server, _peer) = real_server();
    let help = server.guard("hide --help");
    let options = README.lines().filter_map(|line| line.strip_prefix("| `-"));
    for option in options {
        let option = option.split(['`', ' ']).next().unwrap();
        assert!(help.contains(&format!("-{option}")), "-{option}");
    }
    server.guard("hide 192.168.18.101");
    let pins = pins(&server);
    assert!(
        pins.starts_with("/sys/fs/bpf/arpguard"),
        "{}",
        pins.display()
    );
    assert!(README.contains("`/sys/fs/bpf/arpguard`"));
}
