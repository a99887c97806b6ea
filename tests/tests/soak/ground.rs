//! The namespaces: a real server, and those who ask it.

use std::{fs, net::Ipv4Addr, path::PathBuf};

use arpguard_common::wire::Mac;
use arpguard_tests::lab::{Namespace, Wire};
use serde_json::Value;

/// The VIPs that every policy hides: not one frame may ever give one of them away.
pub(crate) const CORE: [Ipv4Addr; 8] = {
    let mut core = [Ipv4Addr::UNSPECIFIED; 8];
    let mut number = 0;
    while number < 8 {
        core[number] = Ipv4Addr::new(192, 168, 18, 101 + number as u8);
        number += 1;
    }
    core
};
pub(crate) const RIP: Ipv4Addr = Ipv4Addr::new(192, 168, 18, 10);
pub(crate) const CLIENT: Ipv4Addr = Ipv4Addr::new(192, 168, 18, 129);
/// Nobody has it.
pub(crate) const NOBODY: Ipv4Addr = Ipv4Addr::new(192, 168, 18, 200);
pub(crate) const SERVER_MAC: Mac = Mac([2, 0, 0, 0, 0, 0x10]);
pub(crate) const CLIENT_MAC: Mac = Mac([2, 0, 0, 0, 0, 0x81]);
/// The bridge that ports come to and leave.
pub(crate) const BRIDGE: &str = "br0";
pub(crate) const BRIDGE_IP: Ipv4Addr = Ipv4Addr::new(10, 250, 0, 1);
pub(crate) const BRIDGE_MAC: Mac = Mac([2, 0, 0, 0, 1, 0x10]);

#[derive(Debug)]
pub(crate) struct Ground {
    /// RIP on `eth0`, the VIPs on `lo`, and a bridge without ports.
    pub(crate) server: Namespace,
    /// The other end of `eth0`.
    pub(crate) peer: Namespace,
    /// The other ends of the devices that come and go.
    pub(crate) side: Namespace,
}

impl Ground {
    pub(crate) fn new() -> Self {
        let ground = Self {
            server: Namespace::new("server"),
            peer: Namespace::new("peer"),
            side: Namespace::new("side"),
        };
        let server = &ground.server;
        // The kernel announces each address that is added, and all of them with a new MAC address.
        server.set("net/ipv4/conf/all/arp_notify", "1");
        server.set("net/ipv4/conf/default/arp_notify", "1");
        Wire::between(
            (server, "eth0", SERVER_MAC),
            (&ground.peer, "eth0", CLIENT_MAC),
        );
        server.sh(&format!("ip addr add {RIP}/24 dev eth0"));
        for vip in CORE {
            server.sh(&format!("ip addr add {vip}/32 dev lo"));
        }
        server.sh(&format!(
            "ip link add {BRIDGE} address {BRIDGE_MAC} type bridge stp_state 0 forward_delay 0"
        ));
        server.sh(&format!("ip addr add {BRIDGE_IP}/24 dev {BRIDGE}"));
        server.sh(&format!("ip link set {BRIDGE} up"));
        ground
    }

    /// Where arpguard has pinned what it has for the real server.
    pub(crate) fn pins(&self) -> PathBuf {
        let status = self.status();
        status["pins"].as_str().expect("it is loaded").into()
    }

    /// Whether the device of this index is judged in both directions.
    pub(crate) fn guards(&self, index: u32) -> bool {
        let status = self.status();
        let devices = status["devices"].as_array().unwrap();
        devices.iter().any(|device| {
            device["index"] == index && !device["ingress"].is_null() && !device["egress"].is_null()
        })
    }

    /// Whether nothing is attached to the device of this index.
    pub(crate) fn has_left(&self, index: u32) -> bool {
        let links = fs::read_dir(self.pins().join("links")).unwrap();
        let of = format!("{index}-");
        !links
            .flatten()
            .any(|link| link.file_name().to_string_lossy().starts_with(&of))
    }

    /// The index of a device of the real server.
    pub(crate) fn index(&self, device: &str) -> u32 {
        let shown = self.server.sh(&format!("ip -o link show dev {device}"));
        shown.split(':').next().unwrap().parse().unwrap()
    }

    fn status(&self) -> Value {
        serde_json::from_str(&self.server.guard("-o json status")).unwrap()
    }
}
