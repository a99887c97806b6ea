//! `promote` and `demote`: what the commands say and do, and what outlives what.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::net::Ipv4Addr;

use arpguard_common::wire::Mac;
use arpguard_tests::{
    arp::{self, Frame},
    http::{fault, get},
    lab::{Namespace, Output, Port, Wire},
    pins::Pins,
    running::{Agent, Directory, eventually},
};
use nix::sys::signal::Signal;

const OWN: [Mac; 2] = [Mac([2, 0, 0, 0, 0, 0x10]), Mac([2, 0, 0, 0, 1, 0x10])];
const PEER: Mac = Mac([2, 0, 0, 0, 0, 0x81]);
const CLIENT: Ipv4Addr = Ipv4Addr::new(192, 168, 18, 129);
const RIP: Ipv4Addr = Ipv4Addr::new(192, 168, 18, 10);
const VIP: Ipv4Addr = Ipv4Addr::new(192, 168, 18, 101);
const NOBODY: [Ipv4Addr; 0] = [];
const SILENCE: [Frame; 0] = [];
const IN_PREFIX: Ipv4Addr = Ipv4Addr::new(192, 168, 19, 7);

/// A host with 192.168.18.10 on `eth0`, 10.0.0.10 on `eth1` and VIPs on `lo`, and what is at the
/// other ends.
fn host() -> (Namespace, Namespace) {
    let (host, peer) = (Namespace::new("host"), Namespace::new("peer"));
    for (name, mac) in ["eth0", "eth1"].into_iter().zip(OWN) {
        Wire::between((&host, name, mac), (&peer, name, None));
    }
    host.sh("ip addr add 192.168.18.10/24 dev eth0");
    host.sh("ip addr add 10.0.0.10/24 dev eth1");
    for vip in ["192.168.18.101", "192.168.18.102", "192.168.19.7"] {
        host.sh(&format!("ip addr add {vip}/32 dev lo"));
    }
    (host, peer)
}

fn told(host: &Namespace, line: &str) -> (Option<i32>, String) {
    let output = host.arpguard(&line.split_whitespace().collect::<Vec<_>>());
    let Output {
        status,
        stdout,
        stderr,
    } = output;
    assert_eq!(stdout, "", "arpguard {line}");
    (status.code(), stderr)
}

fn wrong(host: &Namespace, line: &str, status: i32, message: &str) {
    let before = host.guard("list");
    let expected = (Some(status), format!("arpguard: {message}\n"));
    assert_eq!(told(host, line), expected, "arpguard {line}");
    assert_eq!(host.guard("list"), before, "arpguard {line}");
}

/// What is listed, without its head.
fn rows(host: &Namespace) -> Vec<String> {
    let list = host.guard("list");
    let rows = list.lines().skip(1);
    let words = rows.map(|row| row.split_whitespace().collect::<Vec<_>>().join(" "));
    words.collect()
}

/// Which addresses are answered for on a port, before the one that always is.
fn answered(port: &Port, always: Ipv4Addr) -> Vec<Ipv4Addr> {
    port.drain();
    for target in [VIP, IN_PREFIX, always] {
        port.send(&arp::request(PEER, CLIENT, target).bytes());
    }
    let reply = |frame: &[u8]| Frame::read(frame).filter(|arp| arp.op == arp::REPLY);
    let until = port.until(|frame| reply(frame).is_some_and(|arp| arp.spa == always));
    until
        .iter()
        .filter_map(|frame| reply(frame).map(|arp| arp.spa))
        .collect()
}

/// What is said of `ip` by a host with this hardware address: a request and a reply.
fn announcements(mac: Mac, ip: Ipv4Addr) -> [Frame; 2] {
    let reply = Frame {
        tha: mac,
        ..arp::announcing_reply(mac, ip)
    };
    [arp::announcement(mac, ip), reply]
}

fn heard(port: &Port) -> Vec<Frame> {
    let frames = port.drain();
    frames
        .iter()
        .map(|frame| Frame::read(frame).unwrap())
        .collect()
}

#[test]
fn a_vip_is_answered_for_and_announced_until_it_is_demoted() {
    let (host, peer) = host();
    host.guard("hide 192.168.18.101 --rip 192.168.18.10 --shield");
    host.guard("hide 192.168.19.0/24");
    let port = Port::open(&peer, "eth0");
    let before = rows(&host);
    for _ in 0..2 {
        assert_eq!(answered(&port, RIP), NOBODY);
        // Told twice, it is announced twice.
        for _ in 0..2 {
            port.drain();
            host.guard("promote 192.168.18.101");
            assert_eq!(heard(&port), vec![announcements(OWN[0], VIP); 5].concat());
            assert_eq!(answered(&port, RIP), [VIP]);
        }
        host.guard("promote 192.168.19.7 --dev eth0 --count 2 --interval 0");
        let said = heard(&port);
        assert_eq!(said, vec![announcements(OWN[0], IN_PREFIX); 2].concat());
        assert_eq!(answered(&port, RIP), [VIP, IN_PREFIX]);
        let promoted = [
            "hide 192.168.18.101 every 192.168.18.10 shield promoted",
            "hide 192.168.19.0/24 every auto -",
            "hide 192.168.19.7 eth0 auto promoted",
        ];
        assert_eq!(rows(&host), promoted);
        for _ in 0..2 {
            host.guard("demote 192.168.18.101 192.168.19.7");
            assert_eq!(rows(&host), before);
        }
        assert_eq!(heard(&port), SILENCE);
    }
}

#[test]
fn of_several_devices_it_is_answered_for_on_those_that_are_named() {
    let (host, peer) = host();
    host.sh("ip addr del 192.168.19.7/32 dev lo");
    host.guard("hide 192.168.18.101");
    let ports = ["eth0", "eth1"].map(|name| Port::open(&peer, name));
    let other = Ipv4Addr::new(10, 0, 0, 10);
    let answers = || [answered(&ports[0], RIP), answered(&ports[1], other)];
    host.guard("promote 192.168.18.101 --dev eth1 --count 1");
    assert_eq!(heard(&ports[0]), SILENCE);
    assert_eq!(heard(&ports[1]), announcements(OWN[1], VIP));
    assert_eq!(answers(), [vec![], vec![VIP]]);
    host.guard("demote 192.168.18.101 --dev eth1");
    assert_eq!(answers(), [NOBODY; 2]);
    host.guard("promote 192.168.18.101 --dev eth0 --dev eth1 --count 1");
    for (port, mac) in ports.iter().zip(OWN) {
        assert_eq!(heard(port), announcements(mac, VIP));
    }
    assert_eq!(answers(), [[VIP], [VIP]]);
    host.guard("demote 192.168.18.101 --dev eth0");
    assert_eq!(
        rows(&host),
        [
            "hide 192.168.18.101 every auto -",
            "hide 192.168.18.101 eth1 auto promoted"
        ]
    );
    host.guard("demote 192.168.18.101");
    assert_eq!(rows(&host), ["hide 192.168.18.101 every auto -"]);
    // Everywhere, and announced in its subnet alone.
    host.guard("promote 192.168.18.101 --count 1");
    assert_eq!(heard(&ports[0]), announcements(OWN[0], VIP));
    assert_eq!(heard(&ports[1]), SILENCE);
    assert_eq!(answers(), [[VIP], [VIP]]);
    host.guard("demote 192.168.18.101");
    // Where it is itself, if it is.
    host.sh("ip addr add 192.168.18.101/32 dev eth1");
    host.guard("promote 192.168.18.101 --count 1");
    assert_eq!(heard(&ports[0]), SILENCE);
    assert_eq!(heard(&ports[1]), announcements(OWN[1], VIP));
    host.guard("demote 192.168.18.101");
    // Nobody knows which one is meant.
    host.sh("ip addr del 192.168.18.101/32 dev eth1");
    host.sh("ip addr add 192.168.18.11/24 dev eth1");
    let message = "promote: 192.168.18.101: it could be announced on eth0, eth1; \
                   name the device that shall answer, with --dev";
    wrong(&host, "promote 192.168.18.101", 1, message);
    host.guard("promote 192.168.18.101 --count 0");
    assert_eq!(rows(&host), ["hide 192.168.18.101 every auto promoted"]);
}

#[test]
fn what_makes_no_sense_is_told_in_one_line_and_changes_nothing() {
    let (host, peer) = host();
    let not_hidden = "promote: 192.168.18.101: it is not hidden here; hide it first, so that it can \
                      be demoted";
    wrong(&host, "promote 192.168.18.101", 1, not_hidden);
    assert_eq!(
        host.guard("status"),
        "arpguard is not loaded in this network namespace\n"
    );
    host.guard("hide 192.168.18.102 --dev eth1");
    host.guard("hide 192.168.19.0/24");
    host.guard("pin 192.168.18.101 --dev eth1");
    host.guard("promote 192.168.19.7 --count 0");
    for (line, status, message) in [
        (
            "promote 192.168.18.0/24",
            2,
            "promote: 192.168.18.0/24: only single addresses are promoted",
        ),
        (
            "demote 192.168.18.0/24",
            2,
            "demote: 192.168.18.0/24: only single addresses are demoted",
        ),
        (
            "promote 192.168.18.103",
            1,
            "promote: 192.168.18.103: this host does not have the address; use --force if the LAN \
             is to believe it all the same",
        ),
        (
            "promote 192.168.18.10",
            1,
            "promote: 192.168.18.10: it is not hidden here; hide it first, so that it can be \
             demoted",
        ),
        // All of it, or nothing.
        (
            "promote 192.168.18.10 192.168.18.102",
            1,
            "promote: 192.168.18.10: it is not hidden here; hide it first, so that it can be \
             demoted",
        ),
        (
            "promote 192.168.18.102 --dev eth0",
            1,
            "promote: 192.168.18.102: it is not hidden on eth0; hide it first, so that it can be \
             demoted",
        ),
        (
            "promote 192.168.18.101",
            1,
            "promote: 192.168.18.101: it is pinned to eth1, not hidden; \
             `arpguard announce 192.168.18.101 --dev eth1` tells the LAN where it is",
        ),
        (
            "promote 192.168.18.102 --dev lo",
            1,
            "announce on: lo: it is the loopback device, which speaks no ARP",
        ),
        (
            "demote 192.168.18.103",
            1,
            "demote: 192.168.18.103: it is not hidden here; `arpguard hide 192.168.18.103` hides it",
        ),
        (
            "demote 192.168.19.7 --dev eth0",
            1,
            "demote: 192.168.19.7: it is promoted on every device; `arpguard demote 192.168.19.7`, \
             then promote it on those that shall answer",
        ),
        (
            "demote 192.168.19.7 --dev eth9",
            1,
            "find the device: eth9: there is no such device; there are lo, eth0, eth1",
        ),
        (
            "pin 192.168.19.7 --dev eth0",
            1,
            "pin: 192.168.19.7: it is promoted on every device; `arpguard demote 192.168.19.7` first",
        ),
        (
            "unhide 192.168.19.7",
            1,
            "unhide: 192.168.19.7: it is not hidden there; it is one of 192.168.19.0/24, which is: \
             unhide that",
        ),
        (
            "hide 192.168.18.103 --rip 192.168.19.7",
            1,
            "use as RIP: 192.168.19.7: it is hidden itself; it could be 192.168.18.10 (eth0), \
             10.0.0.10 (eth1)",
        ),
    ] {
        wrong(&host, line, status, message);
    }
    // Nobody would hear, so nobody is told to answer.
    peer.sh("ip link set eth1 down");
    let message = "announce on: eth1: it has no carrier, so nobody would hear";
    wrong(&host, "promote 192.168.18.102 --dev eth1", 1, message);
    // To be silent takes no carrier.
    host.guard("promote 192.168.18.102 --count 0");
    host.guard("demote 192.168.18.102");
}

#[test]
fn a_rip_is_not_what_will_be_hidden_again() {
    let (host, _peer) = host();
    host.sh("ip addr add 192.168.18.12/24 dev eth0");
    host.guard("hide 192.168.18.12");
    host.guard("promote 192.168.18.12 --count 0");
    let message = "use as RIP: 192.168.18.12: it is hidden itself; it could be 192.168.18.10 \
                   (eth0), 10.0.0.10 (eth1)";
    wrong(&host, "hide 192.168.18.101 --rip 192.168.18.12", 1, message);
}

#[test]
fn other_orders_end_it() {
    let (host, _peer) = host();
    host.guard("hide 192.168.18.101 192.168.19.0/24");
    let hidden = rows(&host);
    let promote = || {
        host.guard("promote 192.168.18.101 192.168.19.7 --count 0");
        host.guard("promote 192.168.19.7 --dev eth0 --count 0");
    };
    for (line, after) in [
        ("hide 192.168.18.101 192.168.19.0/24", hidden.clone()),
        ("hide 192.168.0.0/16 --dev eth0 --audit", Vec::new()),
        ("unhide 192.168.18.101 192.168.19.0/24", Vec::new()),
        ("flush", Vec::new()),
    ] {
        promote();
        host.guard(line);
        if line.contains("/16") {
            // What is hidden on one device is hidden there, and what is promoted elsewhere stays so.
            assert_eq!(
                rows(&host)
                    .iter()
                    .filter(|row| row.contains("eth0"))
                    .count(),
                1
            );
            assert_eq!(
                rows(&host)
                    .iter()
                    .filter(|row| row.contains("promoted"))
                    .count(),
                2
            );
            host.guard("unhide 192.168.0.0/16");
            continue;
        }
        assert_eq!(rows(&host), after, "{line}");
        host.guard("hide 192.168.18.101 192.168.19.0/24");
        assert_eq!(rows(&host), hidden, "{line}");
    }
    // Hidden on every device, it is so on the one that it was promoted on.
    host.guard("promote 192.168.18.101 --dev eth1 --count 0");
    host.guard("hide 192.168.18.101");
    assert_eq!(rows(&host), hidden);
}

#[test]
fn files_say_what_is_hidden_and_not_who_is_the_director() {
    let (host, _peer) = host();
    let directory = Directory::new("promoted");
    let file = directory.write(
        "policy.toml",
        "[[hide]]\nip = ['192.168.18.101', '192.168.19.0/24']\nrip = '192.168.18.10'\n",
    );
    host.guard(&format!("apply {file}"));
    let saved = host.guard("save");
    host.guard("promote 192.168.18.101 192.168.19.7 --count 0");
    let promoted = rows(&host);
    assert_eq!(
        promoted
            .iter()
            .filter(|row| row.ends_with(" promoted"))
            .count(),
        2
    );
    assert_eq!(
        host.guard(&format!("apply --dry-run {file}")),
        "nothing to do\n"
    );
    host.guard(&format!("apply {file}"));
    assert_eq!(rows(&host), promoted);
    assert_eq!(host.guard("save"), saved);
    let status = host.guard("status");
    let first = "rules for 1 address and 1 prefix, 2 promoted; pinned at ";
    assert!(status.starts_with(first), "{status}");

    let file = directory.write(
        "policy.toml",
        "[[hide]]\nip = '192.168.19.0/24'\nshield = true\n",
    );
    let plan = "\
~ hide 192.168.19.0/24 sender auto shield
~ hide 192.168.19.7 sender auto shield promoted
- hide 192.168.18.101 sender 192.168.18.10 promoted
";
    assert_eq!(host.guard(&format!("apply --dry-run {file}")), plan);
    host.guard(&format!("apply {file}"));
    let rest = [
        "hide 192.168.19.0/24 every auto shield",
        "hide 192.168.19.7 every auto shield promoted",
    ];
    assert_eq!(rows(&host), rest);
}

#[test]
fn it_outlives_agents_their_files_and_other_builds() {
    let (host, peer) = host();
    host.guard("hide 192.168.18.101 192.168.19.0/24");
    host.guard("promote 192.168.18.101 192.168.19.7 --count 0");
    let promoted = rows(&host);
    let port = Port::open(&peer, "eth0");
    let directory = Directory::new("outlives");
    let text = "[[hide]]\nip = ['192.168.18.101', '192.168.19.0/24']\n";
    let file = directory.write("policy.toml", text);
    let run = || {
        let agent = Agent::start(&host, &["--config", &file, "--metrics", "9817"]);
        eventually("all is well", || fault(&host).is_none());
        agent
    };
    let holds = |why: &str| {
        assert_eq!(rows(&host), promoted, "{why}");
        assert_eq!(answered(&port, RIP), [VIP, IN_PREFIX], "{why}");
    };
    for signal in [Signal::SIGKILL, Signal::SIGTERM] {
        let agent = run();
        holds("an agent has started");
        let metrics = get(&host, "/metrics").body;
        assert!(
            metrics.contains("\narpguard_promoted_addresses 2\n"),
            "{metrics}"
        );
        agent.signal(Signal::SIGHUP);
        // As keepalived does; and something that the agent has to do.
        host.sh("ip addr add 192.168.18.101/32 dev eth0");
        directory.write(
            "policy.toml",
            &format!("{text}[[hide]]\nip = '192.168.18.103'\n"),
        );
        eventually("the file is followed", || {
            rows(&host).len() == promoted.len() + 1
        });
        directory.write("policy.toml", text);
        eventually("and followed back", || rows(&host) == promoted);
        host.sh("ip addr del 192.168.18.101/32 dev eth0");
        eventually("all is well", || fault(&host).is_none());
        holds("an agent has worked");
        agent.end(signal);
        holds("it has ended");
        Pins::of(&host).pretend_another_build();
        holds("another build was there");
    }
    let agent = run();
    host.guard("demote 192.168.18.101 192.168.19.7");
    assert_eq!(answered(&port, RIP), NOBODY);
    agent.end(Signal::SIGTERM);
}
