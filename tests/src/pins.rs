//! What arpguard has pinned for one namespace.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

use arpguard_common::{
    abi::{Counters, Device, LOW_INDEXES, counter, map},
    verdict::{Mode, Policy, Reason},
};
use aya::maps::{Array, HashMap, Map, MapData, MapError, PerCpuArray, PerCpuHashMap};
use serde_json::Value;

use crate::lab::Namespace;

/// The directory of the pins of one namespace.
#[derive(Debug)]
pub struct Pins {
    directory: PathBuf,
}

impl Pins {
    /// Asks arpguard where the pins of `host` are.
    pub fn of(host: &Namespace) -> Self {
        let status = host.guard("-o json status");
        let status: Value = serde_json::from_str(&status)
            .unwrap_or_else(|error| panic!("arpguard -o json status: {error}: {status}"));
        let directory = status["pins"]
            .as_str()
            .unwrap_or_else(|| panic!("no field `pins` in {status}"));
        Self {
            directory: PathBuf::from(directory),
        }
    }

    /// Whether they are there.
    pub fn exist(&self) -> bool {
        self.directory.exists()
    }

    /// The directory itself.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Where a program is pinned.
    pub fn program(&self, name: &str) -> PathBuf {
        self.directory.join("programs").join(name)
    }

    /// The names of what is pinned in one of the directories, sorted.
    pub fn list(&self, kind: &str) -> Vec<String> {
        let directory = self.directory.join(kind);
        let mut names: Vec<String> = fs::read_dir(&directory)
            .unwrap_or_else(|error| panic!("{}: {error}", directory.display()))
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort_unstable();
        names
    }

    /// Makes the programs in the kernel those of another build, by name.
    pub fn pretend_another_build(&self) {
        let path = self.directory.join("maps/NOTES");
        let map = Map::HashMap(MapData::from_pin(path).unwrap());
        let mut notes: HashMap<MapData, u32, [u8; 128]> = map.try_into().unwrap();
        let mut build = [0; 128];
        build[1..7].copy_from_slice(b"\x05other");
        notes.insert(0, build, 0).unwrap();
    }

    /// The counters.
    pub fn counters(&self) -> CountersMap {
        CountersMap {
            low: self.map(map::LOW_COUNTERS, Map::PerCpuArray),
            others: self.map(map::COUNTERS, Map::PerCpuHashMap),
        }
    }

    /// What is known of the devices.
    pub fn devices(&self) -> DevicesMap {
        DevicesMap {
            low: self.map(map::LOW_DEVICES, Map::Array),
            others: self.map(map::DEVICES, Map::HashMap),
        }
    }

    /// The map that is pinned by this name.
    pub fn map<M: TryFrom<Map, Error = MapError>>(
        &self,
        name: &str,
        kind: fn(MapData) -> Map,
    ) -> M {
        let path = self.directory.join("maps").join(name);
        let opened = MapData::from_pin(&path).and_then(|data| M::try_from(kind(data)));
        opened.unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }
}

type Bytes = [u8; 8];

/// What is known of every device.
pub struct DevicesMap {
    low: Array<MapData, Bytes>,
    others: HashMap<MapData, u32, Bytes>,
}

impl DevicesMap {
    /// The indexes of those that are known.
    pub fn indexes(&self) -> Vec<u32> {
        let is_known = |index: &u32| self.low.get(index, 0).unwrap() != Bytes::default();
        let low = (0..LOW_INDEXES).filter(is_known);
        low.chain(self.others.keys().map(Result::unwrap)).collect()
    }

    /// Makes one known.
    pub fn set(&mut self, index: u32, device: Device) -> Result<(), MapError> {
        if index < LOW_INDEXES {
            self.low.set(index, device.to_bytes(), 0)
        } else {
            self.others.insert(index, device.to_bytes(), 0)
        }
    }

    /// Makes none known.
    pub fn clear(&mut self) -> Result<(), MapError> {
        for index in self.indexes() {
            if index < LOW_INDEXES {
                self.low.set(index, Bytes::default(), 0)?;
            } else {
                self.others.remove(&index)?;
            }
        }
        Ok(())
    }
}

/// The counters of every device.
pub struct CountersMap {
    low: PerCpuArray<MapData, Counters>,
    others: PerCpuHashMap<MapData, u32, Counters>,
}

impl CountersMap {
    /// The counters of one device, those of all CPUs together.
    pub fn read(&self, device: u32) -> Count {
        let mut sum = Count([0; _]);
        let row = if device < LOW_INDEXES {
            self.low.get(&device, 0)
        } else {
            self.others.get(&device, 0)
        };
        let row = row.unwrap_or_else(|error| panic!("no counters for device {device}: {error}"));
        for cpu in row.iter() {
            for (total, cell) in sum.0.iter_mut().zip(cpu) {
                *total += cell;
            }
        }
        sum
    }
}

/// How many frames were judged on a device, by verdict.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Count(Counters);

impl Count {
    /// None.
    pub const ZERO: Self = Self([0; _]);

    /// One more of this kind of verdict, if it is counted.
    pub fn add(&mut self, cell: Option<usize>) {
        if let Some(cell) = cell {
            self.0[cell] += 1;
        }
    }

    /// As many more of each kind.
    pub fn add_all(&mut self, more: Self) {
        for (count, more) in self.0.iter_mut().zip(more.0) {
            *count += more;
        }
    }

    /// How many there are of one kind: see [`counter`].
    pub fn of(&self, cell: usize) -> u64 {
        self.0[cell]
    }

    /// What was counted since `before`.
    pub fn since(mut self, before: Self) -> Self {
        for (now, before) in self.0.iter_mut().zip(before.0) {
            *now = now.wrapping_sub(before);
        }
        self
    }
}

impl fmt::Debug for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let both = |policy: &Policy| [Mode::Enforce, Mode::Audit].map(|mode| Some((*policy, mode)));
        let deciders = Policy::ALL.iter().flat_map(both).chain([None]);
        let mut map = f.debug_map();
        for decided_by in deciders {
            for reason in Reason::ALL {
                let count = self.0[counter(decided_by, *reason)];
                if count != 0 {
                    map.entry(&(decided_by, reason.name()), &count);
                }
            }
        }
        map.finish()
    }
}
