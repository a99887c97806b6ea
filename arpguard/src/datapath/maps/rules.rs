//! The tables of rules.

use arpguard_common::{
    abi::{self, Key, Rule, map},
    policy::Tables as _,
};
use aya::maps::{HashMap, LpmTrie, MapData};
use ipnet::Ipv4Net;
use nix::errno::Errno;

use super::{Bytes, Maps, absent_is_fine, trie_key, unreadable};
use crate::{
    datapath::Place,
    error::{Error, Result, errno},
};

impl Maps {
    /// The rule for exactly this prefix on this device.
    pub fn rule(&self, device: u32, prefix: Ipv4Net) -> Option<Rule> {
        let rule = if prefix.prefix_len() == 32 {
            self.exact(device, prefix.addr())
        } else {
            self.prefixes
                .get(&trie_key(device, prefix), 0)
                .ok()
                .and_then(Rule::from_bytes)
        };
        // A trie also finds shorter prefixes.
        rule.filter(|rule| rule.prefix_len() == prefix.prefix_len())
    }

    /// All rules, with the device (or every one) and the prefix that each is about.
    pub fn rules(&self) -> impl Iterator<Item = Result<(u32, Ipv4Net, Rule)>> + '_ {
        rules(&self.addresses, &self.prefixes)
    }

    /// As [`Self::rules`], of the prefixes alone.
    pub fn prefix_rules(&self) -> impl Iterator<Item = Result<(u32, Ipv4Net, Rule)>> + '_ {
        of_prefixes(&self.prefixes)
    }

    pub(in crate::datapath) fn set_rule(
        &mut self,
        (device, prefix): Place,
        rule: Rule,
    ) -> Result<()> {
        let bytes = rule.to_bytes();
        let written = if prefix.prefix_len() == 32 {
            self.addresses
                .insert(Key::new(device, prefix.addr()).to_bytes(), bytes, 0)
        } else {
            self.prefixes.insert(&trie_key(device, prefix), bytes, 0)
        };
        written.map_err(|cause| match errno(&cause) {
            Some(Errno::E2BIG | Errno::ENOSPC) if prefix.prefix_len() == 32 => {
                full(prefix, "addresses", abi::MAX_ADDRESSES)
            }
            Some(Errno::E2BIG | Errno::ENOSPC) => full(prefix, "prefixes", abi::MAX_PREFIXES),
            _ => Error::from_cause("write a rule", prefix, &cause),
        })
    }

    /// Removing what is not there is no error.
    pub(in crate::datapath) fn remove_rule(&mut self, (device, prefix): Place) -> Result<()> {
        let removed = if prefix.prefix_len() == 32 {
            self.addresses
                .remove(&Key::new(device, prefix.addr()).to_bytes())
        } else {
            self.prefixes.remove(&trie_key(device, prefix))
        };
        absent_is_fine(removed).map_err(|cause| Error::from_cause("remove a rule", prefix, &cause))
    }
}

/// All rules of two tables.
pub(in crate::datapath) fn rules<'a>(
    addresses: &'a HashMap<MapData, Bytes, Bytes>,
    prefixes: &'a LpmTrie<MapData, Bytes, Bytes>,
) -> impl Iterator<Item = Result<(u32, Ipv4Net, Rule)>> + 'a {
    let single = addresses.iter().filter_map(|entry| match entry {
        Ok((key, bytes)) => parse(key, bytes).map(Ok),
        Err(cause) => Some(Err(unreadable(map::ADDRESSES, &cause))),
    });
    single.chain(of_prefixes(prefixes))
}

fn of_prefixes(
    prefixes: &LpmTrie<MapData, Bytes, Bytes>,
) -> impl Iterator<Item = Result<(u32, Ipv4Net, Rule)>> + '_ {
    prefixes.iter().filter_map(|entry| match entry {
        Ok((key, bytes)) => parse(key.data(), bytes).map(Ok),
        Err(cause) => Some(Err(unreadable(map::PREFIXES, &cause))),
    })
}

fn parse(key: Bytes, bytes: Bytes) -> Option<(u32, Ipv4Net, Rule)> {
    let (key, rule) = (Key::from_bytes(key), Rule::from_bytes(bytes)?);
    let prefix = Ipv4Net::new(key.address.into(), rule.prefix_len()).ok()?;
    Some((u32::from_be_bytes(key.device), prefix, rule))
}

fn full(prefix: Ipv4Net, what: &str, most: u32) -> Error {
    Error::new(
        "write a rule",
        prefix,
        format!("there is room for {most} {what}, all taken"),
    )
    .advise("hide fewer, or make room with `arpguard unhide`")
}
