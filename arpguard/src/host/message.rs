//! What one message of the kernel's routing netlink tells of the host.

use std::net::{IpAddr, Ipv4Addr};

use arpguard_common::wire::Mac;
use ipnet::Ipv4Net;
use rtnetlink::packet_route::{
    AddressFamily,
    address::{AddressAttribute, AddressFlags, AddressMessage, AddressScope},
    link::{
        InfoPortKind, LinkAttribute, LinkFlags, LinkInfo, LinkLayerType, LinkMessage, LinkXdp,
        XdpAttached,
    },
    neighbour::{NeighbourAttribute, NeighbourMessage},
    route::{RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteType},
};

use crate::device::{Address, Device, Link, Unguardable, Xdp};

/// A device: whether it can be guarded, and which XDP program is on it. It has no addresses yet.
/// `None` where it has no name.
pub fn device(message: &LinkMessage) -> Option<Device> {
    let (mut name, mut mac, mut xdp, mut kind) = (None, None, None, None);
    let (mut master, mut port) = (None, None);
    let mut carrier_changes = 0;
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(text) => name = Some(text.clone()),
            LinkAttribute::Address(bytes) => mac = <[u8; 6]>::try_from(bytes.as_slice()).ok(),
            LinkAttribute::CarrierChanges(count) => carrier_changes = *count,
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
        carrier_changes,
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

/// An IPv4 address, with the interface index of its device.
pub fn address(message: &AddressMessage) -> Option<(u32, Address)> {
    if message.header.family != AddressFamily::Inet {
        return None;
    }
    let (mut local, mut on_link, mut broadcast) = (None, None, None);
    let mut secondary = false;
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Local(IpAddr::V4(address)) => local = Some(*address),
            AddressAttribute::Address(IpAddr::V4(address)) => on_link = Some(*address),
            AddressAttribute::Broadcast(address) => broadcast = Some(*address),
            AddressAttribute::Flags(flags) => secondary = flags.contains(AddressFlags::Secondary),
            _ => {}
        }
    }
    let address = local.or(on_link)?;
    let subnet = Ipv4Net::new(on_link.unwrap_or(address), message.header.prefix_len)
        .ok()?
        .trunc();
    let host_scope = message.header.scope == AddressScope::Host;
    let address = Address {
        address,
        subnet,
        broadcast,
        secondary,
        host_scope,
    };
    Some((message.header.index, address))
}

/// The source address that a default route prefers, with the interface index of its device. `None`
/// for any other route.
pub fn default_source(message: &RouteMessage) -> Option<(u32, Ipv4Addr)> {
    if message.header.destination_prefix_length != 0 {
        return None;
    }
    let (mut device, mut source) = (None, None);
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Oif(index) => device = Some(*index),
            RouteAttribute::PrefSource(RouteAddress::Inet(address)) => source = Some(*address),
            _ => {}
        }
    }
    device.zip(source)
}

/// What is the host's by a route of type `local`, with the interface index of the route's device.
/// `None` for any other route, and one of a table that not every packet is looked up in.
pub fn local(message: &RouteMessage) -> Option<(u32, Ipv4Net)> {
    let header = &message.header;
    let (mut device, mut prefix) = (None, Ipv4Addr::UNSPECIFIED);
    let mut table = u32::from(header.table);
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Oif(index) => device = Some(*index),
            RouteAttribute::Destination(RouteAddress::Inet(address)) => prefix = *address,
            RouteAttribute::Table(number) => table = *number,
            _ => {}
        }
    }
    // `RT_TABLE_LOCAL` of `linux/rtnetlink.h`
    const LOCAL: u32 = 255;
    let everywhere = [LOCAL, RouteHeader::RT_TABLE_MAIN.into()];
    if header.kind != RouteType::Local || !everywhere.contains(&table) {
        return None;
    }
    let prefix = Ipv4Net::new(prefix, header.destination_prefix_length).ok()?;
    Some((device?, prefix.trunc()))
}

/// A station that the kernel knows, with the interface index of the device that it is behind.
pub fn neighbour(message: &NeighbourMessage) -> Option<(u32, Mac)> {
    let mac = message.attributes.iter().find_map(|attribute| {
        let NeighbourAttribute::LinkLayerAddress(bytes) = attribute else {
            return None;
        };
        Some(Mac(<[u8; 6]>::try_from(bytes.as_slice()).ok()?))
    })?;
    mac.is_station().then_some((message.header.ifindex, mac))
}
