//! A whole policy as rules: what the tables in the kernel hold, or shall hold.

use std::{
    collections::{BTreeMap, btree_map},
    net::Ipv4Addr,
};

use arpguard_common::{
    abi::{InUse, Key, Local, Rule, Shape},
    policy::Tables,
    wire::Mac,
};
use ipnet::Ipv4Net;

use crate::{
    datapath::{Change, Place, table},
    error::Result,
    policy::longest_match,
};

/// Rules by their places: devices, or every device, and prefixes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    by_place: BTreeMap<Place, Rule>,
    pub(super) shape: Shape,
}

impl Rules {
    /// Sets the rule at a place, and returns the one that was there.
    pub fn insert(&mut self, place: Place, rule: Rule) -> Option<Rule> {
        let old = self.by_place.insert(place, rule);
        if old.is_none() {
            let count = table(&mut self.shape, place);
            *count = count.saturating_add(1);
        }
        old
    }

    /// Removes the rule at a place, and returns it.
    pub fn remove(&mut self, place: Place) -> Option<Rule> {
        let old = self.by_place.remove(&place);
        if old.is_some() {
            let count = table(&mut self.shape, place);
            *count = count.saturating_sub(1);
        }
        old
    }

    /// The rule at exactly this place.
    pub fn at(&self, place: Place) -> Option<Rule> {
        self.by_place.get(&place).copied()
    }

    /// All rules, in the order of their places.
    pub fn iter(&self) -> btree_map::Iter<'_, Place, Rule> {
        self.by_place.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_place.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_place.is_empty()
    }

    /// Collects what a table in the kernel tells.
    ///
    /// # Errors
    /// The first that the table has.
    pub fn read(told: impl Iterator<Item = Result<(Place, Rule)>>) -> Result<Self> {
        let mut rules = Self::default();
        for told in told {
            let (place, rule) = told?;
            rules.insert(place, rule);
        }
        Ok(rules)
    }
}

impl<'a> FromIterator<&'a Change> for Rules {
    /// The rules that changes write, without what they remove.
    fn from_iter<I: IntoIterator<Item = &'a Change>>(changes: I) -> Self {
        let mut rules = Self::default();
        for change in changes {
            if let Some(rule) = change.rule {
                rules.insert(change.place, rule);
            }
        }
        rules
    }
}

/// As the programs would find them. No device has addresses here.
impl Tables for Rules {
    fn in_use(&self) -> InUse {
        self.shape.in_use()
    }

    fn exact(&self, key: Key) -> Option<Rule> {
        self.at(place(key, Ipv4Addr::from(key.address).into()))
    }

    fn prefix(&self, key: Key) -> Option<Rule> {
        let is_one =
            |prefix: Ipv4Net| prefix.prefix_len() < 32 && self.at(place(key, prefix)).is_some();
        let prefix = longest_match(key.address.into(), is_one)?;
        self.at(place(key, prefix))
    }

    fn claimant(&self, _key: Key) -> Option<Mac> {
        None
    }

    fn local(&self, _device: u32, _target: Ipv4Addr) -> Option<Local> {
        None
    }

    fn mac(&self, _device: u32) -> Option<Mac> {
        None
    }
}

fn place(key: Key, prefix: Ipv4Net) -> Place {
    Place {
        device: key.device(),
        prefix,
        book: key.book(),
    }
}
