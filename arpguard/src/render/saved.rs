//! A policy as a file, as `arpguard save` prints it.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use arpguard_common::{abi, policy::EVERY_DEVICE, verdict::Mode};
use ipnet::Ipv4Net;

use super::rules::rip_text;
use crate::{
    config::only,
    device::Device,
    host::Host,
    plan::State,
    policy::{self, Hide, Rip, prefix_text},
};

const HEADER: &str = "\
# A policy of arpguard, printed by `arpguard save`. To make it the one in force:
# arpguard apply FILE
";

/// What the rules of one `[[hide]]` share. In the order of the fields, so are the blocks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Attributes {
    /// Names; none for every device.
    devices: Vec<String>,
    rip: String,
    shield: bool,
    audit: bool,
    force: bool,
}

/// Equal rules for one prefix, and the devices that they are for; none for every device.
struct Same<'a> {
    rule: abi::Rule,
    devices: Vec<&'a Device>,
}

/// Writes the file. Rules of devices that are gone have no name to be written by.
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
    for ((device, prefix), rule) in state.rules.iter() {
        let everywhere = *device == EVERY_DEVICE;
        let found = host.by_index(*device);
        if found.is_none() && !everywhere {
            continue;
        }
        let key = (*prefix, everywhere, rule.to_bytes());
        let devices = Vec::new();
        let rule = *rule;
        let entry = same.entry(key).or_insert(Same { rule, devices });
        entry.devices.extend(found);
    }
    let mut blocks: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for ((prefix, everywhere, _), Same { rule, devices }) in same {
        let hidden_on = if everywhere { guarded } else { &devices };
        let attributes = Attributes {
            devices: devices.iter().map(|device| device.name.clone()).collect(),
            rip: rip_text(rule),
            shield: rule.shields(),
            audit: rule.mode() == Mode::Audit,
            force: is_forced(prefix, rule, hidden_on, host),
        };
        blocks.entry(attributes).or_default().push(prefix);
    }
    blocks
}

/// Whether `apply` would refuse the rule if it were not forced.
fn is_forced(prefix: Ipv4Net, rule: abi::Rule, devices: &[&Device], host: &Host) -> bool {
    let hide = Hide {
        prefixes: vec![prefix],
        rip: rule.rip().map_or(Rip::Auto, Rip::Address),
        shield: rule.shields(),
        mode: rule.mode(),
        force: false,
    };
    rule.mode() == Mode::Enforce
        && devices
            .iter()
            .any(|device| policy::needed(&hide, host, device).is_some())
}

fn block(out: &mut dyn Write, attributes: &Attributes, prefixes: &[Ipv4Net]) -> io::Result<()> {
    let Attributes {
        devices,
        rip,
        shield,
        audit,
        force,
    } = attributes;
    writeln!(out, "\n[[hide]]")?;
    if let [prefix] = prefixes {
        writeln!(out, "ip = {}", quoted(&prefix_text(*prefix)))?;
    } else {
        writeln!(out, "ip = [")?;
        for prefix in prefixes {
            writeln!(out, "  {},", quoted(&prefix_text(*prefix)))?;
        }
        writeln!(out, "]")?;
    }
    writeln!(out, "rip = {}", quoted(rip))?;
    if !devices.is_empty() {
        let names: Vec<_> = devices.iter().map(|name| quoted(&only(name))).collect();
        writeln!(out, "dev = [{}]", names.join(", "))?;
    }
    for (key, set) in [("shield", shield), ("audit", audit), ("force", force)] {
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
