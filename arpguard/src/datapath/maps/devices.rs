//! What the programs know of the devices themselves, wherever it stands.

use arpguard_common::abi::{Device, LOW_INDEXES, map};
use aya::maps::{Array, HashMap, MapData, MapError};

use super::{Bytes, absent_is_fine, unreadable};
use crate::{error::Result, fault};

/// The maps of devices.
pub(super) struct DeviceMaps {
    /// Of the devices below [`LOW_INDEXES`].
    pub(super) low: Array<MapData, Bytes>,
    /// Of all others.
    pub(super) others: HashMap<MapData, u32, Bytes>,
}

impl DeviceMaps {
    pub(super) fn set(&mut self, index: u32, device: Device) -> Result<(), MapError> {
        let Self { low, others } = self;
        fault::step("map/device", || match index {
            ..LOW_INDEXES => low.set(index, device.to_bytes(), 0),
            _ => others.insert(index, device.to_bytes(), 0),
        })
    }

    pub(super) fn get(&self, index: u32) -> Option<Device> {
        let bytes = match index {
            ..LOW_INDEXES => self.low.get(&index, 0),
            _ => self.others.get(&index, 0),
        };
        bytes.ok().and_then(Device::from_bytes)
    }

    pub(super) fn forget(&mut self, index: u32) -> Result<(), MapError> {
        let Self { low, others } = self;
        let forgotten = fault::step("map/forget", || match index {
            ..LOW_INDEXES => low.set(index, Bytes::default(), 0),
            _ => others.remove(&index),
        });
        absent_is_fine(forgotten)
    }

    /// The indexes of those that are known.
    pub(super) fn indexes(&self) -> Result<Vec<u32>> {
        let low = (0..LOW_INDEXES).filter(|index| self.get(*index).is_some());
        let others = self.others.keys();
        low.map(Ok)
            .chain(others)
            .collect::<Result<_, _>>()
            .map_err(|cause| unreadable(map::DEVICES, &cause))
    }
}
