//! Changing many rules as one: all of them, or none.
//!
//! What the rules were is written into a journal first, a map whose pin says that a change is under
//! way. A process that dies leaves the pin, and the next writer puts everything back. What is
//! written in which order, there and back, [`script()`] says.

use std::{net::Ipv4Addr, path::PathBuf};

use arpguard_common::{
    abi::{Key, Rule, Shape},
    policy::Tables as _,
};
use aya::maps::{HashMap, Map, MapData};
use ipnet::Ipv4Net;

use super::{
    Place,
    bpffs::Pins,
    maps::{Maps, NO_PREALLOC},
    script::{Write, script},
    sys,
};
use crate::error::{Error, Result};

/// What shall be of one prefix on one device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Interface index, or [`arpguard_common::policy::EVERY_DEVICE`].
    pub device: u32,
    /// An address (of length 32) or a prefix.
    pub prefix: Ipv4Net,
    /// The rule; `None` removes it.
    pub rule: Option<Rule>,
}

/// A journal's key: device, address, prefix length, zeros. The last entry's is all ones.
type EntryKey = [u8; 12];
/// A journal's value: a rule's bytes (zeros for none) and zeros; or a shape's words.
type Entry = [u32; 4];

const SHAPE_KEY: EntryKey = [0xff; 12];

/// Returns the change that undoes this one.
pub(super) fn commit(
    maps: &mut Maps,
    pins: Option<&Pins>,
    changes: &[Change],
    step: &mut dyn FnMut(usize) -> Result<()>,
) -> Result<Vec<Change>> {
    let before = maps.shape();
    let script = script(changes, before, |device, prefix| maps.rule(device, prefix));
    if script.writes.is_empty() {
        return Ok(Vec::new());
    }
    let mut journal = Journal::create(script.undo.len())?;
    for was in &script.undo {
        journal.remember((was.device, was.prefix), was.rule)?;
    }
    journal.remember_shape(before)?;
    let armed = journal.arm(pins)?;
    match perform(maps, &script.writes, step) {
        Ok(()) => {
            armed.disarm()?;
            Ok(script.undo)
        }
        Err(error) => {
            armed.roll_back(maps)?;
            Err(error)
        }
    }
}

fn perform(
    maps: &mut Maps,
    writes: &[Write],
    step: &mut dyn FnMut(usize) -> Result<()>,
) -> Result<()> {
    let mut done = 0;
    for write in writes {
        match *write {
            Write::Shape(shape) => {
                maps.set_shape(shape)?;
                continue;
            }
            Write::Rule(place, rule) => maps.set_rule(place, rule)?,
            Write::Removal(place) => maps.remove_rule(place)?,
        }
        done += 1;
        step(done)?;
    }
    Ok(())
}

/// Undoes a change whose process has died in the middle of it.
pub(super) fn recover(maps: &mut Maps, pins: &Pins) -> Result<()> {
    match Armed::find(pins)? {
        Some(armed) => armed.roll_back(maps),
        None => Ok(()),
    }
}

/// What puts everything back where a process has died in the middle of a change; nothing where none
/// has.
pub(super) fn undone(pins: &Pins) -> Result<Vec<Change>> {
    match Armed::find(pins)? {
        Some(armed) => armed.read().map(|(_, changes)| changes),
        None => Ok(Vec::new()),
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

    /// Pins it, where the rest is pinned. What one process holds dies with it, rules and all.
    fn arm(self, pins: Option<&Pins>) -> Result<Armed> {
        let Some(pins) = pins else {
            return Ok(Armed {
                journal: self.0,
                path: None,
            });
        };
        let path = pins.journal();
        self.0
            .pin(&path)
            .map_err(|cause| Error::from_cause("pin", path.display(), &cause))?;
        Armed::find(pins)?
            .ok_or_else(|| Error::new("open a pin", path.display(), "the journal is gone again"))
    }
}

/// A journal by which a change can be undone.
struct Armed {
    journal: HashMap<MapData, EntryKey, Entry>,
    path: Option<PathBuf>,
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
        Ok(Some(Self {
            journal,
            path: Some(path),
        }))
    }

    fn disarm(self) -> Result<()> {
        let Some(path) = &self.path else {
            return Ok(());
        };
        sys::unpin(path).map_err(|cause| Error::from_cause("remove a pin", path.display(), &cause))
    }

    /// The shape of before, and the changes that put everything back.
    fn read(&self) -> Result<(Option<Shape>, Vec<Change>)> {
        let mut before = None;
        let mut changes = Vec::new();
        for entry in self.journal.iter() {
            let (key, entry) =
                entry.map_err(|cause| Error::from_cause("read a map", "the journal", &cause))?;
            if key == SHAPE_KEY {
                before = Some(Shape::from_words(entry));
                continue;
            }
            let [a, b, c, d, e, f, g, h, length, ..] = key;
            let prefix = Ipv4Net::new(Ipv4Addr::new(e, f, g, h), length)
                .map_err(|cause| Error::from_cause("read a map", "the journal", &cause))?;
            let [low, high, ..] = entry;
            let word = u64::from(low) | u64::from(high) << 32;
            changes.push(Change {
                device: u32::from_be_bytes([a, b, c, d]),
                prefix,
                rule: Rule::from_bytes(word.to_ne_bytes()),
            });
        }
        Ok((before, changes))
    }

    /// There is room for what returns beside what goes: all of it was there together before the
    /// first removal.
    fn roll_back(self, maps: &mut Maps) -> Result<()> {
        let (before, changes) = self.read()?;
        // A process may have died at any write, so the tables hold at most what they held before,
        // and what the shape tells now.
        let most = sum(before.unwrap_or_default(), maps.shape());
        let script = script(&changes, most, |device, prefix| maps.rule(device, prefix));
        perform(maps, &script.writes, &mut |_| Ok(()))?;
        if let Some(before) = before {
            maps.set_shape(before)?;
        }
        self.disarm()
    }
}

fn sum(one: Shape, other: Shape) -> Shape {
    let [a, b, c, d] = one.to_words();
    let [e, f, g, h] = other.to_words();
    Shape::from_words([
        a.saturating_add(e),
        b.saturating_add(f),
        c.saturating_add(g),
        d.saturating_add(h),
    ])
}
