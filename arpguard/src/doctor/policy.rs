//! What is hidden, by the names that output has, so that it can come from an agent too.

use std::{collections::BTreeMap, net::Ipv4Addr};

use arpguard_common::verdict;
use ipnet::Ipv4Net;
use serde::Deserialize;

use super::cure::word;
use crate::{
    device::Device,
    host::Host,
    policy::{EVERY_ADDRESS, longest_match, prefix_text},
    render,
};

/// A rule.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Rule {
    /// The kind of policy.
    pub policy: String,
    /// The address (of length 32) or prefix; `None` for whatever a strict device does not own.
    pub address: Option<Ipv4Net>,
    /// The device that it holds on, or that the address is pinned to; `None` for every device.
    pub device: Option<String>,
    /// The sender in place of the address: an address, or `auto`.
    pub rip: String,
    /// Whether others' claims of the address are kept from this host.
    pub shield: bool,
    /// Whether it only counts.
    pub audit: bool,
}

impl From<render::rules::Rule> for Rule {
    fn from(rule: render::rules::Rule) -> Self {
        Self {
            policy: rule.policy.to_owned(),
            address: rule.address,
            device: rule.device,
            rip: rule.rip,
            shield: rule.shield,
            audit: rule.audit,
        }
    }
}

impl Rule {
    /// What it is about.
    pub fn prefix(&self) -> Ipv4Net {
        self.address.unwrap_or(EVERY_ADDRESS)
    }

    fn is_pin(&self) -> bool {
        self.policy == verdict::Policy::Pin.name()
    }

    /// Whether it hides.
    pub fn is_hide(&self) -> bool {
        self.policy == verdict::Policy::Hide.name()
    }

    /// Whether it has to do with a device.
    pub fn is_for(&self, device: &str) -> bool {
        self.is_pin() || self.device.as_deref().is_none_or(|name| name == device)
    }

    /// Whether it keeps an address out of a device's ARP, and not in audit alone.
    fn bars(&self, device: &Device, address: Ipv4Addr) -> bool {
        let bars = if self.is_pin() {
            self.device.as_deref() != Some(&device.name)
        } else {
            self.policy != verdict::Policy::Strict.name() || !device.has(address)
        };
        bars && !self.audit
    }

    /// Its RIP, where it names one.
    pub fn rip(&self) -> Option<Ipv4Addr> {
        self.rip.parse().ok()
    }

    /// The arguments that hide once more what it hides, in its place. What has been forced has to be
    /// forced again.
    pub(super) fn again(&self, host: &Host) -> String {
        let mut line = format!("hide {} --rip {}", prefix_text(self.prefix()), self.rip);
        if let Some(device) = &self.device {
            line += &format!(" --dev {}", word(device));
        }
        let mut own = host.guardable().flat_map(|device| &device.addresses);
        let forced = own.any(|own| self.prefix().contains(&own.address));
        for (option, set) in [
            (" --shield", self.shield),
            (" --audit", self.audit),
            (" --force", forced && !self.audit),
        ] {
            line += if set { option } else { "" };
        }
        line
    }
}

/// The rules, by their prefixes.
#[derive(Clone, Debug, Default)]
pub struct Policy(BTreeMap<Ipv4Net, Vec<Rule>>);

impl FromIterator<Rule> for Policy {
    fn from_iter<I: IntoIterator<Item = Rule>>(rules: I) -> Self {
        let mut by_prefix = BTreeMap::<_, Vec<_>>::new();
        for rule in rules {
            by_prefix.entry(rule.prefix()).or_default().push(rule);
        }
        Self(by_prefix)
    }
}

impl Policy {
    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.0.values().flatten()
    }

    /// Those that hide.
    pub fn hiding(&self) -> impl Iterator<Item = &Rule> {
        self.iter().filter(|rule| rule.is_hide())
    }

    /// The rule that holds for an address on a device: of the longest match, the device's own before
    /// that of every device.
    pub fn rule(&self, device: &str, address: Ipv4Addr) -> Option<&Rule> {
        let here = |rule: &&Rule| rule.is_for(device);
        let at = |prefix| self.0.get(&prefix).into_iter().flatten().filter(here);
        let prefix = longest_match(address, |prefix| at(prefix).next().is_some())?;
        at(prefix).max_by_key(|rule| rule.device.is_some() && !rule.is_pin())
    }

    /// Whether an address is kept out of a device's ARP, and not in audit alone.
    pub fn hides(&self, device: &Device, address: Ipv4Addr) -> bool {
        self.rule(&device.name, address)
            .is_some_and(|rule| rule.bars(device, address))
    }
}
