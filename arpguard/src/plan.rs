//! What follows from policy on a host: pure, from what is and what shall be to changes.

mod between;
pub mod fault;
mod homes;
pub mod promotion;
mod rules;
mod towards;
mod unasked;

use std::net::Ipv4Addr;

use arpguard_common::{
    abi::{Local, Rule},
    verdict::Policy,
};
use ipnet::Ipv4Net;

pub use self::{
    between::between,
    homes::{Keep, Move, Mover, Settling, away, moves, used},
    rules::Rules,
    towards::{Plan, State, Wanted, towards},
    unasked::unasked,
};
use crate::{
    datapath::{Change, Place},
    device::Device,
    policy::Placed,
};

/// The rules of a block: for each place in the order of the prefixes.
pub fn set(placed: &Placed<'_>) -> Vec<Change> {
    let policy = placed.block.kind.policy();
    let change = |device: u32, prefix: Ipv4Net| Change {
        place: Place::new(policy, device, prefix),
        rule: Some(placed.rule(prefix)),
    };
    let prefixes = &placed.block.prefixes;
    placed
        .places()
        .into_iter()
        .flat_map(|device| prefixes.iter().map(move |prefix| change(device, *prefix)))
        .collect()
}

/// The removal of the rules of `policy` for `prefix` at those of `places` where there is one. What
/// was lent for a promotion is not: nobody has asked for it.
pub fn unset(
    policy: Policy,
    prefix: Ipv4Net,
    places: &[u32],
    rule: impl Fn(Place) -> Option<Rule>,
) -> Vec<Change> {
    places
        .iter()
        .map(|device| Place::new(policy, *device, prefix))
        .filter(|place| rule(*place).is_some_and(|rule| rule.policy() == policy && !rule.is_lent()))
        .map(|place| Change { place, rule: None })
        .collect()
}

/// What a device has for its own addresses: each address, each subnet with the address that is
/// used as sender there, and one for everything else.
///
/// As `inet_select_addr` in `net/ipv4/devinet.c` chooses for `arp_announce=2`: the first primary
/// address in the target's subnet, else the first at all. But no address that `hidden` tells of,
/// even where it is the primary one, and a secondary one where nothing else is left.
pub fn local(device: &Device, hidden: impl Fn(Ipv4Addr) -> bool) -> Vec<(Ipv4Net, Local)> {
    let usable = || {
        device
            .addresses
            .iter()
            .filter(|own| !own.host_scope && !hidden(own.address))
    };
    let mut by_preference: Vec<_> = usable().collect();
    by_preference.sort_by_key(|own| own.secondary);
    let mut entries: Vec<(Ipv4Net, Local)> = Vec::new();
    let mut add = |prefix: Ipv4Net, entry: Local| {
        if !entries.iter().any(|(known, _)| *known == prefix) {
            entries.push((prefix, entry));
        }
    };
    let in_subnet = |target: Ipv4Addr| {
        let mut preferred = by_preference.iter();
        preferred
            .find(|own| own.subnet.contains(&target))
            .map(|own| own.address)
    };
    for own in &by_preference {
        let primary = in_subnet(own.address).unwrap_or(own.address);
        add(own.address.into(), Local::own(primary));
    }
    for own in &by_preference {
        add(own.subnet, Local::subnet(own.address));
    }
    if let Some(first) = by_preference.first() {
        add(Ipv4Net::default(), Local::elsewhere(first.address));
    }
    entries
}

#[cfg(test)]
mod tests;
