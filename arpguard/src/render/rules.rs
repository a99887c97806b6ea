//! The rules, as `arpguard list` shows them.

use arpguard_common::{abi, policy::EVERY_DEVICE, verdict::Mode};
use ipnet::Ipv4Net;
use serde::Serialize;

use crate::{
    datapath::{Maps, Place},
    error::Result,
    host::Host,
};

/// One rule.
#[derive(Clone, Debug, Serialize)]
pub struct Rule {
    /// Its kind.
    pub policy: &'static str,
    /// The address (of length 32) or prefix.
    pub address: Ipv4Net,
    /// The device that it holds on; `None` for every device.
    pub device: Option<String>,
    /// The sender in place of the address: an address, or `auto`.
    pub rip: String,
    /// Whether others' claims of the address are kept from this host.
    pub shield: bool,
    /// Whether it only counts.
    pub audit: bool,
}

/// Reads all rules, in the order of their addresses.
///
/// # Errors
/// Where a map cannot be read.
pub fn read(maps: &Maps, host: &Host) -> Result<Vec<Rule>> {
    let mut rules: Vec<_> = maps.rules().collect::<Result<_>>()?;
    rules.sort_unstable_by_key(|(device, prefix, _)| (*prefix, *device));
    let show = |(device, prefix, rule)| Rule::of((device, prefix), rule, host);
    Ok(rules.into_iter().map(show).collect())
}

impl Rule {
    /// The rule at a place.
    pub fn of((device, address): Place, rule: abi::Rule, host: &Host) -> Self {
        let name = |device: u32| match host.by_index(device) {
            Some(device) => device.name.clone(),
            None => format!("if{device} (gone)"),
        };
        Self {
            policy: rule.policy().name(),
            address,
            device: (device != EVERY_DEVICE).then(|| name(device)),
            rip: rip_text(rule),
            shield: rule.shields(),
            audit: rule.mode() == Mode::Audit,
        }
    }
}

/// The sender of a rule, as its user would write it.
pub(crate) fn rip_text(rule: abi::Rule) -> String {
    rule.rip()
        .map_or_else(|| "auto".to_owned(), |rip| rip.to_string())
}
