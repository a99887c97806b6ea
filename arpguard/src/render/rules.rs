//! The rules, as `arpguard list` shows them.

use arpguard_common::{
    abi::{self, EVERY_DEVICE},
    verdict::{Mode, Policy},
};
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::{
    check::Check,
    datapath::{Maps, Place},
    error::Result,
    host::Host,
    plan,
    policy::{EVERY_ADDRESS, prefix_text},
    terms::{Numbered, Terms},
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
    /// Whether it hides nothing for the time being, since this host is the director.
    pub promoted: bool,
    /// The hardware address that is answered with, or that alone may claim the address; `None` where
    /// the policy names none: the device answers with its own.
    pub mac: Option<String>,
    /// What must hold for the agent to answer; `None` where the programs do.
    pub when: Option<String>,
    /// Whether it answers even where somebody else claims the address.
    pub forced: bool,
    /// Of a pin with a fallback or routes: what it wants, and whether it has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub home: Option<Home>,
}

/// Where a pin wants to be.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Home {
    /// The device that it names.
    pub device: String,
    /// The device where it goes while that one has no carrier.
    pub fallback: Option<String>,
    /// For how many seconds the first has to hold its carrier before it moves back.
    pub hold: Option<u32>,
    /// Whether replies leave by the device where it is.
    pub route: bool,
    /// Why it is on its fallback: what the first device is; `None` where it is not.
    pub moved: Option<String>,
}

/// Reads all rules, in the order of their addresses.
///
/// # Errors
/// Where a map cannot be read.
pub fn read(maps: &Maps, host: &Host) -> Result<Vec<Rule>> {
    let mut rules: Vec<_> = maps.rules().collect::<Result<_>>()?;
    rules.sort_unstable_by_key(|(place, _)| (place.prefix, place.book, place.device));
    let terms = maps.terms()?;
    let checks = maps.checks()?;
    let show = |(place, rule)| Rule::of(place, rule, &terms, host).under(checks.get(&place));
    Ok(rules.into_iter().map(show).collect())
}

impl Rule {
    /// The rule at a place, where these are the terms in use.
    pub fn of(place: Place, rule: abi::Rule, terms: &Numbered, host: &Host) -> Self {
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
            when: rule.is_deferred().then(String::new),
            forced: rule.is_forced(),
            shield: rule.shields(),
            audit: rule.mode() == Mode::Audit,
            same_subnet: rule.wants_same_subnet(),
            promoted: rule.is_promoted(),
            home: terms
                .get(&rule.terms())
                .map(|terms| Home::of(terms, rule, host)),
        }
    }

    /// The same, under a check.
    #[must_use]
    pub fn under(mut self, check: Option<&Check>) -> Self {
        if let (Some(when), Some(check)) = (&mut self.when, check) {
            *when = check.to_string();
        }
        self
    }
}

impl Home {
    fn of(terms: &Terms, rule: abi::Rule, host: &Host) -> Self {
        let fallback = terms.fallback.as_ref();
        Self {
            device: terms.dev.clone(),
            fallback: fallback.map(|fallback| fallback.dev.clone()),
            hold: fallback.map(|fallback| fallback.hold),
            route: terms.route,
            moved: plan::away(terms, rule.home(), host).map(str::to_owned),
        }
    }

    /// As options, and where it is away from.
    fn words(&self) -> Vec<String> {
        let mut words = Vec::new();
        if let (Some(fallback), Some(hold)) = (&self.fallback, self.hold) {
            words.push(format!("fallback {fallback} hold {hold}"));
        }
        if self.route {
            words.push("route".to_owned());
        }
        if let Some(why) = &self.moved {
            words.push(format!("(moved from {}: {why})", self.device));
        }
        words
    }
}

impl Rule {
    /// The address as its user would write it, where there is one.
    pub(crate) fn address_text(&self) -> Option<String> {
        self.address.map(prefix_text)
    }

    /// The words of the options that are set.
    pub(crate) fn options(&self) -> impl Iterator<Item = String> {
        let options = [
            ("same-subnet", self.same_subnet),
            ("force", self.forced),
            ("shield", self.shield),
            ("audit", self.audit),
            ("promoted", self.promoted),
        ];
        let set = options.into_iter().filter(|(_, set)| *set);
        let home = self.home.iter().flat_map(Home::words);
        let when = self.when.iter().map(|check| format!("when {check}"));
        set.map(|(word, _)| word.to_owned()).chain(when).chain(home)
    }
}

/// The sender of a rule, as its user would write it.
pub(crate) fn rip_text(rule: abi::Rule) -> String {
    rule.rip()
        .map_or_else(|| "auto".to_owned(), |rip| rip.to_string())
}
