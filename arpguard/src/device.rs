//! A network device, as all rooms speak of it: who observes the host, who plans, and who writes to
//! the kernel.

use std::{fmt, net::Ipv4Addr};

use arpguard_common::wire::Mac;
use ipnet::Ipv4Net;

/// A network device.
#[derive(Clone, Debug)]
pub struct Device {
    /// Interface index, unique in the namespace.
    pub index: u32,
    /// Interface name.
    pub name: String,
    /// Kind of a virtual device (`veth`, `bond`, `vlan`); `None` for a NIC.
    pub kind: Option<String>,
    /// Hardware address, where it is an Ethernet one.
    pub mac: Option<Mac>,
    /// Whether frames can leave it.
    pub link: Link,
    /// How often the carrier has come or gone.
    pub carrier_changes: u32,
    /// Why it cannot be guarded; `None` where it can.
    pub unguardable: Option<Unguardable>,
    /// The XDP program on it.
    pub xdp: Option<Xdp>,
    /// Its IPv4 addresses, the preferred one first.
    pub addresses: Vec<Address>,
}

impl Device {
    /// Whether the device has this address.
    pub fn has(&self, address: Ipv4Addr) -> bool {
        self.addresses.iter().any(|own| own.address == address)
    }

    /// One of which nothing can be known but its interface index, and its name where that is UTF-8.
    /// `ip` takes `ifINDEX` for its name.
    pub fn unreadable(index: u32, name: Option<&str>) -> Self {
        Self {
            index,
            name: name.map_or_else(|| format!("if{index}"), str::to_owned),
            kind: None,
            mac: None,
            link: Link::Down,
            carrier_changes: 0,
            unguardable: Some(Unguardable::Unreadable),
            xdp: None,
            addresses: Vec::new(),
        }
    }

    /// Whether it is more than its index that is known.
    pub fn is_readable(&self) -> bool {
        self.unguardable != Some(Unguardable::Unreadable)
    }

    /// Whether the kernel takes VLAN tags out of its frames before generic XDP gets them. It does so
    /// once, for the first device that a frame comes by (`__netif_receive_skb_core` in
    /// `net/core/dev.c`), and these get theirs from there.
    pub fn is_untagged_behind_driver(&self) -> bool {
        const KINDS: [&str; 5] = ["bond", "bridge", "ipvlan", "macvlan", "team"];
        self.kind
            .as_deref()
            .is_some_and(|kind| KINDS.contains(&kind))
    }

    /// Whether ARP can leave it: it is connected, and of a kind that speaks ARP.
    pub fn is_usable(&self) -> bool {
        self.link == Link::Up && self.unguardable.is_none()
    }
}

/// Whether frames can leave a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// It is up, and something is at the other end.
    Up,
    /// It is up without a carrier: the cable, or the peer, is not there.
    NoCarrier,
    /// It was not brought up.
    Down,
}

/// Why a device is not guarded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unguardable {
    /// The loopback device.
    Loopback,
    /// A device without ARP, such as a tunnel.
    NoArp,
    /// A device of another link layer than Ethernet.
    NotEthernet,
    /// A port of this device, which is the one that has addresses and speaks ARP.
    Port(u32),
    /// A device that netlink's reader passes over, for its name or another one that it has.
    Unreadable,
}

impl fmt::Display for Unguardable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Loopback => "it is the loopback device, which speaks no ARP",
            Self::NoArp => "it speaks no ARP (NOARP)",
            Self::NotEthernet => "it is not an Ethernet device",
            Self::Port(_) => "it is a port of a bridge or bond, which speaks ARP in its place",
            Self::Unreadable => "it has a name that is not UTF-8",
        })
    }
}

/// An XDP program on a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Xdp {
    /// Identifier of the program.
    pub program: u32,
    /// Whether it runs behind the driver, on packets that are already the kernel's (`xdpgeneric`).
    pub generic: bool,
}

/// One IPv4 address of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The address itself (`IFA_LOCAL`).
    pub address: Ipv4Addr,
    /// The subnet that is on the link: the peer's, on a point-to-point device.
    pub subnet: Ipv4Net,
    /// The broadcast address, if it has one.
    pub broadcast: Option<Ipv4Addr>,
    /// Whether another address of the device in the same subnet came first.
    pub secondary: bool,
    /// Whether it is valid on the host alone (`scope host`), so never a sender on a link.
    pub host_scope: bool,
}

#[cfg(test)]
pub(crate) mod fixture {
    use super::{Address, Device, Link, Unguardable};

    /// A device with these addresses, each with the length of its prefix; the loopback one, if that
    /// is its name.
    pub(crate) fn device(index: u32, name: &str, addresses: &[&str]) -> Device {
        Device {
            index,
            name: name.to_owned(),
            kind: None,
            mac: None,
            link: Link::Up,
            carrier_changes: 0,
            unguardable: (name == "lo").then_some(Unguardable::Loopback),
            xdp: None,
            addresses: addresses.iter().map(|text| address(text)).collect(),
        }
    }

    /// `eth0` with these addresses; each is secondary where that is said.
    pub(crate) fn ranked(addresses: &[(&str, bool)]) -> Device {
        let texts: Vec<_> = addresses.iter().map(|(text, _)| *text).collect();
        let mut device = device(7, "eth0", &texts);
        for (own, (_, secondary)) in device.addresses.iter_mut().zip(addresses) {
            own.secondary = *secondary;
        }
        device
    }

    /// An address of a device.
    pub(crate) fn address(text: &str) -> Address {
        let subnet: ipnet::Ipv4Net = text.parse().unwrap();
        Address {
            address: subnet.addr(),
            subnet: subnet.trunc(),
            broadcast: Some(subnet.broadcast()),
            secondary: false,
            host_scope: subnet.addr().is_loopback(),
        }
    }
}
