//! How many frames were judged on each device, wherever its row is.

use std::error::Error as StdError;

use arpguard_common::abi::{Counters, LOW_INDEXES, Meters, ROWS, map};
use aya::{
    Pod,
    maps::{Map, MapData, MapError, PerCpuArray, PerCpuHashMap, PerCpuValues},
    util::nr_cpus,
};

use super::{
    Maps, absent_is_fine,
    source::{Kind, Source},
};
use crate::{
    error::{Error, Result},
    fault,
};

const NONE: Counters = [0; size_of::<Counters>() / size_of::<u64>()];

/// The counters of one device, summed over the CPUs; see [`arpguard_common::abi::counter`].
pub type Totals = Counters;

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

/// What the programs count in.
pub(in crate::datapath) struct CounterMaps {
    /// Of the devices below [`LOW_INDEXES`]: all rows are there from the first.
    low: PerCpuArray<MapData, Counters>,
    /// Of all others.
    others: PerCpuHashMap<MapData, u32, Counters>,
}

impl CounterMaps {
    /// Those that a source gives by name.
    pub(in crate::datapath) fn take<F>(source: &mut Source<F>) -> Result<Self>
    where
        F: FnMut(&str, Kind) -> Result<Map>,
    {
        Ok(Self {
            low: source.typed(map::LOW_COUNTERS, Map::PerCpuArray)?,
            others: source.typed(map::COUNTERS, Map::PerCpuHashMap)?,
        })
    }

    /// Makes a device's row, where it has none.
    fn start(&mut self, device: u32) -> Result<(), Box<dyn StdError>> {
        if device >= LOW_INDEXES && self.others.get(&device, 0).is_err() {
            self.clear(device)?;
        }
        Ok(())
    }

    /// Makes a device's counters zeros on every CPU.
    pub(in crate::datapath) fn clear(&mut self, device: u32) -> Result<(), Box<dyn StdError>> {
        let row = on_every_cpu(NONE)?;
        let Self { low, others } = self;
        let cleared = fault::step("map/counters", || match device {
            ..LOW_INDEXES => low.set(device, row, 0),
            _ => others.insert(device, row, 0),
        });
        Ok(cleared?)
    }

    /// For a device that is gone.
    pub(super) fn forget(&mut self, device: u32) -> Result<(), Box<dyn StdError>> {
        if device < LOW_INDEXES {
            return self.clear(device);
        }
        let forgotten = fault::step("map/forget", || self.others.remove(&device));
        Ok(absent_is_fine(forgotten)?)
    }

    /// The device's counters; zeros where it has none.
    pub(in crate::datapath) fn totals(&self, device: u32) -> Result<Totals, MapError> {
        let rows = match device {
            ..LOW_INDEXES => self.low.get(&device, 0),
            _ => self.others.get(&device, 0),
        };
        let mut totals = NONE;
        for row in rows?.iter() {
            for (total, count) in totals.iter_mut().zip(row) {
                *total = total.wrapping_add(*count);
            }
        }
        Ok(totals)
    }
}

impl Maps {
    /// Makes what the programs count in for a device, where it has none.
    pub(in crate::datapath) fn start_counting(&mut self, device: u32) -> Result<()> {
        let tried =
            |cause: &(dyn StdError + 'static)| Error::from_cause("make counters", device, cause);
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
        self.counters.totals(device).unwrap_or(NONE)
    }

    /// How many of the device's events nobody was ever told, by [`arpguard_common::abi::row`]; zeros where it has no
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
}

/// A row for every CPU.
fn on_every_cpu<V: Pod>(row: V) -> Result<PerCpuValues<V>, Box<dyn StdError>> {
    let cpus = nr_cpus().map_err(|(_, cause)| cause)?;
    Ok(PerCpuValues::try_from(vec![row; cpus])?)
}
