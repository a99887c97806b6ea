//! Promotions: of addresses that are hidden, and that this host is the director of for the time
//! being.
//!
//! A promotion is a flag of the rule that hides the address, which so keeps all that it takes to
//! hide it again. Where that rule is for more than what is promoted, the promotion has a rule of its
//! own, lent from it.

use std::{borrow::Cow, collections::BTreeSet, net::Ipv4Addr};

use arpguard_common::{
    abi::{Book, EVERY_DEVICE, Key, Rule},
    policy::{Tables, View},
    verdict::Policy,
};
use ipnet::Ipv4Net;

use super::{Rules, Wanted};
use crate::datapath::{Change, Place};

/// Where an address is to be promoted or demoted.
#[derive(Clone, Copy, Debug)]
pub enum On<'a> {
    /// On these devices, each by itself.
    Each(&'a [u32]),
    /// Wherever it is hidden or promoted; these are the host's devices.
    Wherever(&'a [u32]),
}

/// Why an address is not promoted, or not demoted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unfit {
    /// The device that was named, or [`EVERY_DEVICE`] where none was.
    pub device: u32,
    /// The rule that holds there.
    pub found: Option<Rule>,
}

/// What it takes to promote `vip`: nothing where it is promoted already.
///
/// # Errors
/// Where it is not hidden.
pub fn promote(tables: &impl Tables, vip: Ipv4Addr, on: On<'_>) -> Result<Vec<Change>, Unfit> {
    let places = match on {
        On::Each(devices) => devices.to_vec(),
        On::Wherever(devices) => {
            let everywhere = hiding(tables, EVERY_DEVICE, vip).is_some();
            // A rule for every device holds on those that have none of their own.
            let own = |device: &u32| !everywhere || exact(tables, *device, vip).is_some();
            let all = devices.iter().copied().filter(own);
            let all = [EVERY_DEVICE].into_iter().chain(all);
            all.filter(|device| hiding(tables, *device, vip).is_some())
                .collect()
        }
    };
    if places.is_empty() {
        return Err(unfit(tables, EVERY_DEVICE, vip));
    }
    let mut changes = Vec::new();
    for device in places {
        let rule = hiding(tables, device, vip).ok_or_else(|| unfit(tables, device, vip))?;
        if !rule.is_promoted() {
            let is_own = exact(tables, device, vip).is_some();
            let rule = Some(promoted(rule, is_own));
            changes.push(change(device, vip, rule));
        }
    }
    Ok(changes)
}

/// What it takes to hide `vip` again: nothing where it is not promoted.
///
/// # Errors
/// Where it is not hidden; and where it is promoted on every device, and only one is named.
pub fn demote(tables: &impl Tables, vip: Ipv4Addr, on: On<'_>) -> Result<Vec<Change>, Unfit> {
    let demotion = |device: u32| {
        let rule = exact(tables, device, vip).filter(|rule| rule.is_promoted())?;
        Some(change(device, vip, demoted(rule)))
    };
    match on {
        On::Each(devices) => {
            let of = |device: &u32| match (demotion(*device), hiding(tables, *device, vip)) {
                (Some(change), _) => Ok(Some(change)),
                (None, Some(rule)) if !rule.is_promoted() => Ok(None),
                (None, _) => Err(unfit(tables, *device, vip)),
            };
            devices
                .iter()
                .filter_map(|device| of(device).transpose())
                .collect()
        }
        On::Wherever(devices) => {
            let places = || [EVERY_DEVICE].into_iter().chain(devices.iter().copied());
            if !places().any(|device| hiding(tables, device, vip).is_some()) {
                return Err(unfit(tables, EVERY_DEVICE, vip));
            }
            Ok(places().filter_map(demotion).collect())
        }
    }
}

/// What is left of a promoted rule: `None` of one that was lent.
pub fn demoted(rule: Rule) -> Option<Rule> {
    (!rule.is_lent()).then(|| rule.demoted())
}

/// The wanted rules, with the promotions of `now`: files say what is hidden, and not which host is
/// the director. An address stays promoted where it was, as long as something hides it there.
pub fn kept<'a>(wanted: &'a Wanted, now: &Rules) -> Cow<'a, Rules> {
    let promotions: Vec<_> = now
        .iter()
        .filter(|(_, rule)| rule.is_promoted())
        .map(|(place, _)| (place.device, place.prefix.addr()))
        .collect();
    if promotions.is_empty() {
        return Cow::Borrowed(&wanted.rules);
    }
    let devices: BTreeSet<_> = wanted.devices.iter().map(|device| device.index).collect();
    let mut kept = wanted.rules.clone();
    let mut keep = |device: u32, vip: Ipv4Addr, rule: Rule| {
        let is_own = exact(&wanted.rules, device, vip).is_some();
        kept.insert(
            Place::new(Policy::Hide, device, vip.into()),
            promoted(rule, is_own),
        );
    };
    for (device, vip) in &promotions {
        let is_there = *device == EVERY_DEVICE || devices.contains(device);
        if is_there && let Some(rule) = hiding(&wanted.rules, *device, *vip) {
            keep(*device, *vip, rule);
        }
        // Rules that are new where another one's promotion held.
        for device in devices.iter().chain([&EVERY_DEVICE]) {
            let held = hiding(now, *device, *vip).is_some_and(Rule::is_promoted);
            if held
                && let Some(rule) = exact(&wanted.rules, *device, *vip)
                && rule.policy() == Policy::Hide
            {
                keep(*device, *vip, rule);
            }
        }
    }
    Cow::Owned(kept)
}

/// Whether a rule at `place` was lent by one that is there no longer; `at` tells those that are.
pub fn is_orphan(place: Place, rule: Rule, at: impl Fn(Place) -> Option<Rule>) -> bool {
    let Place { device, prefix, .. } = place;
    let of = |device, prefix| {
        let place = Place::new(Policy::Hide, device, prefix);
        at(place).filter(|rule: &Rule| !rule.is_lent())
    };
    let around = |length| Some(Ipv4Net::new(prefix.addr(), length).ok()?.trunc());
    let lender = of(EVERY_DEVICE, prefix).or_else(|| {
        let mut around = (0..prefix.prefix_len()).rev().filter_map(around);
        around.find_map(|prefix| of(device, prefix).or_else(|| of(EVERY_DEVICE, prefix)))
    });
    rule.is_lent() && lender.is_none_or(|lender| lender.policy() != Policy::Hide)
}

/// The rule that hides an address on a device, or would if it were not promoted.
fn hiding(tables: &impl Tables, device: u32, vip: Ipv4Addr) -> Option<Rule> {
    let rule = View::new(tables, device).found(vip)?;
    (rule.policy() == Policy::Hide).then_some(rule)
}

/// The rule of this host's book for exactly this address.
fn exact(tables: &impl Tables, device: u32, vip: Ipv4Addr) -> Option<Rule> {
    let key = Key::new(Book::Own, device, vip);
    tables.block(key).or_else(|| tables.exact(key))
}

/// `is_own`: whether the rule is for this address and place alone.
const fn promoted(rule: Rule, is_own: bool) -> Rule {
    if is_own { rule.promoted() } else { rule.lent() }
}

fn change(device: u32, vip: Ipv4Addr, rule: Option<Rule>) -> Change {
    Change {
        place: Place::new(Policy::Hide, device, vip.into()),
        rule,
    }
}

fn unfit(tables: &impl Tables, device: u32, vip: Ipv4Addr) -> Unfit {
    Unfit {
        device,
        found: View::new(tables, device).found(vip),
    }
}

#[cfg(test)]
mod tests;
