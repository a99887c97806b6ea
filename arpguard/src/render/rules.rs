//! The rules, as `arpguard list` shows them.

use arpguard_common::{
    abi,
    policy::EVERY_DEVICE,
    verdict::{Mode, Policy},
};
use ipnet::Ipv4Net;
use serde::Serialize;

use crate::{
    datapath::{Maps, Place},
    error::Result,
    host::Host,
    policy::{EVERY_ADDRESS, prefix_text},
};

/// One rule.
#[derive(Clone, Debug, Serialize)]
pub struct Rule {
    /// Its kind.
    pub policy: &'static str,
    /// The address (of length 32) or prefix; `None` for whatever a device does not own.
    pub address: Option<Ipv4Net>,
    /// The device that it names: which it holds on, or which the address is pinned to. `None` for
    /// every device.
    pub device: Option<String>,
    /// The sender in place of the address: an address, or `auto`.
    pub rip: String,
    /// Whether others' claims of the address are kept from this host.
    pub shield: bool,
    /// Whether it only counts.
    pub audit: bool,
    /// Whether only who is in a subnet of the device is answered.
    pub same_subnet: bool,
    /// The hardware address that is answered with, or that alone may claim the address; `None` where
    /// the policy names none: the device answers with its own.
    pub mac: Option<String>,
    /// Whether the agent answers, while a check holds.
    pub deferred: bool,
    /// Whether it answers even where somebody else claims the address.
    pub forced: bool,
}

/// Reads all rules, in the order of their addresses.
///
/// # Errors
/// Where a map cannot be read.
pub fn read(maps: &Maps, host: &Host) -> Result<Vec<Rule>> {
    let mut rules: Vec<_> = maps.rules().collect::<Result<_>>()?;
    rules.sort_unstable_by_key(|(place, _)| (place.prefix, place.book, place.device));
    let show = |(place, rule)| Rule::of(place, rule, host);
    Ok(rules.into_iter().map(show).collect())
}

impl Rule {
    /// The rule at a place.
    pub fn of(place: Place, rule: abi::Rule, host: &Host) -> Self {
        let address = place.prefix;
        let device = match rule.policy() {
            Policy::Hide | Policy::Strict | Policy::Answer | Policy::Bind => place.device,
            Policy::Pin => rule.home(),
        };
        Self {
            policy: rule.policy().name(),
            address: (address != EVERY_ADDRESS).then_some(address),
            device: (device != EVERY_DEVICE).then(|| host.name(device)),
            rip: rip_text(rule),
            mac: rule.mac().map(|mac| mac.to_string()),
            deferred: rule.is_deferred(),
            forced: rule.is_forced(),
            shield: rule.shields(),
            audit: rule.mode() == Mode::Audit,
            same_subnet: rule.wants_same_subnet(),
        }
    }
}

impl Rule {
    /// The address as its user would write it, where there is one.
    pub(crate) fn address_text(&self) -> Option<String> {
        self.address.map(prefix_text)
    }

    /// The words of the options that are set.
    pub(crate) fn options(&self) -> impl Iterator<Item = &'static str> {
        let options = [
            ("same-subnet", self.same_subnet),
            ("when", self.deferred),
            ("force", self.forced),
            ("shield", self.shield),
            ("audit", self.audit),
        ];
        options
            .into_iter()
            .filter_map(|(word, set)| set.then_some(word))
    }
}

/// The sender of a rule, as its user would write it.
pub(crate) fn rip_text(rule: abi::Rule) -> String {
    rule.rip()
        .map_or_else(|| "auto".to_owned(), |rip| rip.to_string())
}
