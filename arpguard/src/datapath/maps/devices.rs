//! What the programs know of the devices themselves, wherever it stands.

use std::collections::BTreeSet;

use arpguard_common::{
    abi::{Book, Device, Key, LOW_INDEXES, Local, map},
    wire::Mac,
};
use aya::maps::{Array, HashMap, MapData, MapError, lpm_trie};
use ipnet::Ipv4Net;

use super::{Bytes, Maps, absent_is_fine, trie_key, unreadable};
use crate::{
    error::{Error, Result},
    fault,
};

/// What the programs are to know of a device.
pub struct Known {
    /// Its interface index.
    pub device: u32,
    /// Its hardware address.
    pub mac: Mac,
    /// What it has for its own addresses.
    pub local: Vec<(Ipv4Net, Local)>,
}

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

impl Maps {
    /// Makes devices known to the programs, each with what it has for its own addresses. Entries
    /// are added before any is removed.
    pub(in crate::datapath) fn set_devices(&mut self, devices: &[Known]) -> Result<()> {
        let mut wanted = BTreeSet::new();
        for Known { device, mac, local } in devices {
            let tried = |cause: &(dyn std::error::Error + 'static)| {
                Error::from_cause("write what is known of a device", device, cause)
            };
            self.devices
                .set(*device, Device::new(*mac))
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

    pub(in crate::datapath) fn forget_device(&mut self, device: u32) -> Result<()> {
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
}

pub(super) const fn local_key(device: u32, prefix: Ipv4Net) -> lpm_trie::Key<Bytes> {
    trie_key(Key::new(Book::Own, device, prefix.addr()), prefix)
}
