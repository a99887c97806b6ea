//! Who is heard to claim what policies are about.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on panics, also outside of #[test]"
)]

use std::net::Ipv4Addr;

use arpguard_common::wire::Mac;
use arpguard_tests::{
    arp::{self, Frame, Q},
    lab::{Namespace, Port, Segment},
};

const SERVER: Mac = Mac([2, 0, 0, 0, 0, 0x10]);
const SECOND: Mac = Mac([2, 0, 0, 0, 0, 0x20]);
const OTHER: Mac = Mac([2, 0, 0, 0, 0, 0x11]);
const ANOTHER: Mac = Mac([2, 0, 0, 0, 0, 0x12]);
const VIP: Ipv4Addr = Ipv4Addr::new(192, 168, 18, 101);
const CLIENT: Ipv4Addr = Ipv4Addr::new(192, 168, 18, 129);

/// A server with the VIP on `lo` and two devices on one segment, and another machine on that.
struct Lan {
    _segment: Segment,
    server: Namespace,
    _other: Namespace,
    port: Port,
    /// What the server hears.
    hears: Port,
}

impl Lan {
    fn new() -> Self {
        let segment = Segment::new();
        let (server, other) = (Namespace::new("server"), Namespace::new("other"));
        segment.attach(&server, "eth0", SERVER, &["192.168.18.10/24"]);
        segment.attach(&server, "eth1", SECOND, &["192.168.18.20/24"]);
        segment.attach(&other, "eth0", OTHER, &[]);
        server.sh("ip addr add 192.168.18.101/32 dev lo");
        Self {
            port: Port::open(&other, "eth0"),
            hears: Port::open(&server, "eth0"),
            server,
            _other: other,
            _segment: segment,
        }
    }

    /// The other machine sends a frame, and then one that the server hears, whatever became of that.
    fn sends(&self, frame: &Frame) {
        self.port.send(&frame.bytes());
        let last = arp::announcement(ANOTHER, CLIENT).bytes();
        self.port.send(&last);
        self.hears.until(|heard| heard == last);
    }

    /// The device and the station of each claim that `status` shows.
    fn claims(&self) -> Vec<(String, String)> {
        let status = self.server.guard("-o json status");
        let status: serde_json::Value = serde_json::from_str(&status).unwrap();
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        let mut claims = Vec::new();
        for device in status["devices"].as_array().unwrap() {
            for claim in device["claims"].as_array().unwrap() {
                claims.push((text(&device["name"]), text(&claim["mac"])));
            }
        }
        claims
    }
}

fn on_eth0(mac: Mac) -> Vec<(String, String)> {
    vec![("eth0".to_owned(), mac.to_string())]
}

#[test]
fn a_strict_device_hears_who_has_an_address_from_what_it_drops() {
    let lan = Lan::new();
    lan.server.guard("answer 192.168.18.101 --dev eth0 --force");
    lan.server.guard("hide 192.168.18.102 --dev eth0");
    lan.server.guard("strict on --dev eth0");
    assert_eq!(lan.claims(), []);
    // It asks for a third, in the name of what it has.
    lan.sends(&arp::request(OTHER, VIP, [192, 168, 18, 77].into()));
    assert_eq!(lan.claims(), on_eth0(OTHER));
    lan.sends(&arp::request(
        ANOTHER,
        [192, 168, 18, 102].into(),
        [192, 168, 18, 77].into(),
    ));
    assert_eq!(lan.claims().len(), 2);
}

#[test]
fn what_this_host_says_on_another_device_is_no_claim() {
    let lan = Lan::new();
    lan.server.guard("answer 192.168.18.101 --dev eth0 --force");
    let second = Port::open(&lan.server, "eth1");
    let own = arp::announcement(SECOND, VIP).bytes();
    second.send(&own);
    lan.hears.until(|heard| heard == own);
    assert_eq!(lan.claims(), []);
    lan.sends(&arp::announcement(OTHER, VIP));
    assert_eq!(lan.claims(), on_eth0(OTHER));
    // Nor does it undo another's.
    second.send(&own);
    lan.hears.until(|heard| heard == own);
    assert_eq!(lan.claims(), on_eth0(OTHER));
}

#[test]
fn what_is_said_in_a_vlan_is_no_claim_on_its_parent() {
    let lan = Lan::new();
    lan.server.guard("hide 192.168.18.101");
    for (mac, vlan) in [(OTHER, 10), (ANOTHER, 20), (OTHER, 10)] {
        lan.sends(&arp::announcement(mac, VIP).tagged(&[(Q, vlan)]));
    }
    assert_eq!(lan.claims(), []);
    lan.sends(&arp::announcement(OTHER, VIP).tagged(&[(Q, 0)]));
    assert_eq!(lan.claims().len(), 2, "on eth0 and on eth1");
    assert!(!lan.server.guard("status").contains("flip_flop"));
}
