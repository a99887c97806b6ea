//! The IPv4 addresses of the devices.

use std::net::IpAddr;

use futures_util::TryStreamExt as _;
use ipnet::Ipv4Net;
use rtnetlink::packet_route::{
    AddressFamily,
    address::{AddressAttribute, AddressFlags, AddressMessage, AddressScope},
};

use crate::{
    device::Address,
    error::{Error, Result},
    netlink::Netlink,
};

/// Reads all addresses with the index of their device, in the kernel's order: on each device the
/// one that it prefers comes first.
pub(super) async fn read(netlink: &Netlink) -> Result<Vec<(u32, Address)>> {
    let mut addresses = Vec::new();
    let mut messages = netlink.handle().address().get().execute();
    let tried = |cause| Error::from_cause("read the addresses", "this network namespace", &cause);
    while let Some(message) = messages.try_next().await.map_err(tried)? {
        if message.header.family == AddressFamily::Inet
            && let Some(address) = parse(&message)
        {
            addresses.push((message.header.index, address));
        }
    }
    Ok(addresses)
}

fn parse(message: &AddressMessage) -> Option<Address> {
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
    Some(Address {
        address,
        subnet,
        broadcast,
        secondary,
        host_scope,
    })
}
