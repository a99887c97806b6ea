//! What makes no sense: on any host, and on this one.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
};

use arpguard_common::{
    abi::Rule,
    verdict::{Mode, Policy},
};
use ipnet::Ipv4Net;

use super::{Block, Kind, Placed, prefix_text};
use crate::{
    device::Device,
    error::{Error, Result},
    host::Host,
};

/// Why a policy is refused, and for which part of it.
#[derive(Debug)]
pub struct Refusal {
    /// Which of the policy's blocks.
    pub block: usize,
    /// Which part of the block.
    pub part: Part,
    /// Why.
    pub error: Error,
}

/// A part of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The prefix that holds this address.
    Holding(Ipv4Addr),
    /// The prefix that holds this address, which the host needs, and which can be forced.
    Needed {
        /// The address.
        address: Ipv4Addr,
        /// Who would silence it.
        policy: Policy,
    },
    /// The prefix that begins with this address, with which there are too many to ask for.
    Many(Ipv4Addr),
    /// The RIP.
    Rip,
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal.part {
            Part::Needed { policy, .. } => refusal
                .error
                .advise(format!("{}; use --force {MEANT}", cost(policy))),
            Part::Many(_) => refusal.error.advise(format!("use --force {FREE}")),
            Part::Holding(_) | Part::Rip => refusal.error,
        }
    }
}

pub(crate) const MEANT: &str = "if that is meant";
pub(crate) const FREE: &str = "if no other machine has one of them";

/// For how many addresses of one block the LAN is asked who has them.
const MOST_ASKED: u32 = 4096;

/// Checks what makes no sense on any host, of the blocks of a policy.
///
/// # Errors
/// Of usage: an address that nobody can hide, or a RIP that is hidden itself.
pub fn check(policy: &[Block]) -> Result<(), Refusal> {
    for (number, block) in policy.iter().enumerate() {
        if block.kind.policy() == Policy::Strict {
            continue;
        }
        for prefix in &block.prefixes {
            if let Some(why) = unresolvable(*prefix) {
                let tried = block.kind.policy().name();
                return Err(Refusal {
                    block: number,
                    part: Part::Holding(prefix.addr()),
                    error: Error::new(tried, prefix_text(*prefix), why).usage(),
                });
            }
        }
    }
    for (number, block) in policy.iter().enumerate() {
        if let Some(prefix) = too_many(block) {
            let why = format!("more than {MOST_ASKED} addresses are too many to ask the LAN for");
            return Err(Refusal {
                block: number,
                part: Part::Many(prefix.addr()),
                error: Error::new(block.kind.policy().name(), prefix_text(prefix), why),
            });
        }
    }
    let hides = |block: &&Block| block.kind.policy() == Policy::Hide;
    let hidden = policy.iter().filter(hides);
    let covered: BTreeSet<_> = hidden.flat_map(|block| &block.prefixes).collect();
    for (number, block) in policy.iter().enumerate() {
        if let Some(rip) = block.rip()
            && let Some(prefix) = longest_match(rip, |prefix| covered.contains(&prefix))
        {
            let why = format!("the RIP {rip} would be hidden itself");
            return Err(Refusal {
                block: number,
                part: Part::Rip,
                error: Error::new(block.kind.policy().name(), prefix_text(prefix), why)
                    .advise("name an address of this host that is its own on the LAN")
                    .usage(),
            });
        }
    }
    Ok(())
}

/// The prefix with which a block answers for more than can be asked for.
fn too_many(block: &Block) -> Option<Ipv4Net> {
    if block.force || block.kind.policy() != Policy::Answer {
        return None;
    }
    let mut room = MOST_ASKED;
    block.prefixes.iter().copied().find(|prefix| {
        let hosts = match 32 - prefix.prefix_len() {
            bits @ 0..=1 => 1 << bits,
            bits => 1_u32
                .checked_shl(bits.into())
                .map_or(u32::MAX, |all| all - 2),
        };
        let left = room.checked_sub(hosts);
        room = left.unwrap_or_default();
        left.is_none()
    })
}

/// Checks what makes no sense on this host, of the blocks of a policy. `hidden` tells what is
/// hidden beside them.
///
/// # Errors
/// Where the host does not have a RIP, or would be cut off.
pub fn check_on(
    policy: &[Placed<'_>],
    host: &Host,
    hidden: impl Fn(Ipv4Addr) -> bool,
) -> Result<(), Refusal> {
    let broadcasts = broadcasts(host);
    let mut fit = BTreeSet::new();
    for (number, placed) in policy.iter().enumerate() {
        let block = placed.block;
        if let Some(rip) = block.rip()
            && fit.insert(rip)
        {
            check_rip(host, rip, &hidden).map_err(|error| Refusal {
                block: number,
                part: Part::Rip,
                error,
            })?;
        }
        let single = block
            .prefixes
            .iter()
            .filter(|prefix| prefix.prefix_len() == 32);
        for prefix in single {
            if let Some(device) = broadcasts.get(&prefix.addr()) {
                let why = format!("it is the broadcast address of a subnet of {device}");
                let tried = block.kind.policy().name();
                return Err(Refusal {
                    block: number,
                    part: Part::Holding(prefix.addr()),
                    error: Error::new(tried, prefix_text(*prefix), why),
                });
            }
        }
        if block.force || block.mode == Mode::Audit {
            continue;
        }
        for device in &placed.devices {
            if let Some((part, error)) = needed(block, host, device) {
                return Err(Refusal {
                    block: number,
                    part,
                    error,
                });
            }
        }
    }
    Ok(())
}

/// The longest prefix that holds `address`, of those that `is_one` tells.
pub(crate) fn longest_match(
    address: Ipv4Addr,
    is_one: impl Fn(Ipv4Net) -> bool,
) -> Option<Ipv4Net> {
    (0..=32)
        .rev()
        .filter_map(|length| Ipv4Net::new(address, length).ok())
        .map(|prefix| prefix.trunc())
        .find(|prefix| is_one(*prefix))
}

/// An address of `device` that would be hidden there, or answered for otherwise than the kernel does,
/// and why the host needs it: with its own address silenced, the neighbours lose the host in minutes.
pub(crate) fn needed(block: &Block, host: &Host, device: &Device) -> Option<(Part, Error)> {
    let policy = block.kind.policy();
    match block.kind {
        Kind::Hide { .. } | Kind::Pin => {}
        Kind::Answer { mac, deferred } if deferred || (mac.is_some() && mac != device.mac) => {}
        // What a device owns stays its own.
        Kind::Answer { .. } | Kind::Strict { .. } | Kind::Bind { .. } => return None,
    }
    let mut on_link = device
        .addresses
        .iter()
        .filter(|address| !address.host_scope);
    let (first, second) = (on_link.next(), on_link.next());
    let refuse = |address: Ipv4Addr, why: &str| {
        let error = Error::new(
            policy.name(),
            address,
            format!("it is {why} {}", device.name),
        );
        Some((Part::Needed { address, policy }, error))
    };
    if let Some(first) = first
        && block.covers(first.address)
    {
        return match second {
            None => refuse(first.address, "the only address of"),
            Some(_) => refuse(first.address, "the primary address and default source of"),
        };
    }
    let mut sources = host.default_sources.iter();
    let (_, source) =
        sources.find(|(index, source)| *index == device.index && block.covers(*source))?;
    refuse(*source, "the source of the default route through")
}

/// What would come of it if a policy silenced what the host needs.
pub(crate) const fn cost(policy: Policy) -> &'static str {
    match policy {
        Policy::Hide => "the LAN would lose this host",
        Policy::Pin => "that device would have no address to speak with",
        Policy::Strict => "that device would be silent",
        Policy::Answer => {
            "the LAN would find this host by it no longer, or at another hardware address"
        }
        Policy::Bind => "no other machine could take it over",
    }
}

/// Whether `rule` hides `address` from the LAN of the device that has it. One that is pinned to its
/// own device is hidden only elsewhere.
pub fn is_hidden(rule: Rule, address: Ipv4Addr, host: &Host) -> bool {
    match rule.policy() {
        Policy::Hide => true,
        Policy::Pin => host
            .owner(address)
            .is_none_or(|owner| owner.index != rule.home()),
        Policy::Strict | Policy::Answer | Policy::Bind => false,
    }
}

fn check_rip(host: &Host, rip: Ipv4Addr, hidden: impl Fn(Ipv4Addr) -> bool) -> Result<()> {
    let tried = "use as RIP";
    let candidates = || {
        let own = host.guardable().flat_map(|device| {
            let fit = device
                .addresses
                .iter()
                .filter(|own| !own.host_scope && !hidden(own.address));
            fit.map(|own| format!("{} ({})", own.address, device.name))
        });
        let own = own.collect::<Vec<_>>();
        if own.is_empty() {
            "no device here has an address that could be it".to_owned()
        } else {
            format!("it could be {}", own.join(", "))
        }
    };
    let Some(owner) = host.owner(rip) else {
        return Err(
            Error::new(tried, rip, "this host does not have the address").advise(candidates()),
        );
    };
    let host_scope = owner
        .addresses
        .iter()
        .any(|own| own.address == rip && own.host_scope);
    if host_scope || rip.is_loopback() {
        return Err(Error::new(tried, rip, "it is not an address on a LAN").advise(candidates()));
    }
    if hidden(rip) {
        return Err(Error::new(tried, rip, "it is hidden itself").advise(candidates()));
    }
    Ok(())
}

/// The broadcast addresses of the host's subnets, with the device of each.
fn broadcasts(host: &Host) -> BTreeMap<Ipv4Addr, &str> {
    let mut broadcasts = BTreeMap::new();
    for device in &host.devices {
        for own in &device.addresses {
            if own.subnet.prefix_len() >= 31 {
                continue;
            }
            broadcasts.insert(own.subnet.broadcast(), device.name.as_str());
            if let Some(set) = own.broadcast.filter(|set| *set != own.address) {
                broadcasts.insert(set, &device.name);
            }
        }
    }
    broadcasts
}

/// Why a prefix has addresses that ARP is never about; `None` where it has none.
pub(crate) fn unresolvable(prefix: Ipv4Net) -> Option<&'static str> {
    let overlaps = |net: [u8; 4], length| {
        Ipv4Net::new(net.into(), length)
            .is_ok_and(|net| net.contains(&prefix) || prefix.contains(&net))
    };
    if overlaps([0; 4], 32) {
        Some("0.0.0.0 is no host's address: probes have it as their sender")
    } else if overlaps([127, 0, 0, 0], 8) {
        Some("loopback addresses are not on any LAN")
    } else if overlaps([224, 0, 0, 0], 4) {
        Some("multicast addresses are not resolved by ARP")
    } else if overlaps([255; 4], 32) {
        Some("the broadcast address is not resolved by ARP")
    } else {
        None
    }
}
