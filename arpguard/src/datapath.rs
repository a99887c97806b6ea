//! The kernel's side: programs, links and maps, and their life on bpffs.
//!
//! Everything is pinned below one directory for each network namespace, so it outlives the command
//! that made it; the directory is also the lock that serialises writers. This module alone knows
//! aya, and nothing in it looks at the host: what it is to do is told to it.

mod attach;
mod bpffs;
mod clsact;
mod events;
mod hooks;
mod lease;
mod link;
mod lock;
mod maps;
mod object;
mod script;
mod transaction;
mod upgrade;

use std::collections::BTreeSet;

use arpguard_common::policy::{EVERY_DEVICE, Tables as _};

pub use self::{
    bpffs::Pins,
    events::{Events, Interest, Left},
    hooks::{Attached, Egress, Ingress, Mode},
    maps::{Known, Maps, Totals},
    script::{Script, Write, script, table},
    transaction::Change,
};
use self::{lock::Lock, object::Programs};
use crate::{
    error::{Error, Result},
    host,
};

/// Where a rule is kept: a device (or [`EVERY_DEVICE`]) and a prefix.
pub type Place = (u32, ipnet::Ipv4Net);

/// The state in the kernel for one network namespace.
pub struct Datapath {
    /// Where it is pinned.
    pub pins: Pins,
    /// Policy, devices and counters.
    pub maps: Maps,
    programs: Programs,
}

impl Datapath {
    /// Opens what is loaded, to read it; `None` where nothing is. Waits for a change that is under
    /// way, and undoes one whose process has died, so that no half of a change is ever shown.
    ///
    /// # Errors
    /// Where it is another version's, or cannot be read.
    pub fn open(pins: &Pins) -> Result<Option<Self>> {
        if pins.journal().exists() {
            return Ok(Writer::lock(pins)?.datapath);
        }
        Self::open_as_it_is(pins)
    }

    fn open_as_it_is(pins: &Pins) -> Result<Option<Self>> {
        pins.refuse_other_versions()?;
        if !pins.exists() {
            return Ok(None);
        }
        let maps = Maps::open(pins)?;
        let programs = Programs::open(&pins.programs())?;
        Ok(Some(Self {
            pins: pins.clone(),
            maps,
            programs,
        }))
    }
}

/// The state in the kernel, while no other process may write it.
pub struct Writer {
    /// What is loaded; `None` where nothing is.
    pub datapath: Option<Datapath>,
    pins: Pins,
    /// Released last.
    _lock: Lock,
}

impl Writer {
    /// Waits until no other process writes, opens what is loaded, and undoes what a process that
    /// died has left half done.
    ///
    /// # Errors
    /// Where the state is another version's, or somebody holds the lock for too long.
    pub fn lock(pins: &Pins) -> Result<Self> {
        let lock = Lock::take(pins)?;
        pins.remove_unfinished()?;
        let mut datapath = Datapath::open_as_it_is(pins)?;
        if let Some(datapath) = &mut datapath {
            transaction::recover(&mut datapath.maps, pins)?;
        }
        Ok(Self {
            datapath,
            pins: pins.clone(),
            _lock: lock,
        })
    }

    /// The state, loaded into the kernel first where it is not there yet.
    ///
    /// # Errors
    /// Where the kernel refuses programs, maps or pins.
    pub fn loaded(&mut self) -> Result<&mut Datapath> {
        let datapath = match self.datapath.take() {
            Some(datapath) => datapath,
            None => {
                object::load(&self.pins)?;
                Datapath::open_as_it_is(&self.pins)?.ok_or_else(|| {
                    Error::new(
                        "load the programs",
                        self.pins.display(),
                        "the pins are gone again",
                    )
                })?
            }
        };
        Ok(self.datapath.insert(datapath))
    }

    /// Removes everything from the kernel: links, programs, maps, pins.
    ///
    /// # Errors
    /// Where something cannot be removed. What remains is removed by the next call.
    pub async fn remove(&mut self, netlink: &host::Netlink, host: &host::Host) -> Result<()> {
        if let Some(mut datapath) = self.datapath.take() {
            for device in &host.devices {
                datapath.detach(netlink, device).await?;
            }
        }
        self.pins.remove()
    }
}

impl Datapath {
    /// Applies all of `changes`, or none, in the order of [`script()`]; a process that dies in the
    /// middle leaves what [`Writer::lock`] undoes. Returns the changes that undo these.
    ///
    /// `step` is called with the number of changes made; an error from it rolls back.
    ///
    /// # Errors
    /// Where a table is full, the kernel refuses, or `step` does.
    pub fn commit(
        &mut self,
        changes: &[Change],
        step: &mut dyn FnMut(usize) -> Result<()>,
    ) -> Result<Vec<Change>> {
        transaction::commit(&mut self.maps, &self.pins, changes, step)
    }

    /// The interface indexes of the devices that have rules of their own.
    ///
    /// # Errors
    /// Where a map cannot be read.
    pub fn devices_with_rules(&self) -> Result<Vec<u32>> {
        let shape = self.maps.shape();
        if shape.exact_on_device == 0 && shape.prefixes_on_device == 0 {
            return Ok(Vec::new());
        }
        let mut devices = BTreeSet::new();
        for rule in self.maps.rules() {
            devices.insert(rule?.0);
        }
        devices.remove(&EVERY_DEVICE);
        Ok(devices.into_iter().collect())
    }

    /// How many rules there are, by table.
    pub fn rules(&self) -> arpguard_common::abi::Shape {
        self.maps.shape()
    }
}
