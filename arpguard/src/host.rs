//! The host as it is: devices, their addresses, what is attached to them.
//!
//! Read once by netlink; nothing here writes, and nothing knows of policy.

mod addresses;
mod children;
mod devices;
pub mod drivers;
pub mod generic;
mod hardware;
pub mod message;
mod names;
mod neighbours;
pub mod netns;
mod processes;
mod release;
mod routes;
mod sysctl;
mod vendors;

use std::net::Ipv4Addr;

pub use self::{
    children::{Child, Children},
    drivers::{Native, drivers},
    hardware::Hardware,
    names::Names,
    neighbours::{Proxy, neighbours, proxied, proxies},
    processes::{Process, Processes},
    release::Release,
    routes::{Lookup, Way, local},
    sysctl::{Setting, Sysctls},
    vendors::vendors,
};
use crate::{
    device::{Device, Unguardable},
    error::Result,
    netlink::Netlink,
};

/// The devices of a network namespace, in the order of their indexes.
#[derive(Clone, Debug, Default)]
pub struct Host {
    /// All of them, guardable or not.
    pub devices: Vec<Device>,
    /// The interface index of each default route that prefers a source address, and the address.
    pub default_sources: Vec<(u32, Ipv4Addr)>,
}

impl Host {
    /// Reads the state of the namespace that `netlink` is connected to.
    ///
    /// # Errors
    /// Where the kernel refuses to tell.
    pub async fn observe(netlink: &Netlink) -> Result<Self> {
        let mut devices = devices::read(netlink).await?;
        for (index, address) in addresses::read(netlink).await? {
            if let Some(device) = devices.iter_mut().find(|device| device.index == index) {
                device.addresses.push(address);
            }
        }
        devices.sort_by_key(|device| device.index);
        let default_sources = routes::read_default_sources(netlink).await?;
        Ok(Self {
            devices,
            default_sources,
        })
    }

    /// The device of this name.
    pub fn device(&self, name: &str) -> Option<&Device> {
        self.devices.iter().find(|device| device.name == name)
    }

    /// The device of this interface index.
    pub fn by_index(&self, index: u32) -> Option<&Device> {
        self.devices.iter().find(|device| device.index == index)
    }

    /// The name of the device of this interface index, which may be gone.
    pub fn name(&self, index: u32) -> String {
        match self.by_index(index) {
            Some(device) => device.name.clone(),
            None => format!("if{index} (gone)"),
        }
    }

    /// The devices that arpguard guards unless told otherwise.
    pub fn guardable(&self) -> impl Iterator<Item = &Device> {
        self.devices
            .iter()
            .filter(|device| device.unguardable.is_none())
    }

    /// The ports of a bridge or bond.
    pub fn ports(&self, device: &Device) -> impl Iterator<Item = &Device> {
        let port = Some(Unguardable::Port(device.index));
        self.devices
            .iter()
            .filter(move |one| one.unguardable == port)
    }

    /// The device that has this address.
    pub fn owner(&self, address: Ipv4Addr) -> Option<&Device> {
        self.devices.iter().find(|device| device.has(address))
    }
}
