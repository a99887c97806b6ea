//! Addresses that are where they should not be: hidden ones as a device's own, and one subnet on
//! several devices.

use std::collections::BTreeMap;

use ipnet::Ipv4Net;

use super::{
    Cure, Facts, Finding, Severity,
    cure::{key, word},
};
use crate::{
    device::{Address, Device, Link},
    host::Setting,
    policy::prefix_text,
};

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    let primary = facts.speaking().filter_map(|device| primary(facts, device));
    primary.chain(shared(facts)).collect()
}

/// A hidden address that the kernel prefers for what it sends by a device.
fn primary(facts: &Facts, device: &Device) -> Option<Finding> {
    let name = device.name.as_str();
    let mut own = device.addresses.iter().filter(|own| !own.host_scope);
    let first = own.next()?;
    if !facts.is_hidden(name, first.address) {
        return None;
    }
    let rule = facts
        .policy
        .rule(name, first.address)
        .filter(|rule| rule.is_hide())?;
    let usable = |other: &Address| !facts.is_hidden(name, other.address);
    let (severity, what, why, cure) = if own.any(usable) {
        let moved = Cure::Host(vec![
            format!(
                "sysctl -w {}",
                word(&format!("{}=1", key(name, "promote_secondaries")))
            ),
            format!("ip addr add {}/32 dev lo", first.address),
            format!(
                "ip addr del {}/{} dev {}",
                first.address,
                first.subnet.prefix_len(),
                word(name)
            ),
        ]);
        (
            Severity::Warning,
            "its primary address",
            "the kernel takes it for the source of what it sends, and arp_announce for the sender",
            moved,
        )
    } else {
        let shown = format!("unhide {}", prefix_text(rule.prefix()));
        let shown = match &rule.device {
            Some(device) => format!("{shown} --dev {}", word(device)),
            None => shown,
        };
        (
            Severity::Serious,
            "all that it has",
            "there is no address left to ask in the name of, so the LAN loses this host",
            Cure::arpguard(shown),
        )
    };
    Some(Finding {
        check: "hidden_primary",
        severity,
        subject: name.to_owned(),
        what: format!("{} is hidden, and is {what}", first.address),
        why: why.to_owned(),
        cure: Some(cure),
    })
}

/// Subnets that several devices are in.
fn shared(facts: &Facts) -> impl Iterator<Item = Finding> {
    let mut subnets = BTreeMap::<Ipv4Net, Vec<&Device>>::new();
    let up = |device: &&Device| device.link != Link::Down;
    for device in facts.host.guardable().filter(up) {
        for own in device
            .addresses
            .iter()
            .filter(|own| own.subnet.prefix_len() < 32)
        {
            let devices = subnets.entry(own.subnet).or_default();
            if !devices.iter().any(|known| known.index == device.index) {
                devices.push(device);
            }
        }
    }
    subnets.into_iter().flat_map(|(subnet, devices)| {
        let looked_at = devices
            .iter()
            .any(|one| facts.speaking().any(|other| other.index == one.index));
        if devices.len() < 2 || !looked_at {
            return Vec::new();
        }
        [
            flux(facts, subnet, &devices),
            strict(facts, subnet, &devices),
        ]
        .into_iter()
        .flatten()
        .collect()
    })
}

/// Devices that answer for each other's addresses.
fn flux(facts: &Facts, subnet: Ipv4Net, devices: &[&Device]) -> Option<Finding> {
    let counts = |device: &Device, setting| facts.sysctls.effective(&device.name, setting);
    let others = |one: &Device| {
        let others = devices.iter().filter(|other| other.index != one.index);
        let mut addresses = others.flat_map(|other| &other.addresses);
        addresses.any(|other| {
            subnet.contains(&other.address) && !facts.is_hidden(&one.name, other.address)
        })
    };
    let loose: Vec<_> = devices
        .iter()
        .filter(|one| counts(one, Setting::ArpIgnore) == 0 && counts(one, Setting::ArpFilter) == 0)
        .filter(|one| others(one))
        .map(|one| one.name.as_str())
        .collect();
    if loose.is_empty() {
        return None;
    }
    let devs: Vec<_> = loose
        .iter()
        .map(|name| format!("--dev {}", word(name)))
        .collect();
    Some(Finding {
        check: "flux",
        severity: Severity::Warning,
        subject: subnet.to_string(),
        what: format!(
            "{} are in it, and {} for the others' addresses",
            join(devices),
            match loose.as_slice() {
                [one] => format!("{one} answers"),
                _ => format!("{} answer", loose.join(", ")),
            }
        ),
        why: "neighbours see one address at several MAC addresses, and take the last that answers \
              (ARP flux)"
            .to_owned(),
        cure: Some(Cure::arpguard(format!("strict on {}", devs.join(" ")))),
    })
}

/// Devices that discard what comes by them, since the way back is by the first one.
fn strict(facts: &Facts, subnet: Ipv4Net, devices: &[&Device]) -> Option<Finding> {
    let is_strict = |name: &&str| facts.sysctls.effective(name, Setting::RpFilter) == 1;
    // The way back from a pinned address may be a route of its own.
    let is_routed = |device: &Device| {
        let mut own = device
            .addresses
            .iter()
            .filter(|own| subnet.contains(&own.address));
        own.all(|own| {
            let rule = facts.policy.rule(&device.name, own.address);
            rule.is_some_and(|rule| rule.routes_by(&device.name))
        })
    };
    let names = devices.iter().skip(1).filter(|device| !is_routed(device));
    let names = names.map(|device| device.name.as_str());
    let names: Vec<_> = names.filter(is_strict).collect();
    if names.is_empty() {
        return None;
    }
    Some(Finding {
        check: "rp_filter",
        severity: Severity::Warning,
        subject: subnet.to_string(),
        what: format!(
            "{} are in it, and rp_filter=1 counts on {}",
            join(devices),
            names.join(", ")
        ),
        why: "the way back is by the first of them, so what the others receive is discarded, ARP \
              included"
            .to_owned(),
        cure: Some(Cure::sysctl(
            names
                .iter()
                .map(|name| (*name, Setting::RpFilter.name(), 2)),
        )),
    })
}

fn join(devices: &[&Device]) -> String {
    let names: Vec<_> = devices.iter().map(|device| device.name.as_str()).collect();
    names.join(", ")
}
