//! The devices: which can be guarded, and which XDP program is on them.

use std::{fmt, net::Ipv4Addr};

use arpguard_common::wire::Mac;
use futures_util::TryStreamExt as _;
use rtnetlink::packet_route::link::{
    InfoPortKind, LinkAttribute, LinkFlags, LinkInfo, LinkLayerType, LinkMessage, LinkXdp,
    XdpAttached,
};

use super::{Address, Netlink};
use crate::error::{Error, Result};

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
}

impl fmt::Display for Unguardable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Loopback => "it is the loopback device, which speaks no ARP",
            Self::NoArp => "it speaks no ARP (NOARP)",
            Self::NotEthernet => "it is not an Ethernet device",
            Self::Port(_) => "it is a port of a bridge or bond, which speaks ARP in its place",
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

pub(super) async fn read(netlink: &Netlink) -> Result<Vec<Device>> {
    let mut devices = Vec::new();
    let mut messages = netlink.handle().link().get().execute();
    let tried = |cause| Error::from_cause("read the devices", "this network namespace", &cause);
    while let Some(message) = messages.try_next().await.map_err(tried)? {
        devices.extend(parse(&message));
    }
    Ok(devices)
}

fn parse(message: &LinkMessage) -> Option<Device> {
    let (mut name, mut mac, mut xdp, mut kind) = (None, None, None, None);
    let (mut master, mut port) = (None, None);
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(text) => name = Some(text.clone()),
            LinkAttribute::Address(bytes) => mac = <[u8; 6]>::try_from(bytes.as_slice()).ok(),
            LinkAttribute::Controller(index) => master = Some(*index),
            LinkAttribute::Xdp(attributes) => xdp = program(attributes),
            LinkAttribute::LinkInfo(infos) => {
                for info in infos {
                    match info {
                        LinkInfo::Kind(text) => kind = Some(text.to_string()),
                        LinkInfo::PortKind(of) => port = Some(of),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    let flags = message.header.flags;
    let unguardable = match (master, port) {
        _ if flags.contains(LinkFlags::Loopback) => Some(Unguardable::Loopback),
        _ if flags.contains(LinkFlags::Noarp) => Some(Unguardable::NoArp),
        _ if message.header.link_layer_type != LinkLayerType::Ether => {
            Some(Unguardable::NotEthernet)
        }
        // A VRF's ports keep their addresses and their ARP.
        (Some(_), Some(InfoPortKind::Vrf)) | (None, _) => None,
        (Some(master), _) => Some(Unguardable::Port(master)),
    };
    let link = match (
        flags.contains(LinkFlags::Up),
        flags.contains(LinkFlags::LowerUp),
    ) {
        (false, _) => Link::Down,
        (true, false) => Link::NoCarrier,
        (true, true) => Link::Up,
    };
    let (index, name) = (message.header.index, name?);
    let addresses = Vec::new();
    Some(Device {
        index,
        name,
        kind,
        mac: mac.map(Mac),
        link,
        unguardable,
        xdp,
        addresses,
    })
}

fn program(attributes: &[LinkXdp]) -> Option<Xdp> {
    let program = attributes.iter().find_map(|attribute| match attribute {
        LinkXdp::ProgId(id) | LinkXdp::DrvProgId(id) | LinkXdp::SkbProgId(id) => Some(*id),
        _ => None,
    })?;
    let generic = attributes.contains(&LinkXdp::Attached(XdpAttached::SocketBuffer));
    Some(Xdp { program, generic })
}
