//! What a user asks for, and whether it makes sense: on any host, and on this one.

mod check;
mod devices;
mod text;

use std::net::Ipv4Addr;

use arpguard_common::{abi::Rule, policy::EVERY_DEVICE, verdict::Mode};
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

pub(crate) use self::check::{MEANT, NEEDED, longest_match, needed, unresolvable};
pub use self::{
    check::{Part, Refusal, check, check_on},
    devices::{devices, existing, guardable},
    text::{parse_mac, parse_prefix, parse_rip, prefix_text},
};
use crate::device::Device;

/// The sender that takes a hidden address's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub enum Rip {
    /// The primary address of the outgoing device, in the subnet of the target.
    Auto,
    /// This one.
    Address(Ipv4Addr),
}

/// Addresses to hide.
#[derive(Clone, Debug)]
pub struct Hide {
    /// The addresses (of length 32) and prefixes.
    pub prefixes: Vec<Ipv4Net>,
    /// The sender to use instead.
    pub rip: Rip,
    /// Whether others' claims of the addresses are kept from this host.
    pub shield: bool,
    /// Whether verdicts are carried out.
    pub mode: Mode,
    /// Whether to hide even what this host needs.
    pub force: bool,
}

impl Hide {
    /// The rule for one of the prefixes.
    pub fn rule(&self, prefix: Ipv4Net) -> Rule {
        let rip = match self.rip {
            Rip::Auto => None,
            Rip::Address(address) => Some(address),
        };
        Rule::hide(prefix.prefix_len(), rip, self.mode, self.shield)
    }

    /// Whether this hides `address`.
    pub fn covers(&self, address: Ipv4Addr) -> bool {
        self.prefixes.iter().any(|prefix| prefix.contains(&address))
    }
}

/// Addresses to hide, on devices of this host.
#[derive(Clone, Debug)]
pub struct Placed<'a> {
    /// The addresses.
    pub hide: &'a Hide,
    /// The guarded devices that they are hidden on.
    pub devices: Vec<&'a Device>,
    /// Whether they are hidden on every device, so on those that are guarded later, too.
    pub everywhere: bool,
}

impl Placed<'_> {
    /// Where the rules go: interface indexes, or every device.
    pub fn places(&self) -> Vec<u32> {
        if self.everywhere {
            vec![EVERY_DEVICE]
        } else {
            self.devices.iter().map(|device| device.index).collect()
        }
    }
}

#[cfg(test)]
mod tests;
