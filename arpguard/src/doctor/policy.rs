//! What is hidden, by the names that output has, so that it can come from an agent too.

use std::{collections::BTreeMap, net::Ipv4Addr};

use arpguard_common::verdict::Policy as Kind;
use ipnet::Ipv4Net;
use serde::Deserialize;

use super::{Cure, cure::word};
use crate::{
    device::Device,
    host::Host,
    policy::{EVERY_ADDRESS, longest_match, prefix_text},
    render::{self, rules::Home},
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
    /// Whether only who is in a subnet of the device is answered.
    pub same_subnet: bool,
    /// Whether it hides nothing for the time being, since this host is the director.
    pub promoted: bool,
    /// The hardware address that it names, if it does.
    pub mac: Option<String>,
    /// Of an answer: the check that must hold, if there is one.
    #[serde(default)]
    pub when: Option<String>,
    /// Whether it answers even where somebody else claims the address.
    pub forced: bool,
    /// Of a pin with a fallback or routes: what it wants.
    #[serde(default)]
    pub home: Option<Home>,
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
            same_subnet: rule.same_subnet,
            promoted: rule.promoted,
            mac: rule.mac,
            when: rule.when,
            forced: rule.forced,
            home: rule.home,
        }
    }
}

impl Rule {
    /// What it is about.
    pub fn prefix(&self) -> Ipv4Net {
        self.address.unwrap_or(EVERY_ADDRESS)
    }

    /// Its kind; `None` for one that this build does not know.
    fn kind(&self) -> Option<Kind> {
        let mut all = Kind::ALL.iter().copied();
        all.find(|kind| kind.name() == self.policy)
    }

    /// Whether it hides.
    pub fn is_hide(&self) -> bool {
        self.kind() == Some(Kind::Hide)
    }

    /// Whether it leaves an address to this device.
    pub fn pins_to(&self, device: &str) -> bool {
        self.is_pin() && self.device.as_deref() == Some(device)
    }

    /// The device that it holds on; `None` for every device, as for a pin.
    pub(super) fn holds_on(&self) -> Option<&str> {
        match self.kind() {
            Some(Kind::Pin) => None,
            Some(Kind::Hide | Kind::Strict | Kind::Answer | Kind::Bind) | None => {
                self.device.as_deref()
            }
        }
    }

    /// Whether it has to do with a device.
    pub fn is_for(&self, device: &str) -> bool {
        self.holds_on().is_none_or(|name| name == device)
    }

    /// Whether it pins.
    pub fn is_pin(&self) -> bool {
        self.kind() == Some(Kind::Pin)
    }

    /// Whether an address is to be answered for on a device by it.
    pub fn lets_answer(&self, device: &str) -> bool {
        match self.kind() {
            Some(Kind::Pin) => self.pins_to(device),
            Some(Kind::Answer) => self.is_for(device),
            Some(Kind::Hide | Kind::Strict | Kind::Bind) | None => self.promoted,
        }
    }

    /// Whether it keeps an address, or a prefix, out of a device's ARP, and not in audit alone.
    fn bars(&self, device: &Device, of: Ipv4Net) -> bool {
        let is_own = of.prefix_len() == 32 && device.has(of.addr());
        let bars = match self.kind() {
            Some(Kind::Pin) => !self.pins_to(&device.name),
            Some(Kind::Strict) => !is_own,
            Some(Kind::Answer | Kind::Bind) => false,
            Some(Kind::Hide) | None => true,
        };
        bars && !self.audit && !self.promoted
    }

    /// Whether replies from its addresses leave by this device.
    pub fn routes_by(&self, device: &str) -> bool {
        let routes = self.home.as_ref().is_some_and(|home| home.route);
        routes && !self.audit && self.pins_to(device)
    }

    /// Its RIP, where it names one.
    pub fn rip(&self) -> Option<Ipv4Addr> {
        self.rip.parse().ok()
    }

    /// The command that says once more what it says, in its place, with `more` options. What has been
    /// forced has to be forced again, and what is promoted promoted again. A RIP that the host has lost
    /// would be refused.
    pub(super) fn again(&self, host: &Host, more: &str) -> Cure {
        let prefix = prefix_text(self.prefix());
        let (mut line, may_be_forced) = match self.kind() {
            Some(Kind::Strict) => ("strict on".to_owned(), false),
            Some(Kind::Pin) => (format!("pin {prefix}"), true),
            Some(Kind::Answer) => (format!("answer {prefix}"), false),
            Some(Kind::Bind) => {
                let mac = self.mac.as_deref().unwrap_or_default();
                (format!("bind {prefix} {mac}"), false)
            }
            Some(Kind::Hide) | None => {
                let lost = self.rip().is_some_and(|rip| host.owner(rip).is_none());
                let rip = if lost { "auto" } else { &self.rip };
                (format!("hide {prefix} --rip {rip}"), true)
            }
        };
        let home = self.home.as_ref();
        if let Some(device) = home.map(|home| &home.device).or(self.device.as_ref()) {
            line += &format!(" --dev {}", word(device));
        }
        if let Some(home) = home {
            if let (Some(fallback), Some(hold)) = (&home.fallback, home.hold) {
                line += &format!(" --fallback {} --hold {hold}", word(fallback));
            }
            line += if home.route { " --route" } else { "" };
        }
        let mut own = host.guardable().flat_map(|device| &device.addresses);
        let forced = may_be_forced && own.any(|own| self.prefix().contains(&own.address));
        if let (Some(Kind::Answer), Some(mac)) = (self.kind(), &self.mac) {
            line += &format!(" --mac {mac}");
        }
        if let Some(check) = &self.when {
            line += &format!(" --when {}", word(check));
        }
        for (option, set) in [
            (" --same-subnet", self.same_subnet),
            (" --shield", self.shield),
            (" --audit", self.audit),
            (" --force", self.forced || forced && !self.audit),
        ] {
            line += if set { option } else { "" };
        }
        line += more;
        if !self.promoted {
            return Cure::arpguard(line);
        }
        let dev = self.device.as_deref().map(word);
        let dev = dev.map_or_else(String::new, |name| format!(" --dev {name}"));
        let promote = format!("promote {prefix}{dev} --count 0");
        Cure::All(vec![Cure::arpguard(line), Cure::arpguard(promote)])
    }
}

impl Rule {
    /// The command that takes an address out of what it hides, on a device that is to speak for it.
    pub(super) fn without(&self, address: Ipv4Addr, device: &str) -> Cure {
        let prefix = self.prefix();
        let line = match prefix.prefix_len() {
            32 => {
                let dev = self.device.as_deref();
                let dev = dev.map_or_else(String::new, |name| format!(" --dev {}", word(name)));
                format!("unhide {}{dev}", prefix_text(prefix))
            }
            // The rest of it stays hidden.
            _ => format!("pin {address} --dev {}", word(device)),
        };
        Cure::arpguard(line)
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

    /// The rule that holds for an address, or a prefix as a whole, on a device: of the longest match,
    /// the device's own before that of every device.
    pub fn rule(&self, device: &str, of: impl Into<Ipv4Net>) -> Option<&Rule> {
        let of = of.into();
        let covers = |prefix: Ipv4Net| {
            prefix.prefix_len() <= of.prefix_len() && self.at(device, prefix).is_some()
        };
        self.at(device, longest_match(of.addr(), covers)?)
    }

    /// Whether an address, or every one of a prefix, is kept out of a device's ARP, and not in audit
    /// alone. What a longer match excepts from a prefix is meant to be.
    pub fn hides(&self, device: &Device, of: impl Into<Ipv4Net>) -> bool {
        let of = of.into();
        let bars = |rule: Option<&Rule>| rule.is_some_and(|rule| rule.bars(device, of));
        if of.prefix_len() == 32 || bars(self.rule(&device.name, of)) {
            return bars(self.rule(&device.name, of));
        }
        // Several rules may hide it together.
        let inside = self.0.range(of..=Ipv4Net::from(of.broadcast()));
        let parts: Vec<_> = inside
            .map(|(prefix, _)| *prefix)
            .filter(|prefix| bars(self.at(&device.name, *prefix)))
            .collect();
        Ipv4Net::aggregate(&parts).contains(&of)
    }

    /// The rule of this very prefix that holds on a device.
    fn at(&self, device: &str, prefix: Ipv4Net) -> Option<&Rule> {
        // What others may claim is another matter.
        let here = |rule: &&Rule| rule.is_for(device) && rule.kind() != Some(Kind::Bind);
        let rules = self.0.get(&prefix).into_iter().flatten().filter(here);
        rules.max_by_key(|rule| rule.holds_on().is_some())
    }
}
