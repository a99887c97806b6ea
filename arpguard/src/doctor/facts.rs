//! What was observed.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
};

use ipnet::Ipv4Net;
use serde::Deserialize;

use super::Policy;
use crate::{
    datapath::{Egress, Other},
    device::{Device, Unguardable},
    host::{Child, Hardware, Host, Native, Processes, Release, Sysctls},
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
    /// What the driver of each device says of native XDP, by interface index. Before Linux 6.3 the
    /// kernel does not know.
    pub native: BTreeMap<u32, Native>,
    /// The TC hook that the kernel has; `None` where it does not tell this process.
    pub tc: Option<Egress>,
    /// The names of the devices that have an ingress qdisc in the place of clsact. Where the kernel
    /// has TCX, nobody asks.
    pub lacks_clsact: BTreeSet<String>,
    /// What is known of the drivers of devices and their ports.
    pub hardware: BTreeMap<String, Hardware>,
    /// What is the host's by a route of type `local`, with the interface index of the route's device.
    pub local: Vec<(u32, Ipv4Net)>,
    /// Settings of the devices.
    pub sysctls: Sysctls,
    /// The subnets from which the kernel takes nothing on a device of this name, since the way back
    /// is another.
    pub refused: BTreeSet<(String, Ipv4Net)>,
    /// What the kernel answers for by proxy on devices that forward, as it was told to for single
    /// addresses: the device's name and the address, which is routed by another device.
    pub proxied: Vec<(String, Ipv4Addr)>,
    /// Macvlan devices and those like them on devices of this namespace, where anything is hidden.
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

    /// Whether an address, or every one of a prefix, is kept out of ARP on a device.
    pub fn is_hidden(&self, device: &str, of: impl Into<Ipv4Net>) -> bool {
        let device = self.host.device(device);
        device.is_some_and(|device| self.is_guarded(&device.name) && self.policy.hides(device, of))
    }

    /// What is put where no ARP is spoken, as VIPs are: on `lo`, by an address or by a route, and
    /// single addresses on dummy devices.
    pub fn vips(&self) -> impl Iterator<Item = Vip<'_>> {
        self.host.devices.iter().flat_map(|holder| {
            let is_loopback = match holder.unguardable {
                Some(Unguardable::Loopback) => true,
                Some(Unguardable::NoArp) if holder.kind.as_deref() == Some("dummy") => false,
                Some(
                    Unguardable::NoArp
                    | Unguardable::NotEthernet
                    | Unguardable::Port(_)
                    | Unguardable::Unreadable,
                )
                | None => return Vec::new(),
            };
            let own = holder.addresses.iter();
            let own = own.filter(|own| is_loopback || own.subnet.prefix_len() == 32);
            let single = own.clone().map(|own| Vip {
                holder,
                prefix: own.address.into(),
                is_confirmed: !own.host_scope,
            });
            // The subnet of an address on `lo` is the host's as a whole (`fib_add_ifaddr` in
            // `net/ipv4/fib_frontend.c`), and so is what a local route by it leads to (AnyIP).
            let routed = self
                .local
                .iter()
                .filter(|(index, _)| *index == holder.index);
            let whole: BTreeSet<_> = own
                .map(|own| own.subnet)
                .chain(routed.map(|(_, prefix)| *prefix))
                .filter(|prefix| prefix.prefix_len() < 32 || !holder.has(prefix.addr()))
                .collect();
            let whole = whole.into_iter().map(|prefix| Vip {
                holder,
                prefix,
                is_confirmed: false,
            });
            let all = single.chain(whole);
            all.filter(|vip| !vip.prefix.addr().is_loopback()).collect()
        })
    }
}

/// An address that this host has without speaking ARP for it, or a prefix of such.
#[derive(Clone, Copy, Debug)]
pub struct Vip<'a> {
    /// The device that it is on.
    pub holder: &'a Device,
    /// It.
    pub prefix: Ipv4Net,
    /// Whether it is an address of a device that is valid beyond the host, not by a route alone.
    pub is_confirmed: bool,
}
