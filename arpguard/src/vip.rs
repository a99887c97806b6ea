//! Putting a VIP on a device, and taking it away.

use std::{
    error::Error as StdError,
    net::{IpAddr, Ipv4Addr},
};

use nix::errno::Errno;
use rtnetlink::AddressMessageBuilder;

use crate::{
    device::Device,
    error::{Error, Result, errno},
    fault,
    netlink::Netlink,
};

const ALONE: u8 = 32;

/// Adds `address`/32 to `device`; `false` where it was there.
///
/// # Errors
/// Where the kernel refuses.
pub(crate) async fn add(netlink: &Netlink, device: &Device, address: Ipv4Addr) -> Result<bool> {
    let tried = |cause: &(dyn StdError + 'static)| {
        Error::from_cause(format!("add {address} to"), &device.name, cause)
    };
    fault::point("address/add").map_err(|cause| tried(&cause))?;
    let addresses = netlink.handle().address();
    match addresses
        .add(device.index, IpAddr::V4(address), ALONE)
        .execute()
        .await
    {
        Ok(()) => Ok(true),
        Err(cause) if errno(&cause) == Some(Errno::EEXIST) => Ok(false),
        Err(cause) => Err(tried(&cause)),
    }
}

/// Removes `address`/32 from `device`; `false` where it was not there.
///
/// # Errors
/// Where the kernel refuses.
pub(crate) async fn remove(netlink: &Netlink, device: &Device, address: Ipv4Addr) -> Result<bool> {
    let message = AddressMessageBuilder::<Ipv4Addr>::new()
        .index(device.index)
        .address(address, ALONE)
        .build();
    let tried = |cause: &(dyn StdError + 'static)| {
        Error::from_cause(format!("remove {address} from"), &device.name, cause)
    };
    fault::point("address/remove").map_err(|cause| tried(&cause))?;
    match netlink.handle().address().del(message).execute().await {
        Ok(()) => Ok(true),
        Err(cause) if errno(&cause) == Some(Errno::EADDRNOTAVAIL) => Ok(false),
        Err(cause) => Err(tried(&cause)),
    }
}
