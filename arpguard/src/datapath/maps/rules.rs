//! The tables of rules.

use arpguard_common::{
    abi::{self, Key, Rule, Shape, map},
    policy::Tables as _,
};
use aya::maps::{HashMap, LpmTrie, MapData};
use ipnet::Ipv4Net;
use nix::errno::Errno;

use super::{Bytes, Maps, absent_is_fine, blocks::members, full, trie_key, unreadable};
use crate::{
    datapath::{Place, script},
    error::{Error, Result, errno},
    fault,
};

/// Reads a rule as some version lays it out.
pub(in crate::datapath) type Parse = fn(Bytes) -> Option<Rule>;

impl Maps {
    /// The rule at exactly this place.
    pub fn rule(&self, place: Place) -> Option<Rule> {
        let is_single = place.prefix.prefix_len() == 32;
        let in_block = is_single.then(|| self.block(place.key())).flatten();
        in_block.or_else(|| self.entry(place))
    }

    /// The rule that this place has by itself.
    pub(in crate::datapath) fn entry(&self, place: Place) -> Option<Rule> {
        let rule = if place.prefix.prefix_len() == 32 {
            self.exact(place.key())
        } else {
            self.prefixes
                .get(&trie_key(place.key(), place.prefix), 0)
                .ok()
                .and_then(Rule::from_bytes)
        };
        // A trie also finds shorter prefixes.
        rule.filter(|rule| rule.prefix_len() == place.prefix.prefix_len())
    }

    /// All rules, with the place of each. Of two for one place, which a change that is under way may leave,
    /// the later one holds.
    pub fn rules(&self) -> impl Iterator<Item = Result<(Place, Rule)>> + '_ {
        let in_blocks = self.blocks().flat_map(|told| {
            let (block, error) = match told {
                Ok(block) => (Some(block), None),
                Err(error) => (None, Some(Err(error))),
            };
            let members = block.into_iter().flat_map(members).map(Ok);
            members.chain(error)
        });
        rules(&self.addresses, &self.prefixes, Rule::from_bytes).chain(in_blocks)
    }

    /// How many rules there are in each table.
    pub(in crate::datapath) fn count(&self) -> Result<Shape> {
        let mut shape = Shape::default();
        for told in self.blocks() {
            let (key, block) = told?;
            let count = script::blocks(&mut shape, key);
            *count = count.saturating_add(block.len());
        }
        for told in rules(&self.addresses, &self.prefixes, Rule::from_bytes) {
            let (place, _) = told?;
            let count = script::table(&mut shape, place);
            *count = count.saturating_add(1);
        }
        Ok(shape)
    }

    /// As [`Self::rules`], of those that are promoted.
    ///
    /// # Errors
    /// Where a map cannot be read.
    pub fn promoted_rules(&self) -> Result<Vec<(Place, Rule)>> {
        if !self.may_be_promoted() {
            return Ok(Vec::new());
        }
        let is_promoted = |told: &Result<(Place, Rule)>| match told {
            Ok((_, rule)) => rule.is_promoted(),
            Err(_) => true,
        };
        self.rules().filter(is_promoted).collect()
    }

    /// As [`Self::rules`], of the prefixes alone.
    pub fn prefix_rules(&self) -> impl Iterator<Item = Result<(Place, Rule)>> + '_ {
        of_prefixes(&self.prefixes, Rule::from_bytes)
    }

    pub(in crate::datapath) fn set_rule(&mut self, place: Place, rule: Rule) -> Result<()> {
        let prefix = place.prefix;
        let bytes = rule.to_bytes();
        let written = fault::step("map/rule", || {
            if prefix.prefix_len() == 32 {
                self.addresses.insert(place.key().to_bytes(), bytes, 0)
            } else {
                self.prefixes
                    .insert(&trie_key(place.key(), prefix), bytes, 0)
            }
        });
        written.map_err(|cause| match errno(&cause) {
            Some(Errno::E2BIG | Errno::ENOSPC) if prefix.prefix_len() == 32 => {
                full(prefix, "addresses", abi::MAX_ADDRESSES)
            }
            Some(Errno::E2BIG | Errno::ENOSPC) => full(prefix, "prefixes", abi::MAX_PREFIXES),
            _ => Error::from_cause("write a rule", prefix, &cause),
        })
    }

    /// Removing what is not there is no error.
    pub(in crate::datapath) fn remove_rule(&mut self, place: Place) -> Result<()> {
        let prefix = place.prefix;
        let removed = fault::step("map/rule/remove", || {
            if prefix.prefix_len() == 32 {
                self.addresses.remove(&place.key().to_bytes())
            } else {
                self.prefixes.remove(&trie_key(place.key(), prefix))
            }
        });
        absent_is_fine(removed).map_err(|cause| Error::from_cause("remove a rule", prefix, &cause))
    }
}

/// All rules of two tables, which `parse` reads.
pub(in crate::datapath) fn rules<'a>(
    addresses: &'a HashMap<MapData, Bytes, Bytes>,
    prefixes: &'a LpmTrie<MapData, Bytes, Bytes>,
    parse: Parse,
) -> impl Iterator<Item = Result<(Place, Rule)>> + 'a {
    let single = addresses.iter().filter_map(move |entry| match entry {
        Ok((key, bytes)) => placed(key, parse(bytes)?).map(Ok),
        Err(cause) => Some(Err(unreadable(map::ADDRESSES, &cause))),
    });
    single.chain(of_prefixes(prefixes, parse))
}

fn of_prefixes(
    prefixes: &LpmTrie<MapData, Bytes, Bytes>,
    parse: Parse,
) -> impl Iterator<Item = Result<(Place, Rule)>> + '_ {
    prefixes.iter().filter_map(move |entry| match entry {
        Ok((key, bytes)) => placed(key.data(), parse(bytes)?).map(Ok),
        Err(cause) => Some(Err(unreadable(map::PREFIXES, &cause))),
    })
}

fn placed(key: Bytes, rule: Rule) -> Option<(Place, Rule)> {
    let key = Key::from_bytes(key);
    let place = Place {
        device: key.device(),
        prefix: Ipv4Net::new(key.address.into(), rule.prefix_len()).ok()?,
        book: key.book(),
    };
    Some((place, rule))
}
