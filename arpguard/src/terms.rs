//! The terms of a pin, as all rooms speak of them: where it shall be, and what else it is to do. Where
//! it is at present, the rule in the kernel says.

use std::{collections::BTreeMap, sync::Arc};

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

/// For how long a device has to hold its carrier before a pin moves back to it, when nothing else is
/// said; in seconds.
pub const HOLD: u32 = 10;
/// The longest such time, in seconds.
pub const LONGEST_HOLD: u32 = 86_400;

/// What a pin is told beside its addresses. One that names only its device has none: its rule says
/// all.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Terms {
    /// The name of the device that the addresses are pinned to.
    pub dev: String,
    /// Where they go while that one has no carrier.
    pub fallback: Option<Fallback>,
    /// Whether replies from them leave by the device where they are.
    pub route: bool,
    /// Whether a command has said it, and no file: an agent leaves that as it is.
    pub by_hand: bool,
}

/// A second device.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Fallback {
    /// Its name.
    pub dev: String,
    /// For how long the first one has to hold its carrier until the addresses move back; in seconds.
    pub hold: u32,
}

/// The terms that are in use, by the number that rules have for them.
pub type Numbered = BTreeMap<u8, Terms>;

/// The terms that shall be in force, by what they are about.
pub type ByPrefix = BTreeMap<Ipv4Net, Arc<Terms>>;

impl Terms {
    /// The terms of a pin; `None` where it names only its device.
    pub fn of(dev: String, fallback: Option<Fallback>, route: bool, by_hand: bool) -> Option<Self> {
        let terms = Self {
            dev,
            fallback,
            route,
            by_hand,
        };
        (terms.fallback.is_some() || terms.route).then_some(terms)
    }

    /// The names of the devices that the addresses may be on, the wanted one first.
    pub fn devices(&self) -> impl Iterator<Item = &str> {
        let fallback = self.fallback.as_ref().map(|fallback| fallback.dev.as_str());
        std::iter::once(self.dev.as_str()).chain(fallback)
    }

    /// Whether both name the same devices, so that one that was moved stays so.
    pub fn names_the_same(&self, other: &Self) -> bool {
        self.devices().eq(other.devices())
    }
}
