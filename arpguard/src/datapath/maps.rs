//! The maps, typed: the one place where their bytes are made and read.

mod blocks;
mod checks;
mod claims;
mod counters;
mod devices;
mod notes;
mod rules;
mod sieve;
mod source;
mod stations;
mod terms;

use std::{
    collections::BTreeMap,
    fmt::Display,
    net::Ipv4Addr,
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
};

use arpguard_common::{
    abi::{Extent, InUse, Key, Local, Meters, Rule, Shape, map},
    policy::Tables,
    wire::Mac,
};
use aya::maps::{
    Array, HashMap, LpmTrie, Map, MapData, MapError, PerCpuHashMap, lpm_trie::Key as TrieKey,
};
use ipnet::Ipv4Net;
use nix::errno::Errno;

use self::{
    blocks::BlockMap,
    claims::HeardMap,
    devices::{DeviceMaps, local_key},
    notes::NoteBytes,
    sieve::SieveMap,
    source::{Kind, open_any},
};
pub use self::{
    checks::Checks,
    counters::{Left, Totals},
    devices::Known,
};
pub(super) use self::{
    checks::{CHECKS, CheckMap, all as checks, create_checks},
    claims::{ClaimMap, all as claims, look_for_any},
    counters::CounterMaps,
    notes::{NOTES, Note, Notes, create_notes},
    rules::{Parse, rules},
    source::{Source, descriptor, find, open},
    terms::all as terms,
};
use super::bpffs::Pins;
use crate::{
    error::{Error, Result, errno},
    fault,
};

/// `BPF_F_NO_PREALLOC`
pub(super) const NO_PREALLOC: u32 = 1;

type Bytes = [u8; 8];

/// The maps of one network namespace.
pub struct Maps {
    shape: Array<MapData, [u32; Extent::WORDS]>,
    sieve: SieveMap,
    addresses: HashMap<MapData, Bytes, Bytes>,
    blocks: BlockMap,
    prefixes: LpmTrie<MapData, Bytes, Bytes>,
    local: LpmTrie<MapData, Bytes, Bytes>,
    devices: DeviceMaps,
    stations: HashMap<MapData, Bytes, u32>,
    counters: CounterMaps,
    meters: PerCpuHashMap<MapData, u32, Meters>,
    claims: ClaimMap,
    heard: HeardMap,
    notes: Notes,
    checks: CheckMap,
    /// Those of the object, open once more, for programs that are loaded over them.
    descriptors: BTreeMap<String, OwnedFd>,
}

impl Maps {
    /// Those that are pinned.
    pub(super) fn open(pins: &Pins) -> Result<Self> {
        let notes = open(pins, NOTES, Map::HashMap)?;
        let checks = open(pins, CHECKS, Map::HashMap)?;
        Self::take((notes, checks), |name, kind| open_any(pins, name, kind))
    }

    /// The notes, the checks, and those that `take` gives by name, of the kind that is wanted.
    pub(super) fn take(
        (notes, checks): (Notes, CheckMap),
        mut take: impl FnMut(&str, Kind) -> Result<Map>,
    ) -> Result<Self> {
        let mut descriptors = BTreeMap::new();
        let mut source = Source(|name: &str, kind| {
            let map = take(name, kind)?;
            let tried = |cause| Error::from_cause("open a map", name, &cause);
            let opened = descriptor(&map).and_then(|of| of.try_clone_to_owned());
            descriptors.insert(name.to_owned(), opened.map_err(tried)?);
            Ok(map)
        });
        // Whoever reads it opens it by its descriptor.
        drop((source.0)(map::REQUESTS, Map::RingBuf)?);
        Ok(Self {
            shape: source.typed(map::SHAPE, Map::Array)?,
            sieve: source.typed(map::SIEVE, Map::Array)?,
            addresses: source.typed(map::ADDRESSES, Map::HashMap)?,
            blocks: source.typed(map::BLOCKS, Map::HashMap)?,
            prefixes: source.typed(map::PREFIXES, Map::LpmTrie)?,
            local: source.typed(map::LOCAL, Map::LpmTrie)?,
            devices: DeviceMaps {
                low: source.typed(map::LOW_DEVICES, Map::Array)?,
                others: source.typed(map::DEVICES, Map::HashMap)?,
            },
            stations: source.typed(map::STATIONS, Map::HashMap)?,
            counters: CounterMaps::take(&mut source)?,
            meters: source.typed(map::METERS, Map::PerCpuHashMap)?,
            claims: source.typed(map::CLAIMS, Map::LruHashMap)?,
            heard: source.typed(map::HEARD, Map::Array)?,
            notes,
            checks,
            descriptors,
        })
    }

    /// The descriptor of one of the object's maps.
    pub(super) fn descriptor(&self, name: &str) -> Option<BorrowedFd<'_>> {
        self.descriptors.get(name).map(OwnedFd::as_fd)
    }

    fn extent(&self) -> Extent {
        let read = self.shape.get(&0, 0).map(Extent::from_words);
        read.unwrap_or_default()
    }

    /// How many rules there are in each table.
    pub fn shape(&self) -> Shape {
        self.extent().shape
    }

    pub(super) fn set_shape(&mut self, shape: Shape) -> Result<()> {
        let extent = Extent::of(shape).to_words();
        fault::step("map/shape", || self.shape.set(0, extent, 0))
            .map_err(|cause| Error::from_cause("write", map::SHAPE, &cause))
    }
}

/// The maps as the programs see them: so user space can ask which rule holds, too.
impl Tables for Maps {
    fn in_use(&self) -> InUse {
        self.extent().in_use
    }

    fn exact(&self, key: Key) -> Option<Rule> {
        self.addresses
            .get(&key.to_bytes(), 0)
            .ok()
            .and_then(Rule::from_bytes)
    }

    fn block(&self, key: Key) -> Option<Rule> {
        self.block_at(key.of_block())?.rule_of(key.last_octet())
    }

    fn prefix(&self, key: Key) -> Option<Rule> {
        self.prefixes
            .get(&TrieKey::new(Key::BITS, key.to_bytes()), 0)
            .ok()
            .and_then(Rule::from_bytes)
    }

    fn claimant(&self, key: Key) -> Option<Mac> {
        self.claim(key).map(|claim| claim.mac)
    }

    fn local(&self, device: u32, target: Ipv4Addr) -> Option<Local> {
        self.local
            .get(&local_key(device, target.into()), 0)
            .ok()
            .and_then(Local::from_bytes)
    }

    fn mac(&self, device: u32) -> Option<Mac> {
        self.devices.get(device).map(|device| device.mac)
    }
}

const fn trie_key(key: Key, prefix: Ipv4Net) -> TrieKey<Bytes> {
    let bits = Key::DEVICE_BITS + prefix.prefix_len() as u32;
    TrieKey::new(bits, key.to_bytes())
}

fn absent_is_fine(removed: Result<(), MapError>) -> Result<(), MapError> {
    match removed {
        Err(cause) if errno(&cause) == Some(Errno::ENOENT) => Ok(()),
        Err(MapError::KeyNotFound) => Ok(()),
        other => other,
    }
}

pub(super) fn unreadable(name: &str, cause: &(dyn std::error::Error + 'static)) -> Error {
    Error::from_cause("read a map", name, cause)
}

fn full(prefix: impl Display, what: &str, most: u32) -> Error {
    Error::new(
        "write a rule",
        prefix,
        format!("there is room for {most} {what}, all taken"),
    )
    .advise("hide fewer, or make room with `arpguard unhide`")
}
