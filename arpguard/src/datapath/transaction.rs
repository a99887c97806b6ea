//! Changing many rules as one: all of them, or none.
//!
//! What the rules were is written into a journal first, a map whose pin says that a change is under
//! way. A process that dies leaves the pin, and the next writer puts everything back. What is
//! written in which order, there and back, [`script()`] says.

use std::{io, net::Ipv4Addr, path::PathBuf};

use arpguard_common::abi::{Key, Rule};
use aya::maps::{HashMap, Map, MapData};
use ipnet::Ipv4Net;

use super::{
    Place,
    bpffs::Pins,
    maps::{self, Maps, NO_PREALLOC, Parse},
    script::{Script, Write, script},
    sys,
};
use crate::{
    error::{Error, Result},
    fault,
};

/// What shall be at one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The place.
    pub place: Place,
    /// The rule; `None` removes it.
    pub rule: Option<Rule>,
}

/// A journal's key: book and device, address, prefix length, zeros.
type EntryKey = [u8; 12];
/// A journal's value: a rule's bytes (zeros for none) and zeros.
type Entry = [u32; 4];

/// Returns the change that undoes this one.
pub(super) fn commit(
    maps: &mut Maps,
    pins: Option<&Pins>,
    changes: &[Change],
    step: &mut dyn FnMut(usize) -> Result<()>,
) -> Result<Vec<Change>> {
    let script = scripted(maps, changes);
    if script.writes.is_empty() {
        return Ok(Vec::new());
    }
    let promotes = |change: &Change| change.rule.is_some_and(Rule::is_promoted);
    if changes.iter().any(promotes) {
        maps.expect_promoted()?;
    }
    let mut journal = Journal::create(script.undo.len())?;
    for was in &script.undo {
        journal.remember(was.place, was.rule)?;
    }
    let armed = journal.arm(pins)?;
    let removes = changes.iter().any(|change| change.rule.is_none());
    // While the journal is there, the next writer undoes the change: so without removing it, the
    // change has failed.
    let done = maps
        .open_sieve(single(changes))
        .and_then(|()| perform(maps, &script.writes, step))
        .and_then(|()| if removes { maps.close_sieve() } else { Ok(()) })
        .and_then(|()| armed.disarm());
    match done {
        Ok(()) => Ok(script.undo),
        Err(error) => {
            armed.roll_back(maps)?;
            Err(error)
        }
    }
}

/// The single addresses that get a rule.
fn single(changes: &[Change]) -> impl Iterator<Item = Ipv4Addr> {
    let gets_one =
        |change: &&Change| change.rule.is_some() && change.place.prefix.prefix_len() == 32;
    changes
        .iter()
        .filter(gets_one)
        .map(|change| change.place.prefix.addr())
}

fn scripted(maps: &Maps, changes: &[Change]) -> Script {
    script(
        changes,
        maps.shape(),
        |place| maps.entry(place),
        |key| maps.block_at(key),
    )
}

fn perform(
    maps: &mut Maps,
    writes: &[Write],
    step: &mut dyn FnMut(usize) -> Result<()>,
) -> Result<()> {
    let mut done = 0;
    for write in writes {
        done += match *write {
            Write::Shape(shape) => {
                maps.set_shape(shape)?;
                continue;
            }
            Write::GracePeriod => {
                sys::wait_for_runs()
                    .map_err(|cause| Error::from_cause("wait for", "the programs", &cause))?;
                continue;
            }
            Write::Rule(place, rule) => maps.set_rule(place, rule).map(|()| 1)?,
            Write::Removal(place) => maps.remove_rule(place).map(|()| 1)?,
            Write::Block { key, block, places } => maps.set_block(key, block).map(|()| places)?,
        };
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

/// What puts everything back where a process of a former version, whose rules `parse` reads, has died
/// in the middle of a change; nothing where none has.
pub(super) fn undone(pins: &Pins, parse: Parse) -> Result<Vec<Change>> {
    match Armed::find(pins)? {
        Some(armed) => armed.read(parse),
        None => Ok(Vec::new()),
    }
}

struct Journal(HashMap<MapData, EntryKey, Entry>);

impl Journal {
    fn create(changes: usize) -> Result<Self> {
        // There may be none, and a map has room for one at least.
        let entries = u32::try_from(changes).unwrap_or(u32::MAX).max(1);
        fault::step("journal/create", || HashMap::create(entries, NO_PREALLOC))
            .map(Self)
            .map_err(|cause| Error::from_cause("create a map", "the journal", &cause))
    }

    fn remember(&mut self, place: Place, rule: Option<Rule>) -> Result<()> {
        let [a, b, c, d, e, f, g, h] = place.key().to_bytes();
        let key = [a, b, c, d, e, f, g, h, place.prefix.prefix_len(), 0, 0, 0];
        let word = u64::from_ne_bytes(rule.map_or([0; 8], Rule::to_bytes));
        let entry = [word as u32, (word >> 32) as u32, 0, 0];
        self.write(key, entry)
    }

    fn write(&mut self, key: EntryKey, entry: Entry) -> Result<()> {
        fault::step("journal/write", || self.0.insert(key, entry, 0))
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
        fault::step("pin", || self.0.pin(&path).map_err(io::Error::other))
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
        let found = maps::find(&path, Map::HashMap)?;
        Ok(found.map(|journal| Self {
            journal,
            path: Some(path),
        }))
    }

    fn disarm(&self) -> Result<()> {
        let Some(path) = &self.path else {
            return Ok(());
        };
        sys::unpin(path).map_err(|cause| Error::from_cause("remove a pin", path.display(), &cause))
    }

    /// The changes that put everything back.
    fn read(&self, parse: Parse) -> Result<Vec<Change>> {
        let mut changes = Vec::new();
        for entry in self.journal.iter() {
            let (key, entry) =
                entry.map_err(|cause| Error::from_cause("read a map", "the journal", &cause))?;
            let [a, b, c, d, e, f, g, h, length, ..] = key;
            // Versions up to 6 kept a shape there.
            if length > 32 {
                continue;
            }
            let key = Key::from_bytes([a, b, c, d, e, f, g, h]);
            let prefix = Ipv4Net::new(key.address.into(), length)
                .map_err(|cause| Error::from_cause("read a map", "the journal", &cause))?;
            let [low, high, ..] = entry;
            let word = u64::from(low) | u64::from(high) << 32;
            changes.push(Change {
                place: Place {
                    device: key.device(),
                    prefix,
                    book: key.book(),
                },
                rule: parse(word.to_ne_bytes()),
            });
        }
        Ok(changes)
    }

    /// There is room for what returns beside what goes: all of it was there together before the
    /// first removal. Only an address that was in a block and returns by itself was not, and there is
    /// room for as many of these as for addresses at all, unless the blocks hold more than that.
    fn roll_back(&self, maps: &mut Maps) -> Result<()> {
        let changes = self.read(Rule::from_bytes)?;
        // A process may have died at any write: the shape may tell too much, and never too little.
        let script = scripted(maps, &changes);
        maps.open_sieve(single(&changes))?;
        perform(maps, &script.writes, &mut |_| Ok(()))?;
        // Nor need an address that was in a block be in one again.
        let counted = maps.count()?;
        maps.set_shape(counted)?;
        self.disarm()
    }
}
