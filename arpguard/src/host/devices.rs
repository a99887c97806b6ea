//! The devices.

use futures_util::TryStreamExt as _;

use super::message;
use crate::{
    device::Device,
    error::{Error, Result},
    netlink::Netlink,
};

pub(super) async fn read(netlink: &Netlink) -> Result<Vec<Device>> {
    let mut devices = Vec::new();
    let mut messages = netlink.handle().link().get().execute();
    let tried = |cause| Error::from_cause("read the devices", "this network namespace", &cause);
    while let Some(message) = messages.try_next().await.map_err(tried)? {
        devices.extend(message::device(&message));
    }
    Ok(devices)
}
