//! The checks that rules are under. The programs do not see them.

use std::collections::BTreeMap;

use arpguard_common::abi::Key;
use aya::maps::{HashMap, MapData};
use ipnet::Ipv4Net;

use super::{Maps, NO_PREALLOC, absent_is_fine, unreadable};
use crate::{
    check::{Check, LONGEST},
    datapath::Place,
    error::{Error, Result},
    fault,
};

/// Checks, by the places of the rules that are under them.
pub type Checks = BTreeMap<Place, Check>;

pub(in crate::datapath) const CHECKS: &str = "CHECKS";

/// For how many rules there is room.
const MOST: u32 = 4096;

/// Book and device, address, prefix length, zeros.
type PlaceBytes = [u8; 12];
/// The length of the text, and the text.
type CheckBytes = [u8; LONGEST + 1];

pub(in crate::datapath) type CheckMap = HashMap<MapData, PlaceBytes, CheckBytes>;

pub(in crate::datapath) fn create_checks() -> Result<CheckMap> {
    fault::step("map/create", || CheckMap::create(MOST, NO_PREALLOC))
        .map_err(|cause| Error::from_cause("create a map", CHECKS, &cause))
}

impl Maps {
    /// The check that the rule at a place is under.
    pub fn check(&self, place: Place) -> Option<Check> {
        let bytes = self.checks.get(&to_bytes(place), 0).ok()?;
        read(&bytes)
    }

    /// All of them. Some may be of rules that are gone.
    ///
    /// # Errors
    /// Where the map cannot be read.
    pub fn checks(&self) -> Result<Checks> {
        all(&self.checks)
    }

    pub(in crate::datapath) fn set_check(&mut self, place: Place, check: &Check) -> Result<()> {
        let text = check.to_string();
        let mut bytes = [0; LONGEST + 1];
        let length = text.len().min(LONGEST);
        bytes[0] = length as u8;
        bytes[1..=length].copy_from_slice(&text.as_bytes()[..length]);
        let key = to_bytes(place);
        fault::step("map/check", || self.checks.insert(key, bytes, 0))
            .map_err(|cause| Error::from_cause("note the check of", place.prefix, &cause))
    }

    pub(in crate::datapath) fn remove_check(&mut self, place: Place) -> Result<()> {
        let remove = || self.checks.remove(&to_bytes(place));
        absent_is_fine(fault::step("map/check/remove", remove))
            .map_err(|cause| Error::from_cause("forget the check of", place.prefix, &cause))
    }
}

/// The checks that a map holds.
pub(in crate::datapath) fn all(map: &CheckMap) -> Result<Checks> {
    let mut checks = Checks::new();
    for entry in map.iter() {
        let (key, bytes) = entry.map_err(|cause| unreadable(CHECKS, &cause))?;
        checks.extend(from_bytes(key).zip(read(&bytes)));
    }
    Ok(checks)
}

fn read(bytes: &CheckBytes) -> Option<Check> {
    let (length, text) = bytes.split_first()?;
    let text = text.get(..usize::from(*length))?;
    str::from_utf8(text).ok()?.parse().ok()
}

fn to_bytes(place: Place) -> PlaceBytes {
    let [a, b, c, d, e, f, g, h] = place.key().to_bytes();
    [a, b, c, d, e, f, g, h, place.prefix.prefix_len(), 0, 0, 0]
}

fn from_bytes([a, b, c, d, e, f, g, h, length, ..]: PlaceBytes) -> Option<Place> {
    let key = Key::from_bytes([a, b, c, d, e, f, g, h]);
    Some(Place {
        device: key.device(),
        prefix: Ipv4Net::new(key.address.into(), length).ok()?,
        book: key.book(),
    })
}
