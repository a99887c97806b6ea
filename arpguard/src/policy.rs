//! What a user asks for, and whether it makes sense: on any host, and on this one.

mod check;
mod clash;
mod deaf;
mod devices;
mod placed;
mod text;

use std::net::Ipv4Addr;

use arpguard_common::{
    verdict::{Mode, Policy},
    wire::Mac,
};
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

pub(crate) use self::check::{FREE, MEANT, cost, longest_match, needed, unresolvable};
pub use self::{
    check::{Part, Refusal, check, check_on, is_hidden},
    clash::{clash, state_text, undo_text},
    deaf::deaf,
    devices::{devices, existing, guardable, unreadable},
    placed::{Placed, Scope},
    text::{parse_mac, parse_prefix, parse_rip, participle, prefix_text},
};

/// The prefix of rules that are about every address: no other policy may name it.
pub const EVERY_ADDRESS: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 0);

/// The sender that takes a hidden address's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub enum Rip {
    /// The primary address of the outgoing device, in the subnet of the target.
    Auto,
    /// This one.
    Address(Ipv4Addr),
}

/// A kind of policy, with what it is told beside addresses and devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The LAN never learns from this host that it has the addresses.
    Hide {
        /// The sender to use instead.
        rip: Rip,
        /// Whether others' claims of the addresses are kept from this host.
        shield: bool,
    },
    /// Of this host's devices only one answers and speaks for the addresses.
    Pin,
    /// A device answers and speaks only for what it owns and what is pinned to it.
    Strict {
        /// Whether only who is in one of its subnets is answered.
        same_subnet: bool,
    },
    /// arpguard itself replies for the addresses, whoever owns them.
    Answer {
        /// The hardware address to answer with; `None` for the device's own.
        mac: Option<Mac>,
        /// Whether user space answers, if it finds that it should.
        deferred: bool,
    },
    /// Only one hardware address may claim the addresses.
    Bind {
        /// It.
        mac: Mac,
    },
}

impl Kind {
    /// Which policy it is.
    pub const fn policy(self) -> Policy {
        match self {
            Self::Hide { .. } => Policy::Hide,
            Self::Pin => Policy::Pin,
            Self::Strict { .. } => Policy::Strict,
            Self::Answer { .. } => Policy::Answer,
            Self::Bind { .. } => Policy::Bind,
        }
    }
}

/// What one command, or one block of a file, asks for.
#[derive(Clone, Debug)]
pub struct Block {
    /// The policy.
    pub kind: Kind,
    /// The addresses (of length 32) and prefixes that it is about.
    pub prefixes: Vec<Ipv4Net>,
    /// Whether verdicts are carried out.
    pub mode: Mode,
    /// Whether it holds even for what this host needs.
    pub force: bool,
}

impl Block {
    /// The sender that the block names.
    const fn rip(&self) -> Option<Ipv4Addr> {
        match self.kind {
            Kind::Hide {
                rip: Rip::Address(rip),
                ..
            } => Some(rip),
            Kind::Hide { rip: Rip::Auto, .. }
            | Kind::Pin
            | Kind::Strict { .. }
            | Kind::Answer { .. }
            | Kind::Bind { .. } => None,
        }
    }

    /// Whether one of the prefixes holds `address`.
    fn covers(&self, address: Ipv4Addr) -> bool {
        self.prefixes.iter().any(|prefix| prefix.contains(&address))
    }
}

#[cfg(test)]
mod tests;
