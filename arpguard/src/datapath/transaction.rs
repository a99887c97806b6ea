//! Changing many rules as one: all of them, or none.
//!
//! What the rules were is written into a journal first, a map whose pin says that a change is under
//! way. A process that dies leaves the pin, and the next writer puts everything back. Rules are
//! added before any is removed, so an address that both policies guard is never unguarded.

use std::{collections::BTreeMap, fs, io, net::Ipv4Addr, path::PathBuf};

use arpguard_common::{
    abi::{Key, Rule, Shape},
    policy::{EVERY_DEVICE, Tables as _},
};
use aya::maps::{HashMap, Map, MapData};
use ipnet::Ipv4Net;

use super::{
    bpffs::Pins,
    maps::{Maps, Place},
};
use crate::error::{Error, Result};

/// What shall be of one prefix on one device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Interface index, or [`EVERY_DEVICE`].
    pub device: u32,
    /// An address (of length 32) or a prefix.
    pub prefix: Ipv4Net,
    /// The rule; `None` removes it.
    pub rule: Option<Rule>,
}

/// `BPF_F_NO_PREALLOC`
const NO_PREALLOC: u32 = 1;

/// A journal's key: device, address, prefix length, zeros. The last entry's is all ones.
type EntryKey = [u8; 12];
/// A journal's value: a rule's bytes (zeros for none) and zeros; or a shape's words.
type Entry = [u32; 4];

const SHAPE_KEY: EntryKey = [0xff; 12];

pub(super) fn commit(
    maps: &mut Maps,
    pins: &Pins,
    changes: &[Change],
    step: &mut dyn FnMut(usize) -> Result<()>,
) -> Result<()> {
    let changes: BTreeMap<Place, Option<Rule>> = changes
        .iter()
        .map(|change| ((change.device, change.prefix), change.rule))
        .collect();
    let before = maps.shape();
    let mut after = before;
    let mut largest = before;
    let mut journal = Journal::create(changes.len())?;
    for (place, rule) in &changes {
        let old = maps.rule(place.0, place.1);
        journal.remember(*place, old)?;
        match (old, rule) {
            (None, Some(_)) => {
                *table(&mut after, *place) += 1;
                *table(&mut largest, *place) += 1;
            }
            (Some(_), None) => *table(&mut after, *place) -= 1,
            _ => {}
        }
    }
    journal.remember_shape(before)?;
    let armed = journal.arm(pins)?;
    let mut write = |maps: &mut Maps| -> Result<()> {
        maps.set_shape(largest)?;
        let mut done = 0;
        let added = changes
            .iter()
            .filter_map(|(place, rule)| Some((place, (*rule)?)));
        for (place, rule) in added {
            maps.set_rule(*place, rule)?;
            done += 1;
            step(done)?;
        }
        for (place, _) in changes.iter().filter(|(_, rule)| rule.is_none()) {
            maps.remove_rule(*place)?;
            done += 1;
            step(done)?;
        }
        maps.set_shape(after)
    };
    match write(maps) {
        Ok(()) => armed.disarm(),
        Err(error) => {
            armed.roll_back(maps)?;
            Err(error)
        }
    }
}

/// Undoes a change whose process has died in the middle of it.
pub(super) fn recover(maps: &mut Maps, pins: &Pins) -> Result<()> {
    match Armed::find(pins)? {
        Some(armed) => armed.roll_back(maps),
        None => Ok(()),
    }
}

fn table(shape: &mut Shape, (device, prefix): Place) -> &mut u32 {
    match (device == EVERY_DEVICE, prefix.prefix_len() == 32) {
        (true, true) => &mut shape.exact,
        (false, true) => &mut shape.exact_on_device,
        (true, false) => &mut shape.prefixes,
        (false, false) => &mut shape.prefixes_on_device,
    }
}

struct Journal(HashMap<MapData, EntryKey, Entry>);

impl Journal {
    fn create(changes: usize) -> Result<Self> {
        // One more for the shape.
        let entries = u32::try_from(changes).unwrap_or(u32::MAX).saturating_add(1);
        HashMap::create(entries, NO_PREALLOC)
            .map(Self)
            .map_err(|cause| Error::from_cause("create a map", "the journal", &cause))
    }

    fn remember(&mut self, (device, prefix): Place, rule: Option<Rule>) -> Result<()> {
        let [a, b, c, d, e, f, g, h] = Key::new(device, prefix.addr()).to_bytes();
        let key = [a, b, c, d, e, f, g, h, prefix.prefix_len(), 0, 0, 0];
        let word = u64::from_ne_bytes(rule.map_or([0; 8], Rule::to_bytes));
        let entry = [word as u32, (word >> 32) as u32, 0, 0];
        self.write(key, entry)
    }

    fn remember_shape(&mut self, shape: Shape) -> Result<()> {
        self.write(SHAPE_KEY, shape.to_words())
    }

    fn write(&mut self, key: EntryKey, entry: Entry) -> Result<()> {
        self.0
            .insert(key, entry, 0)
            .map_err(|cause| Error::from_cause("write", "the journal", &cause))
    }

    fn arm(self, pins: &Pins) -> Result<Armed> {
        let path = pins.journal();
        self.0
            .pin(&path)
            .map_err(|cause| Error::from_cause("pin", path.display(), &cause))?;
        Armed::find(pins)?
            .ok_or_else(|| Error::new("open a pin", path.display(), "the journal is gone again"))
    }
}

/// A journal that is pinned.
struct Armed {
    journal: HashMap<MapData, EntryKey, Entry>,
    path: PathBuf,
}

impl Armed {
    fn find(pins: &Pins) -> Result<Option<Self>> {
        let path = pins.journal();
        if !path.exists() {
            return Ok(None);
        }
        let journal = MapData::from_pin(&path)
            .and_then(|data| HashMap::try_from(Map::HashMap(data)))
            .map_err(|cause| Error::from_cause("open a pin", path.display(), &cause))?;
        Ok(Some(Self { journal, path }))
    }

    fn disarm(self) -> Result<()> {
        match fs::remove_file(&self.path) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(Error::from_cause(
                "remove a pin",
                self.path.display(),
                &cause,
            )),
            _ => Ok(()),
        }
    }

    fn roll_back(self, maps: &mut Maps) -> Result<()> {
        let mut shape = None;
        let mut returning = Vec::new();
        for entry in self.journal.iter() {
            let (key, entry) =
                entry.map_err(|cause| Error::from_cause("read a map", "the journal", &cause))?;
            if key == SHAPE_KEY {
                shape = Some(Shape::from_words(entry));
                continue;
            }
            let [a, b, c, d, e, f, g, h, length, ..] = key;
            let prefix = Ipv4Net::new(Ipv4Addr::new(e, f, g, h), length)
                .map_err(|cause| Error::from_cause("read a map", "the journal", &cause))?;
            let place = (u32::from_be_bytes([a, b, c, d]), prefix);
            let [low, high, ..] = entry;
            let word = u64::from(low) | u64::from(high) << 32;
            match Rule::from_bytes(word.to_ne_bytes()) {
                Some(rule) => returning.push((place, rule)),
                // First, so that there is room for what returns.
                None => maps.remove_rule(place)?,
            }
        }
        for (place, rule) in returning {
            maps.set_rule(place, rule)?;
        }
        if let Some(shape) = shape {
            maps.set_shape(shape)?;
        }
        self.disarm()
    }
}
