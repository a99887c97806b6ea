//! The devices.

use std::{collections::BTreeSet, error::Error as StdError};

use futures_util::TryStreamExt as _;
use nix::net::if_::{if_indextoname, if_nameindex};

use super::message;
use crate::{
    device::Device,
    error::{Error, Result},
    netlink::Netlink,
};

pub(super) async fn read(netlink: &Netlink) -> Result<Vec<Device>> {
    let (devices, untold) = told(netlink).await?;
    if untold.is_empty() {
        return Ok(devices);
    }
    // What changes meanwhile may be left out of one list, and is in the next.
    let (mut devices, untold) = told(netlink).await?;
    devices.extend(untold);
    Ok(devices)
}

/// The devices that netlink's reader tells, and the others. It passes over messages with text that is
/// not UTF-8, and Linux lets names have any bytes.
async fn told(netlink: &Netlink) -> Result<(Vec<Device>, Vec<Device>)> {
    let tried = |cause: &(dyn StdError + 'static)| {
        Error::from_cause("read the devices", "this network namespace", cause)
    };
    let present = if_nameindex().map_err(|cause| tried(&cause))?;
    let mut devices = Vec::new();
    let mut messages = netlink.handle().link().get().execute();
    while let Some(message) = messages.try_next().await.map_err(|cause| tried(&cause))? {
        devices.extend(message::device(&message));
    }
    let told: BTreeSet<_> = devices.iter().map(|device| device.index).collect();
    let is_untold = |index| !told.contains(&index) && if_indextoname(index).is_ok();
    let untold = present.iter().filter(|device| is_untold(device.index()));
    let untold = untold.map(|one| Device::unreadable(one.index(), one.name().to_str().ok()));
    Ok((devices, untold.collect()))
}
