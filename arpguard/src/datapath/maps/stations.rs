//! The hardware addresses of this host, by which it is told from other machines.

use std::collections::{BTreeMap, BTreeSet};

use arpguard_common::{abi::map, wire::Mac};

use super::{Bytes, Maps, absent_is_fine, unreadable};
use crate::{
    error::{Error, Result},
    fault,
};

impl Maps {
    /// Makes the stations that are this host those that are told, each with the interface index of
    /// its device. Entries are added before any is removed.
    pub(in crate::datapath) fn set_stations(&mut self, own: &BTreeMap<Mac, u32>) -> Result<()> {
        let tried = |cause| Error::from_cause("write", map::STATIONS, &cause);
        for (mac, device) in own {
            let insert = || self.stations.insert(bytes(*mac), device, 0);
            fault::step("map/station", insert).map_err(tried)?;
        }
        let wanted: BTreeSet<Bytes> = own.keys().copied().map(bytes).collect();
        let known: Vec<Bytes> = self
            .stations
            .keys()
            .collect::<Result<_, _>>()
            .map_err(|cause| unreadable(map::STATIONS, &cause))?;
        for station in known.iter().filter(|station| !wanted.contains(*station)) {
            let remove = || self.stations.remove(station);
            absent_is_fine(fault::step("map/station", remove)).map_err(tried)?;
        }
        Ok(())
    }
}

fn bytes(mac: Mac) -> Bytes {
    mac.pack().to_ne_bytes()
}
