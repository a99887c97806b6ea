//! The neighbour table: which stations this host has talked to.

use std::collections::BTreeSet;

use arpguard_common::wire::Mac;
use futures_util::TryStreamExt as _;
use rtnetlink::packet_route::neighbour::NeighbourAttribute;

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
        if entry.header.ifindex != device {
            continue;
        }
        macs.extend(entry.attributes.iter().filter_map(|attribute| {
            let NeighbourAttribute::LinkLayerAddress(bytes) = attribute else {
                return None;
            };
            let mac = Mac(<[u8; 6]>::try_from(bytes.as_slice()).ok()?);
            mac.is_station().then_some(mac)
        }));
    }
    Ok(macs)
}
