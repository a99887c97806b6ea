//! The neighbour table: which stations this host has talked to.

use std::{collections::BTreeSet, net::Ipv4Addr};

use arpguard_common::wire::Mac;
use futures_util::TryStreamExt as _;
use rtnetlink::packet_route::neighbour::{NeighbourAddress, NeighbourAttribute};

use super::message;
use crate::error::{Error, Result};
use crate::netlink::Netlink;

/// The hardware addresses of the stations that the kernel knows behind the device with this
/// interface index.
///
/// # Errors
/// Where the kernel refuses to tell.
pub async fn neighbours(netlink: &Netlink, device: u32) -> Result<BTreeSet<Mac>> {
    let mut macs = BTreeSet::new();
    let mut entries = netlink.handle().neighbours().get().execute();
    let tried = |cause| Error::from_cause("read the neighbours", "this network namespace", &cause);
    while let Some(entry) = entries.try_next().await.map_err(tried)? {
        let neighbour = message::neighbour(&entry).filter(|(of, _)| *of == device);
        macs.extend(neighbour.map(|(_, mac)| mac));
    }
    Ok(macs)
}

/// An address that is answered for by proxy (`ip neigh add proxy`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// The interface index of the only device that does; `None`: every one.
    pub device: Option<u32>,
    /// The address.
    pub address: Ipv4Addr,
}

/// The addresses that the kernel was told to answer for by proxy.
///
/// # Errors
/// Where it refuses to tell.
pub async fn proxies(netlink: &Netlink) -> Result<Vec<Proxy>> {
    let mut proxies = Vec::new();
    let mut entries = netlink.handle().neighbours().get().proxies().execute();
    let tried = |cause| Error::from_cause("read the proxies", "this network namespace", &cause);
    while let Some(entry) = entries.try_next().await.map_err(tried)? {
        let device = (entry.header.ifindex != 0).then_some(entry.header.ifindex);
        proxies.extend(entry.attributes.iter().filter_map(|attribute| {
            let NeighbourAttribute::Destination(NeighbourAddress::Inet(address)) = attribute else {
                return None;
            };
            let address = *address;
            Some(Proxy { device, address })
        }));
    }
    Ok(proxies)
}

/// The single addresses that the kernel proxies for on some device (`ip neigh add proxy`).
///
/// # Errors
/// Where the kernel refuses to tell.
pub async fn proxied(netlink: &Netlink) -> Result<BTreeSet<Ipv4Addr>> {
    let proxies = proxies(netlink).await?;
    Ok(proxies.into_iter().map(|proxy| proxy.address).collect())
}
