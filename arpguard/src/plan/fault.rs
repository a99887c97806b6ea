//! What a wanted policy lacks to be in force.
//!
//! Devices and rules beside it are no fault: who hides one address more by hand has taken nothing
//! away. But a rule can hold in place of one that is wanted. To be promoted is no fault either.

use arpguard_common::abi::{EVERY_DEVICE, Rule};
use ipnet::Ipv4Net;

use super::{Rules, Wanted};
use crate::{
    datapath::{Attached, Place},
    device::Device,
};

/// The first of the wanted devices that is not guarded as it shall be.
pub fn unguarded<'a>(wanted: &'a Wanted, now: &[(Device, Attached)]) -> Option<&'a Device> {
    let is_guarded = |device: &Device| {
        now.iter().any(|(known, attached)| {
            known.index == device.index && attached.satisfies(wanted.attach)
        })
    };
    wanted.devices.iter().find(|device| !is_guarded(device))
}

/// The first prefix whose rule is not the wanted one, and how many there are. `rule` tells the one
/// at a place.
pub fn missing(wanted: &Rules, rule: impl Fn(Place) -> Option<Rule>) -> Option<(Ipv4Net, usize)> {
    let mut missing = wanted
        .iter()
        .filter(|(place, wanted)| rule(**place).map(Rule::demoted) != Some(**wanted))
        .map(|(place, _)| place.prefix);
    let first = missing.next()?;
    Some((first, 1 + missing.count()))
}

/// The first wanted prefix that another rule of `now` holds in, and says something else there.
pub fn overruled(wanted: &Wanted, now: &Rules) -> Option<Ipv4Net> {
    now.iter()
        .filter(|(place, _)| wanted.rules.at(**place).is_none())
        .find_map(|(place, rule)| overrules(wanted, *place, *rule))
}

/// The wanted prefix that one other rule holds in: one around it, on a device that both are for. Of
/// the same length only one of every device, since a rule of a single one comes before it.
fn overrules(wanted: &Wanted, place: Place, rule: Rule) -> Option<Ipv4Net> {
    let Place { device, prefix, .. } = place;
    let differs = |device: u32, prefix: Ipv4Net| {
        let around = Place {
            device,
            prefix,
            ..place
        };
        let other = wanted.rules.at(around);
        other.is_some_and(|other| !other.says_as(rule))
    };
    let around = |length| Some(Ipv4Net::new(prefix.addr(), length).ok()?.trunc());
    let mut lengths = (0..=prefix.prefix_len()).rev();
    lengths.by_ref().find_map(|length| {
        let around = around(length)?;
        let is_overruled = match device {
            EVERY_DEVICE => {
                length < prefix.prefix_len()
                    && (differs(EVERY_DEVICE, around)
                        || wanted.devices.iter().any(|one| differs(one.index, around)))
            }
            device => differs(device, around) || differs(EVERY_DEVICE, around),
        };
        is_overruled.then_some(around)
    })
}

#[cfg(test)]
mod tests;
