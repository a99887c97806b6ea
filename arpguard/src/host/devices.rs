//! The devices: which can be guarded, and which XDP program is on them.

use arpguard_common::wire::Mac;
use futures_util::TryStreamExt as _;
use rtnetlink::packet_route::link::{
    InfoPortKind, LinkAttribute, LinkFlags, LinkInfo, LinkLayerType, LinkMessage, LinkXdp,
    XdpAttached,
};

use crate::{
    device::{Device, Link, Unguardable, Xdp},
    error::{Error, Result},
    netlink::Netlink,
};

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
