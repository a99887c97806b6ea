//! A policy as a file, as `arpguard save` prints it.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use arpguard_common::{
    abi::{self, EVERY_DEVICE},
    verdict::{Mode, Policy},
    wire::Mac,
};
use ipnet::Ipv4Net;

use super::rules::rip_text;
use crate::{
    config::only,
    datapath::Place,
    device::Device,
    host::Host,
    plan::State,
    policy::{self, Block, Kind, Rip, prefix_text},
};

const HEADER: &str = "\
# A policy of arpguard, printed by `arpguard save`. To make it the one in force:
# arpguard apply FILE
";

/// What the rules of one block share. In the order of the fields, so are the blocks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Attributes {
    policy: Policy,
    /// Names; none for every device.
    devices: Vec<String>,
    /// The sender, where the policy lets one choose.
    rip: Option<String>,
    /// The hardware address, where the policy names one.
    mac: Option<Mac>,
    /// What must hold for it to be answered.
    when: Option<String>,
    shield: bool,
    same_subnet: bool,
    audit: bool,
    force: bool,
    /// Of a pin: where it goes, and how long the first device has to hold.
    fallback: Option<(String, u32)>,
    route: bool,
}

/// Equal rules for one prefix, and the devices that they are for; none for every device.
struct Same<'a> {
    rule: abi::Rule,
    devices: Vec<&'a Device>,
}

/// Writes the file. Rules of devices that are gone have no name to be written by. What is promoted
/// is written as hidden, for it is when the file is applied elsewhere.
pub(crate) fn write(out: &mut dyn Write, state: &State, host: &Host) -> io::Result<()> {
    write!(out, "{HEADER}")?;
    let guarded: Vec<_> = state
        .devices
        .iter()
        .filter(|(_, attached)| attached.is_complete())
        .map(|(device, _)| device)
        .collect();
    let index = |device: &&Device| device.index;
    if !guarded
        .iter()
        .map(index)
        .eq(host.guardable().map(|device| device.index))
    {
        let names = guarded.iter().map(|device| quoted(&only(&device.name)));
        writeln!(
            out,
            "\ndevices = [{}]",
            names.collect::<Vec<_>>().join(", ")
        )?;
    }
    for (attributes, prefixes) in blocks(state, &guarded, host) {
        block(out, &attributes, &prefixes)?;
    }
    Ok(())
}

fn blocks(state: &State, guarded: &[&Device], host: &Host) -> BTreeMap<Attributes, Vec<Ipv4Net>> {
    // Of equal rules for one prefix, the devices are told together.
    let mut same: BTreeMap<_, Same<'_>> = BTreeMap::new();
    let under = |rule: abi::Rule| state.terms.get(&rule.terms());
    let own = state.rules.iter().filter(|(_, rule)| !rule.is_lent());
    for (place, rule) in own {
        let Place { device, prefix, .. } = *place;
        let rule = rule.demoted();
        let named = match rule.policy() {
            Policy::Hide | Policy::Strict | Policy::Answer | Policy::Bind => device,
            Policy::Pin => rule.home(),
        };
        let everywhere = named == EVERY_DEVICE;
        let found = match under(rule) {
            Some(terms) => host.device(&terms.dev),
            None => host.by_index(named),
        };
        if found.is_none() && !everywhere && under(rule).is_none() {
            continue;
        }
        let check = state.checks.get(place).filter(|_| rule.is_deferred());
        let key = (prefix, everywhere, rule.to_bytes(), check);
        let devices = Vec::new();
        let entry = same.entry(key).or_insert(Same { rule, devices });
        entry.devices.extend(found);
    }
    let mut blocks: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for ((prefix, .., check), Same { rule, devices }) in same {
        let terms = under(rule);
        let fallback = terms.and_then(|terms| terms.fallback.as_ref());
        let attributes = Attributes {
            policy: rule.policy(),
            devices: match terms {
                Some(terms) => vec![terms.dev.clone()],
                None => devices.iter().map(|device| device.name.clone()).collect(),
            },
            rip: match rule.policy() {
                Policy::Hide => Some(rip_text(rule)),
                Policy::Pin | Policy::Strict | Policy::Answer | Policy::Bind => None,
            },
            mac: rule.mac(),
            when: check.map(ToString::to_string),
            shield: rule.shields(),
            same_subnet: rule.wants_same_subnet(),
            audit: rule.mode() == Mode::Audit,
            force: is_forced(prefix, rule, &devices, guarded, host),
            fallback: fallback.map(|fallback| (fallback.dev.clone(), fallback.hold)),
            route: terms.is_some_and(|terms| terms.route),
        };
        blocks.entry(attributes).or_default().push(prefix);
    }
    blocks
}

/// Whether `apply` would refuse the rule, which names `devices`, if it were not forced.
fn is_forced(
    prefix: Ipv4Net,
    rule: abi::Rule,
    devices: &[&Device],
    guarded: &[&Device],
    host: &Host,
) -> bool {
    let (kind, hidden_on, home) = match (rule.policy(), devices) {
        (Policy::Hide, named) => {
            let rip = rule.rip().map_or(Rip::Auto, Rip::Address);
            let shield = rule.shields();
            let on = if named.is_empty() { guarded } else { named };
            (Kind::Hide { rip, shield }, on, EVERY_DEVICE)
        }
        (Policy::Pin, [home]) => (Kind::Pin, guarded, home.index),
        (Policy::Pin, _) => (Kind::Pin, guarded, rule.home()),
        (Policy::Answer, _) => return rule.is_forced(),
        (Policy::Strict | Policy::Bind, _) => return false,
    };
    let block = Block {
        kind,
        prefixes: vec![prefix],
        mode: rule.mode(),
        force: false,
    };
    let mut hidden_on = hidden_on.iter().filter(|device| device.index != home);
    rule.mode() == Mode::Enforce
        && hidden_on.any(|device| policy::needed(&block, host, device).is_some())
}

fn block(out: &mut dyn Write, attributes: &Attributes, prefixes: &[Ipv4Net]) -> io::Result<()> {
    let Attributes {
        policy,
        devices,
        rip,
        mac,
        when,
        shield,
        same_subnet,
        audit,
        force,
        fallback,
        route,
    } = attributes;
    writeln!(out, "\n[[{}]]", policy.name())?;
    match (policy, prefixes) {
        (Policy::Strict, _) => {}
        (_, [prefix]) => {
            writeln!(out, "ip = {}", quoted(&prefix_text(*prefix)))?;
        }
        (_, prefixes) => {
            writeln!(out, "ip = [")?;
            for prefix in prefixes {
                writeln!(out, "  {},", quoted(&prefix_text(*prefix)))?;
            }
            writeln!(out, "]")?;
        }
    }
    if let Some(rip) = rip {
        writeln!(out, "rip = {}", quoted(rip))?;
    }
    if let Some(mac) = mac {
        writeln!(out, "mac = {}", quoted(&mac.to_string()))?;
    }
    if let Some(when) = when {
        writeln!(out, "when = {}", quoted(when))?;
    }
    match (policy, devices.as_slice()) {
        // One device, which is no pattern.
        (Policy::Pin, devices) => {
            for name in devices {
                writeln!(out, "dev = {}", quoted(name))?;
            }
        }
        (_, []) => {}
        (_, devices) => {
            let names: Vec<_> = devices.iter().map(|name| quoted(&only(name))).collect();
            writeln!(out, "dev = [{}]", names.join(", "))?;
        }
    }
    if let Some((dev, hold)) = fallback {
        writeln!(out, "fallback = {}", quoted(dev))?;
        writeln!(out, "hold = {hold}")?;
    }
    for (key, set) in [
        ("route", route),
        ("same-subnet", same_subnet),
        ("shield", shield),
        ("audit", audit),
        ("force", force),
    ] {
        if *set {
            writeln!(out, "{key} = true")?;
        }
    }
    Ok(())
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

#[cfg(test)]
mod tests;
