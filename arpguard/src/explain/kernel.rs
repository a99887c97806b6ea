//! What the kernel does with ARP that it gets: `arp_rcv` and `arp_process` in `net/ipv4/arp.c`.
//!
//! What others may do between the programs and that, arptables, nftables and their like, is not
//! known here.

use std::net::Ipv4Addr;

use arpguard_common::wire::{Arp, Kind, Mac};

use super::Heard;
use crate::{
    device::{Device, Link},
    host::{Host, Setting, Sysctls, Way},
};

/// What it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reaction {
    /// It answers, for an address of the host.
    Answers,
    /// It answers, for an address behind another device.
    Proxies,
    /// It does not.
    Silent(Why),
}

/// Why nothing is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// The device is down, or has no carrier.
    NotUp,
    /// The frame belongs to a VLAN.
    Vlan,
    /// The frame is addressed to another station.
    OtherStation(Mac),
    /// It is not ARP that the kernel takes.
    NotArp,
    /// It asks for nothing.
    NoQuestion,
    /// Nobody is asked for by ARP at such an address: a multicast or loopback one.
    NoStation(Ipv4Addr),
    /// The host does not have the address.
    NotOwn(Ipv4Addr),
    /// The sender is an address of the host, so the packet is a martian.
    Martian(Ipv4Addr),
    /// The way to the sender does not lead there (`rp_filter`), or it is no sender at all.
    Refused {
        /// The sender.
        sender: Ipv4Addr,
        /// What `rp_filter` is there.
        rp_filter: u32,
    },
    /// By `arp_ignore`.
    Ignored {
        /// What it is there.
        arp_ignore: u32,
        /// The address.
        address: Ipv4Addr,
        /// Who has it, where a device does.
        owner: Option<String>,
    },
    /// By `arp_filter`: packets to the sender go out by another device.
    Filtered(Ipv4Addr),
}

/// What it decides by.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    /// The device that the frame comes to.
    pub device: &'a Device,
    /// All devices.
    pub host: &'a Host,
    /// Their settings.
    pub sysctls: &'a Sysctls,
    /// Where a packet from the sender to the target goes that comes to the device; for a probe,
    /// where one of the host's own to the target goes.
    pub way: Way,
    /// Where a packet from the target back to the sender goes.
    pub way_back: Way,
    /// Whether the target is proxied on the device (`ip neigh add proxy`).
    pub is_proxied: bool,
}

/// What the kernel does with a received frame.
pub fn react(heard: &Heard, situation: &Situation<'_>) -> Reaction {
    match answers(heard, situation) {
        Ok(reaction) => reaction,
        Err(why) => Reaction::Silent(why),
    }
}

fn answers(heard: &Heard, situation: &Situation<'_>) -> Result<Reaction, Why> {
    let device = situation.device;
    if device.link != Link::Up {
        return Err(Why::NotUp);
    }
    if heard.vlan {
        return Err(Why::Vlan);
    }
    if !heard.destination.is_group() && Some(heard.destination) != device.mac {
        return Err(Why::OtherStation(heard.destination));
    }
    let Some(arp) = heard.arp() else {
        return Err(Why::NotArp);
    };
    let target = arp.tpa;
    match arp.kind {
        _ if target.is_multicast() || target.is_loopback() => Err(Why::NoStation(target)),
        Kind::Reply => Err(Why::NoQuestion),
        Kind::Announcement if !heard.is_request() => Err(Why::NoQuestion),
        Kind::Probe if situation.way == Way::Local => {
            ignored(&arp, situation).map(|()| Reaction::Answers)
        }
        Kind::Probe => Err(Why::NotOwn(target)),
        Kind::Request | Kind::Announcement => match situation.way {
            Way::Local => {
                ignored(&arp, situation)?;
                filtered(&arp, situation).map(|()| Reaction::Answers)
            }
            Way::Through(out) if proxies(situation, out) => Ok(Reaction::Proxies),
            Way::Through(_) | Way::Nowhere => Err(refused(&arp, situation)),
        },
    }
}

/// `arp_ignore` and `inet_confirm_addr`, in `net/ipv4/devinet.c`.
fn ignored(arp: &Arp, situation: &Situation<'_>) -> Result<(), Why> {
    let Situation { device, host, .. } = *situation;
    let value = effective(situation, Setting::ArpIgnore);
    let target = arp.tpa;
    let on_link = |address: Ipv4Addr| {
        let mut own = device.addresses.iter();
        own.any(|own| own.subnet.contains(&target) && own.subnet.contains(&address))
    };
    let answered = match value {
        1 => device.has(target) && on_link(target),
        // A probe has no sender that could be in another subnet.
        2 if arp.kind == Kind::Probe => device.has(target) && on_link(target),
        2 => device.has(target) && on_link(arp.spa),
        3 => {
            let mut all = host.devices.iter().flat_map(|device| &device.addresses);
            all.any(|own| own.address == target && !own.host_scope)
        }
        8 => false,
        _ => true,
    };
    match answered {
        true => Ok(()),
        false => Err(Why::Ignored {
            arp_ignore: value,
            address: target,
            owner: host.owner(target).map(|owner| owner.name.clone()),
        }),
    }
}

/// `arp_filter`
fn filtered(arp: &Arp, situation: &Situation<'_>) -> Result<(), Why> {
    let back = situation.way_back == Way::Through(situation.device.index);
    match effective(situation, Setting::ArpFilter) != 0 && !back {
        true => Err(Why::Filtered(arp.spa)),
        false => Ok(()),
    }
}

/// `arp_fwd_proxy`, `arp_fwd_pvlan` and `pneigh_lookup`, for a target behind the device `out`.
fn proxies(situation: &Situation<'_>, out: u32) -> bool {
    let set = |setting| effective(situation, setting) != 0;
    let elsewhere = out != situation.device.index;
    set(Setting::Forwarding)
        && match elsewhere {
            true => set(Setting::ProxyArp) || situation.is_proxied,
            false => set(Setting::ProxyArpPvlan),
        }
}

/// Why the kernel has no use for the packet (`fib_validate_source` in `net/ipv4/fib_frontend.c`).
fn refused(arp: &Arp, situation: &Situation<'_>) -> Why {
    let host = situation.host;
    if host.owner(arp.tpa).is_none() {
        Why::NotOwn(arp.tpa)
    } else if host.owner(arp.spa).is_some() {
        Why::Martian(arp.spa)
    } else {
        Why::Refused {
            sender: arp.spa,
            rp_filter: effective(situation, Setting::RpFilter),
        }
    }
}

fn effective(situation: &Situation<'_>, setting: Setting) -> u32 {
    let name = &situation.device.name;
    situation.sysctls.effective(name, setting)
}

#[cfg(test)]
mod tests;
