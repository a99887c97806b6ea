//! The IPv4 addresses of the devices.

use futures_util::TryStreamExt as _;

use super::message;
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
        addresses.extend(message::address(&message));
    }
    Ok(addresses)
}
