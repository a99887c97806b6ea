//! A real LVS-DR cluster: IPVS, VLANs, a bond and dummy devices, which take a kernel that has them.
//! `cargo xtask test --kernel RELEASE` brings one.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on panics, also outside of #[test]"
)]

use std::net::Ipv4Addr;

use arpguard_common::wire::Mac;
use arpguard_tests::{
    arp::{self, Frame, Q, REPLY},
    ipvs::{self, Ipvs, PORT, VIP, VLAN},
    lab::{Namespace, Port, Segment, arpguard, fewer, skip},
    running::eventually,
};
use serde_json::Value;

const RIP: Ipv4Addr = Ipv4Addr::new(192, 168, 18, 10);
const ASKER: Ipv4Addr = Ipv4Addr::new(192, 168, 18, 129);
const SERVER_MAC: Mac = Mac([2, 0, 0, 2, 0, 10]);
const ASKER_MAC: Mac = Mac([2, 0, 0, 2, 0, 129]);
/// Of the tag of a priority, without a VLAN.
const PRIORITY: u16 = 5 << 13;

/// The cluster, or `None` where it cannot be on this machine, which is told.
fn cluster() -> Option<Ipvs> {
    match ipvs::lacks() {
        Some(why) => {
            skip(&why);
            None
        }
        None => Some(Ipvs::new()),
    }
}

/// How many of `count` connections each real server served, while the client never has another
/// entry than the director's.
fn served(cluster: &Ipvs, count: usize) -> Vec<usize> {
    let mut served = vec![0; cluster.servers.len()];
    for number in 0..count {
        // Everybody asks anew, the real server for the client too.
        if number % 3 == 0 {
            cluster.forget();
        }
        let server = cluster.connect().unwrap();
        served[server] += 1;
        assert_eq!(
            cluster.entry(),
            Some(cluster.director.mac),
            "connection {number}"
        );
    }
    served
}

/// Waits until the client has a real server's hardware address for the VIP.
fn is_taken_over(cluster: &Ipvs) {
    eventually("a real server takes the client over", || {
        cluster.forget();
        cluster.connect().unwrap();
        cluster.entry().is_some_and(|mac| cluster.is_a_server(mac))
    });
}

/// What `arpguard doctor` finds: check, severity and what it is about.
fn doctor(host: &Namespace) -> Vec<(String, String, String)> {
    let output = host
        .command(arpguard())
        .args(["-o", "json", "doctor"])
        .output();
    let report: Value = serde_json::from_slice(&output.unwrap().stdout).unwrap();
    let findings = report["findings"].as_array().unwrap().iter();
    findings
        .map(|finding| {
            let text = |field: &str| finding[field].as_str().unwrap_or_default().to_owned();
            (text("check"), text("severity"), text("subject"))
        })
        .collect()
}

/// The serious findings on each real server.
fn serious(cluster: &Ipvs) -> Vec<Vec<String>> {
    let checks = |server: &ipvs::Station| {
        let found = doctor(&server.host).into_iter();
        let serious = found.filter(|(_, severity, _)| severity == "serious");
        serious.map(|(check, ..)| check).collect()
    };
    cluster.servers.iter().map(checks).collect()
}

#[test]
fn uncured_a_real_server_takes_the_client_over() {
    let Some(cluster) = cluster() else { return };
    is_taken_over(&cluster);
    assert_eq!(serious(&cluster), vec![vec!["vip_answered"]; 3]);
}

#[test]
fn hidden_the_vip_stays_with_the_director_who_balances() {
    let Some(cluster) = cluster() else { return };
    for server in &cluster.servers {
        server
            .host
            .guard(&format!("hide {VIP} --rip {}", server.ip));
    }
    cluster.forget();
    let each = fewer(30).max(4) as usize;
    assert_eq!(served(&cluster, 3 * each), [each; 3]);
    // The director's own counters lag behind; the connections that it remembers do not.
    let table = cluster.director.host.sh("ipvsadm -L -n -c");
    for server in &cluster.servers {
        let to = format!("{}:{PORT}", server.ip);
        assert!(table.contains(&to), "{to}: {table}");
    }
}

#[test]
fn each_attach_mode_holds_the_cluster() {
    let Some(cluster) = cluster() else { return };
    for mode in ["generic", "tc", "auto"] {
        for server in &cluster.servers {
            let rip = server.ip;
            server
                .host
                .guard(&format!("hide {VIP} --rip {rip} --attach {mode}"));
        }
        cluster.forget();
        assert_eq!(served(&cluster, 12), [4; 3], "{mode}");
    }
}

#[test]
fn doctor_says_what_sysctls_miss() {
    let Some(cluster) = cluster() else { return };
    let set = |device: &str, key: &str, value: &str| {
        for server in &cluster.servers {
            server
                .host
                .set(&format!("net/ipv4/conf/{device}/{key}"), value);
        }
    };

    // On the device that has the VIP, they are not consulted.
    set("lo", "arp_ignore", "1");
    set("lo", "arp_announce", "2");
    is_taken_over(&cluster);
    assert_eq!(serious(&cluster), vec![vec!["vip_answered"]; 3]);

    // The answer is kept back, and the real server's own question tells the VIP.
    set("all", "arp_ignore", "1");
    is_taken_over(&cluster);
    assert_eq!(serious(&cluster), vec![vec!["vip_announced"]; 3]);

    set("all", "arp_announce", "2");
    cluster.forget();
    assert_eq!(served(&cluster, 12), [4; 3]);
    assert_eq!(serious(&cluster), vec![Vec::<String>::new(); 3]);
    for server in &cluster.servers {
        let found = doctor(&server.host);
        let missed = (
            "vip_by_sysctl".to_owned(),
            "note".to_owned(),
            VIP.to_string(),
        );
        assert!(found.contains(&missed), "{found:?}");
    }

    // These hold for what the kernel asks by itself, and for nothing else that is sent.
    let server = &cluster.servers[0];
    server.host.sh(&format!(
        "arping -U -c 1 -w 1 -s {VIP} -I {} {VIP}",
        server.device
    ));
    eventually("the client believes it", || {
        cluster.entry() == Some(server.mac)
    });
}

/// A real server whose VLAN is on a bond of two NICs, and who asks it.
struct Bonded {
    server: Namespace,
    asker: Port,
    _segment: Segment,
    _peer: Namespace,
}

impl Bonded {
    fn new() -> Self {
        let segment = Segment::new();
        let (server, peer) = (Namespace::new("server"), Namespace::new("peer"));
        for (nic, last) in [("eth0", 0xa0), ("eth1", 0xa1)] {
            segment.attach(&server, nic, Mac([2, 0, 0, 2, 1, last]), &[]);
        }
        segment.attach(&peer, "eth0", ASKER_MAC, &[]);
        ipvs::bond(&server, &["eth0", "eth1"], SERVER_MAC);
        let device = format!("bond0.{VLAN}");
        server.sh(&format!(
            "ip link add link bond0 name {device} type vlan id {VLAN}"
        ));
        server.sh(&format!("ip link set {device} up"));
        server.sh(&format!("ip addr add {RIP}/24 dev {device}"));
        server.sh("ip addr add 192.168.19.10/24 dev bond0");
        server.sh("ip link add dummy0 type dummy");
        server.sh("ip link set dummy0 up");
        server.sh(&format!("ip addr add {VIP}/32 dev dummy0"));
        Self {
            asker: Port::open(&peer, "eth0"),
            server,
            _segment: segment,
            _peer: peer,
        }
    }

    /// Whether the VIP is answered for behind these tags. The question for the device's own address
    /// that follows is always answered.
    fn answers(&self, tags: &[(u16, u16)]) -> bool {
        let own = match tags {
            [(_, tci)] if tci & 0xfff != 0 => RIP,
            _ => Ipv4Addr::new(192, 168, 19, 10),
        };
        for target in [VIP, own] {
            let asked = arp::request(ASKER_MAC, ASKER, target);
            self.asker.send(&asked.tagged(tags).bytes());
        }
        let reply = |frame: &[u8]| Frame::read(frame).filter(|arp| arp.op == REPLY);
        let heard = self
            .asker
            .until(|frame| reply(frame).is_some_and(|arp| arp.spa == own));
        heard
            .iter()
            .filter_map(|frame| reply(frame))
            .any(|arp| arp.spa == VIP)
    }

    /// Whether it is answered for without a tag, with a tag that is a priority alone, and in the
    /// VLAN.
    fn all(&self) -> [bool; 3] {
        [&[] as &[_], &[(Q, PRIORITY)], &[(Q, VLAN)]].map(|tags| self.answers(tags))
    }
}

#[test]
fn a_vlan_on_a_bond_is_guarded_on_its_own() {
    if let Some(why) = ipvs::lacks() {
        return skip(&why);
    }
    let bonded = Bonded::new();
    eventually("the bond is up", || {
        let device = bonded.server.sh("ip link show dev bond0");
        device.contains("LOWER_UP")
    });
    assert_eq!(bonded.all(), [true; 3]);

    // Ports and the dummy device speak no ARP; the bond and the VLAN on it do.
    bonded.server.guard(&format!("hide {VIP} --rip auto"));
    let status = bonded.server.guard("-o json status");
    let status: Value = serde_json::from_str(&status).unwrap();
    let devices = status["devices"].as_array().unwrap().iter();
    let guarded: Vec<_> = devices
        .filter(|device| !device["ingress"].is_null())
        .map(|device| device["name"].as_str().unwrap())
        .collect();
    assert_eq!(guarded, ["bond0", "bond0.10"], "{status}");
    assert_eq!(bonded.all(), [false; 3]);

    // Native XDP on a bond is that of its ports, which here take no tags out of what they receive.
    for nic in ["eth0", "eth1"] {
        bonded.server.sh(&format!("ethtool -K {nic} rxvlan off"));
    }
    // Generic XDP on a bond comes after its ports, where the kernel takes the tag out of the frame: a
    // rule for the bond alone then holds for the VLANs on it too, and doctor says so. A bond has native
    // XDP from Linux 5.15 on.
    for (mode, in_the_vlan, found) in [
        ("generic", false, &["stripped_vlan"] as &[_]),
        ("tc", true, &[]),
        ("auto", true, &[]),
    ] {
        bonded.server.guard("detach");
        let hide = format!("hide {VIP} --rip auto --attach {mode} --dev");
        bonded.server.guard(&format!("{hide} bond0.{VLAN}"));
        assert_eq!(bonded.all(), [true, true, false], "{mode}");
        bonded.server.guard("detach");
        bonded.server.guard(&format!("{hide} bond0"));
        assert_eq!(bonded.all(), [false, false, in_the_vlan], "{mode}");
        let findings = doctor(&bonded.server);
        let about_vlans: Vec<_> = findings
            .iter()
            .filter(|(check, _, subject)| check.contains("vlan") && subject == "bond0")
            .map(|(check, ..)| check.as_str())
            .collect();
        assert_eq!(about_vlans, found, "{mode}: {findings:?}");
    }
}
