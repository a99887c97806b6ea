//! The maps, typed: the one place where their bytes are made and read.

mod checks;
mod claims;
mod counters;
mod devices;
mod notes;
mod rules;
mod terms;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::Ipv4Addr,
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
};

use arpguard_common::{
    abi::{self, Extent, InUse, Key, Local, Meters, ROWS, Rule, Shape, map},
    policy::{Book, EVERY_DEVICE, Tables},
    wire::Mac,
};
use aya::maps::{
    Array, HashMap, LpmTrie, Map, MapData, MapError, MapType, PerCpuHashMap,
    lpm_trie::Key as TrieKey,
};
use aya::sys::SyscallError;
use ipnet::Ipv4Net;
use nix::errno::Errno;

pub use self::counters::Totals;
pub(super) use self::{
    checks::{CHECKS, CheckMap, all as checks, create_checks},
    claims::{ClaimMap, all as claims},
    counters::CounterMaps,
    notes::{NOTES, Note, Notes, create_notes},
    rules::{Parse, key, rules},
    terms::all as terms,
};
use self::{counters::on_every_cpu, devices::DeviceMaps, notes::NoteBytes};
use super::{bpffs::Pins, sys};
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
    addresses: HashMap<MapData, Bytes, Bytes>,
    prefixes: LpmTrie<MapData, Bytes, Bytes>,
    local: LpmTrie<MapData, Bytes, Bytes>,
    devices: DeviceMaps,
    counters: CounterMaps,
    meters: PerCpuHashMap<MapData, u32, Meters>,
    claims: ClaimMap,
    notes: Notes,
    checks: CheckMap,
    /// Those of the object, open once more, for programs that are loaded over them.
    descriptors: BTreeMap<String, OwnedFd>,
}

/// What the programs are to know of a device.
pub struct Known {
    /// Its interface index.
    pub device: u32,
    /// Its hardware address.
    pub mac: Mac,
    /// What it has for its own addresses.
    pub local: Vec<(Ipv4Net, Local)>,
}

/// What no event has told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// Over the rate.
    pub suppressed: u64,
    /// No room in the ring.
    pub lost: u64,
}

impl Left {
    /// Counts more of it.
    pub const fn add(&mut self, more: Self) {
        self.suppressed = self.suppressed.saturating_add(more.suppressed);
        self.lost = self.lost.saturating_add(more.lost);
    }
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
            addresses: source.typed(map::ADDRESSES, Map::HashMap)?,
            prefixes: source.typed(map::PREFIXES, Map::LpmTrie)?,
            local: source.typed(map::LOCAL, Map::LpmTrie)?,
            devices: DeviceMaps {
                low: source.typed(map::LOW_DEVICES, Map::Array)?,
                others: source.typed(map::DEVICES, Map::HashMap)?,
            },
            counters: CounterMaps {
                low: source.typed(map::LOW_COUNTERS, Map::PerCpuArray)?,
                others: source.typed(map::COUNTERS, Map::PerCpuHashMap)?,
            },
            meters: source.typed(map::METERS, Map::PerCpuHashMap)?,
            claims: source.typed(map::CLAIMS, Map::LruHashMap)?,
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

    /// Makes devices known to the programs, each with what it has for its own addresses. Entries
    /// are added before any is removed.
    pub(super) fn set_devices(&mut self, devices: &[Known]) -> Result<()> {
        let mut wanted = BTreeSet::new();
        for Known { device, mac, local } in devices {
            let tried = |cause: &(dyn std::error::Error + 'static)| {
                Error::from_cause("write what is known of a device", device, cause)
            };
            self.devices
                .set(*device, abi::Device::new(*mac))
                .map_err(|cause| tried(&cause))?;
            for (prefix, entry) in local {
                let key = local_key(*device, *prefix);
                fault::step("map/local", || self.local.insert(&key, entry.to_bytes(), 0))
                    .map_err(|cause| tried(&cause))?;
                wanted.insert((*device, *prefix));
            }
        }
        let ours = |device| devices.iter().any(|known| known.device == device);
        self.retain_local(|device, prefix| !ours(device) || wanted.contains(&(device, prefix)))
    }

    pub(super) fn forget_device(&mut self, device: u32) -> Result<()> {
        let tried = |cause: &(dyn std::error::Error + 'static)| {
            Error::from_cause("forget a device", device, cause)
        };
        self.retain_local(|known, _| known != device)?;
        self.counters
            .forget(device)
            .map_err(|cause| tried(cause.as_ref()))?;
        for forgotten in [
            fault::step("map/forget", || self.meters.remove(&device)),
            fault::step("map/forget", || self.notes.remove(&device)),
        ] {
            absent_is_fine(forgotten).map_err(|cause| tried(&cause))?;
        }
        // By this it is found, where a process dies before.
        self.devices.forget(device).map_err(|cause| tried(&cause))
    }

    fn retain_local(&mut self, keep: impl Fn(u32, Ipv4Net) -> bool) -> Result<()> {
        let mut stale = Vec::new();
        for key in self.local.keys() {
            let key = key.map_err(|cause| unreadable(map::LOCAL, &cause))?;
            let found = Key::from_bytes(key.data());
            let length = key.prefix_len().saturating_sub(Key::DEVICE_BITS) as u8;
            let prefix = Ipv4Net::new(found.address.into(), length);
            let device = found.device();
            if !prefix.is_ok_and(|prefix| keep(device, prefix)) {
                stale.push(key);
            }
        }
        for key in stale {
            absent_is_fine(fault::step("map/local/remove", || self.local.remove(&key)))
                .map_err(|cause| Error::from_cause("forget an address of", map::LOCAL, &cause))?;
        }
        Ok(())
    }

    /// The indexes of the devices that the programs know.
    pub fn known_devices(&self) -> Result<Vec<u32>> {
        self.devices.indexes()
    }

    /// Makes what the programs count in for a device, where it has none.
    pub(super) fn start_counting(&mut self, device: u32) -> Result<()> {
        let tried = |cause: &(dyn std::error::Error + 'static)| {
            Error::from_cause("make counters", device, cause)
        };
        if self.meters.get(&device, 0).is_err() {
            let zeros: Meters = [[0; 6]; ROWS];
            let row = on_every_cpu(zeros).map_err(|cause| tried(cause.as_ref()))?;
            fault::step("map/counters", || self.meters.insert(device, row, 0))
                .map_err(|cause| tried(&cause))?;
        }
        self.counters
            .start(device)
            .map_err(|cause| tried(cause.as_ref()))
    }

    /// The device's counters; zeros where it has none.
    pub fn totals(&self, device: u32) -> Totals {
        self.counters.totals(device).unwrap_or(counters::NONE)
    }

    /// How many of the device's events nobody was ever told, by [`abi::row`]; zeros where it has no
    /// meters.
    pub fn untold(&self, device: u32) -> [Left; ROWS] {
        let mut totals = [Left::default(); ROWS];
        if let Ok(cpus) = self.meters.get(&device, 0) {
            for rows in cpus.iter() {
                for (total, [.., suppressed, lost]) in totals.iter_mut().zip(*rows) {
                    total.add(Left { suppressed, lost });
                }
            }
        }
        totals
    }

    /// Which build the programs are of.
    pub(super) fn build(&self) -> String {
        self.note(EVERY_DEVICE).text
    }

    pub(super) fn set_build(&mut self, build: &str) -> Result<()> {
        self.set_note(
            EVERY_DEVICE,
            &Note {
                text: build.to_owned(),
                ..Note::default()
            },
        )
    }

    pub(super) fn note(&self, device: u32) -> Note {
        self.notes
            .get(&device, 0)
            .map(|bytes| Note::from_bytes(&bytes))
            .unwrap_or_default()
    }

    pub(super) fn set_note(&mut self, device: u32, note: &Note) -> Result<()> {
        fault::step("map/note", || self.notes.insert(device, note.to_bytes(), 0))
            .map_err(|cause| Error::from_cause("note what was attached to", device, &cause))
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

impl fault::Refusal for MapError {
    fn of(io_error: io::Error) -> Self {
        let call = "bpf";
        Self::from(SyscallError { call, io_error })
    }
}

/// What a map is taken for.
pub(super) type Kind = fn(MapData) -> Map;

/// Where maps come from, by name.
struct Source<F>(F);

impl<F: FnMut(&str, Kind) -> Result<Map>> Source<F> {
    fn typed<M: TryFrom<Map, Error = MapError>>(&mut self, name: &str, kind: Kind) -> Result<M> {
        let map = (self.0)(name, kind)?;
        M::try_from(map).map_err(|cause| Error::from_cause("open a map", name, &cause))
    }
}

/// The descriptor of a map, whatever kind of map it is taken for.
pub(super) fn descriptor(map: &Map) -> io::Result<BorrowedFd<'_>> {
    match map {
        Map::Array(data)
        | Map::HashMap(data)
        | Map::LruHashMap(data)
        | Map::LpmTrie(data)
        | Map::PerCpuArray(data)
        | Map::PerCpuHashMap(data)
        | Map::RingBuf(data) => Ok(data.fd().as_fd()),
        _ => Err(io::Error::other("it is of a kind that arpguard has not")),
    }
}

pub(super) fn open<M>(pins: &Pins, name: &str, kind: Kind) -> Result<M>
where
    M: TryFrom<Map, Error = MapError>,
{
    Source(|name: &str, kind| open_any(pins, name, kind)).typed(name, kind)
}

fn open_any(pins: &Pins, name: &str, kind: Kind) -> Result<Map> {
    let path = pins.map(name);
    let tried = |cause: &(dyn std::error::Error + 'static)| {
        Error::from_cause("open a pin", path.display(), cause)
    };
    let pinned = sys::open(&path, sys::Kind::Map).map_err(|cause| tried(&cause))?;
    let data = MapData::from_fd(pinned).map_err(|cause| tried(&cause))?;
    let found = data.info().and_then(|info| info.map_type());
    let map = kind(data);
    match found.map_err(|cause| tried(&cause))? == type_of(&map) {
        true => Ok(map),
        false => Err(Error::new("open a pin", path.display(), sys::NOT_OURS)),
    }
}

/// Of those that arpguard has.
const fn type_of(map: &Map) -> MapType {
    match map {
        Map::Array(_) => MapType::Array,
        Map::HashMap(_) => MapType::Hash,
        Map::LpmTrie(_) => MapType::LpmTrie,
        Map::LruHashMap(_) => MapType::LruHash,
        Map::PerCpuArray(_) => MapType::PerCpuArray,
        Map::PerCpuHashMap(_) => MapType::PerCpuHash,
        Map::RingBuf(_) => MapType::RingBuf,
        _ => MapType::Unspecified,
    }
}

const fn local_key(device: u32, prefix: Ipv4Net) -> TrieKey<Bytes> {
    trie_key(Key::new(Book::Own, device, prefix.addr()), prefix)
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
