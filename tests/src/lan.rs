//! A LAN with a server, another machine and a client.

use std::{collections::BTreeSet, net::Ipv4Addr};

use arpguard_common::wire::Mac;

use crate::lab::{Namespace, Segment};

/// The server's hardware address; its IP address is 192.168.18.10.
pub const SERVER: Mac = Mac([2, 0, 0, 0, 0, 0x10]);
/// The other machine's; its IP address is 192.168.18.11.
pub const OTHER: Mac = Mac([2, 0, 0, 0, 0, 0x11]);
/// The client's; its IP address is 192.168.18.129.
pub const CLIENT: Mac = Mac([2, 0, 0, 0, 0, 0x81]);
/// An address that nobody has.
pub const VIP: Ipv4Addr = Ipv4Addr::new(192, 168, 18, 101);
/// No answers.
pub const NOBODY: Vec<String> = Vec::new();

/// The three, each on one segment by `eth0`.
#[derive(Debug)]
pub struct Lan {
    /// What they are on; its first port is the server's.
    pub segment: Segment,
    /// Where arpguard runs.
    pub server: Namespace,
    /// Who may have the same address.
    pub other: Namespace,
    /// Who asks.
    pub client: Namespace,
}

impl Default for Lan {
    fn default() -> Self {
        Self::new()
    }
}

impl Lan {
    /// Makes it.
    pub fn new() -> Self {
        let segment = Segment::new();
        let attach = |role: &str, mac, address: &str| {
            let host = Namespace::new(role);
            segment.attach(&host, "eth0", mac, &[address]);
            host
        };
        Self {
            server: attach("server", SERVER, "192.168.18.10/24"),
            other: attach("other", OTHER, "192.168.18.11/24"),
            client: attach("client", CLIENT, "192.168.18.129/24"),
            segment,
        }
    }

    /// Who answers the client for an address, by the MAC addresses that arping shows.
    pub fn answers(&self, address: &str) -> Vec<String> {
        let mut arping = self.client.command("arping");
        arping.args(["-c", "2", "-w", "1", "-I", "eth0", address]);
        let output = arping.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let macs: BTreeSet<_> = text
            .lines()
            .filter_map(|line| Some(line.split_once('[')?.1.split_once(']')?.0.to_lowercase()))
            .collect();
        macs.into_iter().collect()
    }

    /// The client's entry for an address once it has asked for it.
    pub fn entry(&self, address: &str) -> String {
        let shown = self.client.sh(&format!("ip neigh show {address} dev eth0"));
        let mut words = shown.split_whitespace();
        words.find(|word| *word == "lladdr");
        words.next().unwrap_or("none").to_owned()
    }
}

/// The answers of one machine.
pub fn only(mac: Mac) -> Vec<String> {
    vec![mac.to_string()]
}
