//! What was observed.

use std::{collections::BTreeMap, net::Ipv4Addr};

use serde::Deserialize;

use super::Policy;
use crate::{
    datapath::Other,
    device::{Address, Device, Unguardable},
    host::{Child, Hardware, Host, Processes, Release, Sysctls},
    render,
};

/// What is known of the state in the kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// It was read; nothing may be loaded.
    Read,
    /// An older version has made it, and still guards.
    Older,
    /// It could not be read.
    #[default]
    Unknown,
}

/// How a device is guarded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Guard {
    /// Its name.
    pub name: String,
    /// The hook for received frames; `None`: not guarded.
    pub ingress: Option<String>,
    /// The hook for sent frames; `None`: not guarded.
    pub egress: Option<String>,
    /// Why the ingress hook is not a better one, or what it lacks.
    pub note: String,
}

impl From<render::status::Device> for Guard {
    fn from(device: render::status::Device) -> Self {
        Self {
            name: device.name,
            ingress: device.ingress.map(str::to_owned),
            egress: device.egress.map(str::to_owned),
            note: device.note,
        }
    }
}

impl Guard {
    /// Whether frames are judged by XDP.
    pub fn is_xdp(&self) -> bool {
        let ingress = self.ingress.as_deref();
        ingress.is_some_and(|hook| hook.starts_with("xdp"))
    }
}

/// Everything that is judged.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Devices and addresses.
    pub host: Host,
    /// The names of the devices to look at; all where there are none.
    pub chosen: Vec<String>,
    /// Whether the next two are known.
    pub state: State,
    /// What is hidden.
    pub policy: Policy,
    /// How each device is guarded.
    pub guards: BTreeMap<String, Guard>,
    /// The names of the XDP programs on devices, as far as the kernel tells them.
    pub xdp: BTreeMap<u32, String>,
    /// The programs of others on the TC hooks of each device.
    pub others: BTreeMap<String, Vec<Other>>,
    /// What is known of the drivers of devices and their ports.
    pub hardware: BTreeMap<String, Hardware>,
    /// Settings of the devices.
    pub sysctls: Sysctls,
    /// What the kernel answers for by proxy on devices that forward, as it was told to for single
    /// addresses: the device's name and the address, which is routed by another device.
    pub proxied: Vec<(String, Ipv4Addr)>,
    /// Macvlan devices on devices of this namespace, where anything is hidden.
    pub children: Vec<Child>,
    /// Processes that know of ARP.
    pub processes: Processes,
    /// The kernel, where it tells.
    pub release: Option<Release>,
    /// Whether no BPF file system is mounted that could be pinned to.
    pub lacks_bpffs: bool,
    /// Whether the kernel has no bpf system call.
    pub lacks_bpf: bool,
    /// What could not be seen, and why.
    pub unseen: Vec<String>,
}

impl Facts {
    /// The devices that speak ARP, of those to look at.
    pub fn speaking(&self) -> impl Iterator<Item = &Device> {
        let devices = self.host.guardable();
        devices.filter(|device| self.is_chosen(device))
    }

    /// The devices of which nothing is known, of those to look at.
    pub fn unreadable(&self) -> impl Iterator<Item = &Device> {
        let devices = self.host.devices.iter();
        devices.filter(|device| !device.is_readable() && self.is_chosen(device))
    }

    fn is_chosen(&self, device: &Device) -> bool {
        self.chosen.is_empty() || self.chosen.contains(&device.name)
    }

    /// Whether both directions are judged on a device.
    pub fn is_guarded(&self, device: &str) -> bool {
        let guard = self.guards.get(device);
        guard.is_some_and(|guard| guard.ingress.is_some() && guard.egress.is_some())
    }

    /// Whether an address is kept out of ARP on a device.
    pub fn is_hidden(&self, device: &str, address: Ipv4Addr) -> bool {
        let device = self.host.device(device);
        device.is_some_and(|device| {
            self.is_guarded(&device.name) && self.policy.hides(device, address)
        })
    }

    /// The addresses that are put where no ARP is spoken, as VIPs are, with their devices: on `lo`,
    /// and single ones on dummy devices.
    pub fn vips(&self) -> impl Iterator<Item = (&Device, &Address)> {
        let holds = |device: &&Device, own: &Address| match device.unguardable {
            Some(Unguardable::Loopback) => !own.address.is_loopback(),
            Some(Unguardable::NoArp) => {
                device.kind.as_deref() == Some("dummy") && own.subnet.prefix_len() == 32
            }
            Some(Unguardable::NotEthernet | Unguardable::Port(_) | Unguardable::Unreadable)
            | None => false,
        };
        self.host.devices.iter().flat_map(move |device| {
            let vips = device
                .addresses
                .iter()
                .filter(move |own| holds(&device, own));
            vips.map(move |own| (device, own))
        })
    }
}
