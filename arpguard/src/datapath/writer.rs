//! Working with the state in the kernel: reading it, or writing it while no other process does.

use std::collections::BTreeMap;

use tokio::sync::OwnedMutexGuard;

use super::{
    Datapath, Held, Links, Maps, Pins, Programs, Store, clsact, lock::Lock, object, transaction,
};
use crate::{
    device::Device,
    error::{Error, Result},
    netlink::Netlink,
};

/// What is loaded, while somebody works with it: opened from its pins, or borrowed from this process.
pub struct Reader(OwnedMutexGuard<Option<Datapath>>);

/// What is loaded, while nobody else may write it.
pub struct Writer {
    reader: Reader,
    pub(super) pins: Option<Pins>,
    /// Released last.
    _lock: Option<Lock>,
}

impl Reader {
    /// Opens what is loaded. Waits for a change that is under way, and undoes one whose process has
    /// died, so that no half of a change is ever shown.
    ///
    /// # Errors
    /// Where it is another version's, or cannot be read.
    pub async fn open(store: &Store) -> Result<Self> {
        match store {
            Store::Pinned(pins) if pins.journal().exists() => Ok(Writer::lock(store).await?.reader),
            Store::Pinned(_) | Store::Held(_) => Self::open_as_it_is(store).await,
        }
    }

    /// As [`Self::open`], without waiting for other processes: in the middle of a change that is
    /// under way, or whose process has died, there may be both old rules and new ones.
    ///
    /// # Errors
    /// Where it is another version's, or cannot be read.
    pub async fn open_as_it_is(store: &Store) -> Result<Self> {
        match store {
            Store::Pinned(pins) => Ok(Self(Held::of(open_as_it_is(pins)?).borrow().await)),
            Store::Held(held) => Ok(Self(held.borrow().await)),
        }
    }

    /// What is loaded; `None` where nothing is.
    pub fn datapath(&self) -> Option<&Datapath> {
        self.0.as_ref()
    }
}

impl Writer {
    /// Waits until nobody else writes, opens what is loaded, and undoes what a process that died
    /// has left half done.
    ///
    /// # Errors
    /// Where the state is another version's, or somebody holds the lock for too long.
    pub async fn lock(store: &Store) -> Result<Self> {
        let pins = match store {
            Store::Pinned(pins) => pins,
            Store::Held(held) => {
                return Ok(Self {
                    reader: Reader(held.borrow().await),
                    pins: None,
                    _lock: None,
                });
            }
        };
        let lock = Lock::take(pins).await?;
        pins.remove_unfinished()?;
        let datapath = open_recovered(pins)?;
        Ok(Self::of(pins, datapath, lock).await)
    }

    /// As [`Self::lock`], to remove everything. Of what cannot be opened, nothing is loaded.
    ///
    /// # Errors
    /// Where the state is another version's, or somebody holds the lock for too long.
    pub async fn lock_to_remove(store: &Store) -> Result<Self> {
        let Store::Pinned(pins) = store else {
            return Self::lock(store).await;
        };
        let lock = Lock::take(pins).await?;
        pins.remove_unfinished()?;
        pins.refuse_other_versions()?;
        let datapath = open_recovered(pins).ok().flatten();
        Ok(Self::of(pins, datapath, lock).await)
    }

    async fn of(pins: &Pins, datapath: Option<Datapath>, lock: Lock) -> Self {
        Self {
            reader: Reader(Held::of(datapath).borrow().await),
            pins: Some(pins.clone()),
            _lock: Some(lock),
        }
    }

    /// What is loaded; `None` where nothing is.
    pub fn datapath(&self) -> Option<&Datapath> {
        self.reader.datapath()
    }

    /// As [`Self::datapath`], to write it.
    pub fn datapath_mut(&mut self) -> Option<&mut Datapath> {
        self.reader.0.as_mut()
    }

    /// The state, loaded into the kernel first where it is not there yet.
    ///
    /// # Errors
    /// Where the kernel refuses programs, maps or pins.
    pub fn loaded(&mut self) -> Result<&mut Datapath> {
        let place = &mut *self.reader.0;
        let datapath = match (place.take(), &self.pins) {
            (Some(datapath), _) => datapath,
            (None, Some(pins)) => {
                object::load(pins)?;
                open_as_it_is(pins)?.ok_or_else(|| {
                    let why = "the pins are gone again";
                    Error::new("load the programs", pins.display(), why)
                })?
            }
            (None, None) => {
                let (maps, programs) = object::load_held()?;
                let links = Links::Held(BTreeMap::new());
                Datapath {
                    maps,
                    programs,
                    links,
                }
            }
        };
        Ok(place.insert(datapath))
    }

    /// Whether an older version has left state that this one can take over.
    pub fn has_former(&self) -> bool {
        self.pins
            .as_ref()
            .is_some_and(|pins| pins.former().is_some())
    }

    /// Closes what is loaded.
    pub(super) fn close(&mut self) {
        *self.reader.0 = None;
    }

    /// Removes everything from the kernel: links, programs, maps, pins. `step` is called for each
    /// device that is done.
    ///
    /// # Errors
    /// Where something cannot be removed. What remains is removed by the next call.
    pub async fn remove(
        &mut self,
        netlink: &Netlink,
        devices: &[Device],
        step: &mut dyn FnMut(),
    ) -> Result<()> {
        if let Some(mut datapath) = self.reader.0.take() {
            for device in devices {
                datapath.detach(netlink, device).await?;
                step();
            }
        } else if self.pins.as_ref().is_some_and(Pins::exists) {
            // Links go with their pins.
            for device in devices {
                clsact::detach_all(netlink, device).await?;
                step();
            }
        }
        self.pins.as_ref().map_or(Ok(()), Pins::remove)
    }
}

fn open_recovered(pins: &Pins) -> Result<Option<Datapath>> {
    let mut datapath = open_as_it_is(pins)?;
    if let Some(datapath) = &mut datapath {
        transaction::recover(&mut datapath.maps, pins)?;
    }
    Ok(datapath)
}

fn open_as_it_is(pins: &Pins) -> Result<Option<Datapath>> {
    pins.check()?;
    pins.refuse_other_versions()?;
    if !pins.exists() {
        return Ok(None);
    }
    Ok(Some(Datapath {
        maps: Maps::open(pins)?,
        programs: Programs::pinned(&pins.programs())?,
        links: Links::Pinned(pins.clone()),
    }))
}
