//! Macvlan devices and those like them, wherever they are, whose ARP comes and goes by the hooks of a device here.

use std::{net::Ipv4Addr, path::Path};

use super::{Facts, Finding, Severity};
use crate::{device::Device, host::Child};

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    let mut found = Vec::new();
    for lower in facts.speaking() {
        let here = facts
            .children
            .iter()
            .filter(|child| child.lower == lower.index);
        for child in here {
            let own = child.addresses.iter();
            found.extend(own.filter_map(|address| silenced(facts, lower, child, *address)));
        }
    }
    found
}

/// An address of such a device that is hidden on the device below it.
fn silenced(facts: &Facts, lower: &Device, child: &Child, address: Ipv4Addr) -> Option<Finding> {
    if !facts.is_hidden(&lower.name, address) {
        return None;
    }
    let rule = facts.policy.rule(&lower.name, address)?;
    let place = match &child.namespace {
        Some(path) => format!(" in {}", namespace(path)),
        None => String::new(),
    };
    // What this host has too has to stay hidden.
    let is_own = facts.host.devices.iter().any(|device| device.has(address));
    let cure = (rule.is_hide() && !is_own).then(|| rule.without(address, &lower.name));
    Some(Finding {
        check: "macvlan_child",
        severity: Severity::Warning,
        subject: address.to_string(),
        what: format!("hidden on {}, and {}{place} has it", lower.name, child.name),
        why: format!(
            "{} {} device hears and speaks by {}, so nobody learns where the address is",
            if child.kind.starts_with('i') {
                "an"
            } else {
                "a"
            },
            child.kind,
            lower.name
        ),
        cure,
    })
}

/// How a namespace is called: by its name, or a file of a process in it.
fn namespace(path: &Path) -> String {
    format!("network namespace {}", path.display())
}
