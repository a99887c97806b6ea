//! `arpguard announce`: which frames are sent, and what is refused.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on panics, also outside of #[test]"
)]

use std::net::Ipv4Addr;

use arpguard_common::wire::Mac;
use arpguard_tests::{
    arp::{self, Frame},
    lab::{Namespace, Port, patience},
    server::real_server,
};

const OWN: Mac = Mac([2, 0, 0, 0, 0, 0x10]);
const RIP: Ipv4Addr = Ipv4Addr::new(192, 168, 18, 10);
const VIP: Ipv4Addr = Ipv4Addr::new(192, 168, 18, 101);

/// What is said of `ip` at `mac`, in a frame from this host: a request and a reply.
fn announcements(mac: Mac, ip: Ipv4Addr) -> [Frame; 2] {
    let reply = Frame {
        tha: mac,
        ..arp::announcing_reply(mac, ip)
    };
    [arp::announcement(mac, ip), reply].map(|frame| Frame {
        source: OWN,
        ..frame
    })
}

fn heard(port: &Port) -> Vec<Frame> {
    let frames = port.drain();
    frames
        .iter()
        .map(|frame| Frame::read(frame).unwrap())
        .collect()
}

/// Runs it; gives its exit status and what it wrote to standard error.
fn announce(host: &Namespace, line: &str) -> (Option<i32>, String) {
    let words: Vec<_> = line.split_whitespace().collect();
    let output = host.arpguard(&words);
    assert_eq!(output.stdout, "", "{line}");
    (output.status.code(), output.stderr)
}

fn refused(status: i32, message: &str) -> (Option<i32>, String) {
    (Some(status), format!("arpguard: {message}\n"))
}

const DONE: (Option<i32>, String) = (Some(0), String::new());

#[test]
fn requests_and_replies_are_sent_as_often_as_is_asked_for() {
    let (server, peer) = real_server();
    server.sh("ip addr add 192.168.18.101/32 dev lo");
    let port = Port::open(&peer, "eth0");
    assert_eq!(announce(&server, "announce 192.168.18.10 --dev eth0"), DONE);
    assert_eq!(heard(&port), vec![announcements(OWN, RIP); 5].concat());
    let line = "announce 192.168.18.101 192.168.18.10 --dev eth0 --count 2 --interval 0";
    assert_eq!(announce(&server, line), DONE);
    let both = [announcements(OWN, RIP), announcements(OWN, VIP)].concat();
    assert_eq!(heard(&port), [both.clone(), both].concat());
    // What somebody else has, by order.
    let other = Mac([2, 0, 0, 0, 0, 0x02]);
    let line = format!("announce 192.168.18.2 --mac {other} --dev eth0 --count 1");
    let why = "announce: 192.168.18.2: this host does not have the address; use --force if the \
               LAN is to believe it all the same";
    assert_eq!(announce(&server, &line), refused(1, why));
    assert_eq!(announce(&server, &format!("{line} --force")), DONE);
    let ip = Ipv4Addr::new(192, 168, 18, 2);
    assert_eq!(heard(&port), announcements(other, ip));
}

#[test]
fn the_frames_are_those_of_arping() {
    let (server, peer) = real_server();
    let port = Port::open(&peer, "eth0");
    let arping = |form: &str| {
        server.sh(&format!("arping {form} -q -c 1 -w 1 -I eth0 192.168.18.10"));
        let frame = port.receive(patience()).unwrap();
        port.drain();
        Frame::read(&frame).unwrap()
    };
    let request = Frame {
        // arping fills in what RFC 5227 has left at zero; nobody reads it in a request.
        tha: Mac::default(),
        ..arping("-U")
    };
    assert_eq!([request, arping("-A")], announcements(OWN, RIP));
}

#[test]
fn peers_believe_it() {
    let (server, peer) = real_server();
    peer.sh("ip addr add 192.168.18.1/24 dev eth0");
    peer.sh("ip neigh replace 192.168.18.10 lladdr 02:00:00:00:00:99 nud stale dev eth0");
    assert_eq!(announce(&server, "announce 192.168.18.10 --dev eth0"), DONE);
    let entry = peer.sh("ip neigh show to 192.168.18.10 dev eth0");
    assert!(entry.contains(&format!("lladdr {OWN}")), "{entry}");
}

#[test]
fn what_is_hidden_is_not_announced_and_that_is_told() {
    let (server, peer) = real_server();
    server.guard("hide 192.168.18.101 --rip 192.168.18.10 --add-to lo");
    server.guard("hide 192.168.19.0/24 --audit");
    server.sh("ip addr add 192.168.19.1/32 dev lo");
    let port = Port::open(&peer, "eth0");
    let why = "announce: 192.168.18.101: it is hidden on eth0; \
               `arpguard unhide 192.168.18.101` first";
    let line = "announce 192.168.18.10 192.168.18.101 --dev eth0";
    assert_eq!(announce(&server, line), refused(1, why));
    assert_eq!(
        announce(&server, &format!("{line} --force")),
        refused(1, why)
    );
    // Nothing of it was sent, and what is merely audited is.
    let line = "announce 192.168.19.1 --dev eth0 --count 1";
    assert_eq!(announce(&server, line), DONE);
    assert_eq!(heard(&port), announcements(OWN, [192, 168, 19, 1].into()));
    server.guard("unhide 192.168.18.101");
    let line = "announce 192.168.18.101 --dev eth0 --count 1";
    assert_eq!(announce(&server, line), DONE);
    assert_eq!(heard(&port), announcements(OWN, VIP));
}

#[test]
fn wrong_input_is_told_in_one_line_and_nothing_is_sent() {
    let (server, peer) = real_server();
    let port = Port::open(&peer, "eth0");
    for (line, status, message) in [
        (
            "announce 192.168.18.10",
            2,
            "read the arguments: --dev IF: it is required; see `arpguard announce --help`",
        ),
        (
            "announce 192.168.18.0/24 --dev eth0",
            2,
            "announce: 192.168.18.0/24: only single addresses are announced",
        ),
        (
            "announce 224.0.0.18 --dev eth0",
            2,
            "announce: 224.0.0.18: multicast addresses are not resolved by ARP",
        ),
        (
            "announce 192.168.18.10 --dev eth0 --interval=-1",
            2,
            "read the arguments: --interval -1: not a number of seconds from 0 to 3600; \
             see `arpguard announce --help`",
        ),
        (
            "announce 192.168.18.10 --dev eth0 --interval NaN",
            2,
            "read the arguments: --interval NaN: not a number of seconds from 0 to 3600; \
             see `arpguard announce --help`",
        ),
        (
            "announce 192.168.18.10 --dev eth0 --count 0",
            2,
            "read the arguments: --count 0: 0 is not in 1..=100000; \
             see `arpguard announce --help`",
        ),
        (
            "announce 192.168.18.10 --dev eth0 --mac ff:ff:ff:ff:ff:ff",
            2,
            "read the arguments: --mac ff:ff:ff:ff:ff:ff: it is no station's address; \
             see `arpguard announce --help`",
        ),
        (
            "announce 192.168.18.10 --dev lo",
            1,
            "announce on: lo: it is the loopback device, which speaks no ARP",
        ),
        (
            "announce 192.168.18.10 --dev eth7",
            1,
            "find the device: eth7: there is no such device; there are lo, eth0",
        ),
    ] {
        let told = announce(&server, line);
        assert_eq!(told, refused(status, message), "arpguard {line}");
    }
    assert_eq!(port.drain(), [[0; 0]; 0]);
    peer.sh("ip link set eth0 down");
    let why = "announce on: eth0: it has no carrier, so nobody would hear";
    let line = "announce 192.168.18.10 --dev eth0";
    assert_eq!(announce(&server, line), refused(1, why));
    server.sh("ip link set eth0 down");
    let why = "announce on: eth0: it is down; bring it up: ip link set eth0 up";
    assert_eq!(announce(&server, line), refused(1, why));
}
