//! Where the state in the kernel is kept while nobody works with it.

use std::{path::PathBuf, sync::Arc};

use tokio::sync::{Mutex, OwnedMutexGuard};

use super::{Datapath, bpffs::Pins, links::Links};

/// Where it is kept.
#[derive(Clone)]
pub enum Store {
    /// On a BPF file system: it outlives every process.
    Pinned(Pins),
    /// By this process, and only as long as it runs.
    Held(Held),
}

/// State that this process holds.
#[derive(Clone, Default)]
pub struct Held(Arc<Mutex<Option<Datapath>>>);

/// Who keeps the state, to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keeper {
    /// The pins in this directory.
    Pins(PathBuf),
    /// A process, for as long as it runs.
    Process,
}

impl Store {
    /// Whether an older version has left state that this one can take over.
    pub fn has_former(&self) -> bool {
        match self {
            Self::Pinned(pins) => pins.former().is_some(),
            Self::Held(_) => false,
        }
    }
}

impl Held {
    pub(super) fn of(datapath: Option<Datapath>) -> Self {
        Self(Arc::new(Mutex::new(datapath)))
    }

    /// Waits until nobody else works with it.
    pub(super) async fn borrow(&self) -> OwnedMutexGuard<Option<Datapath>> {
        Arc::clone(&self.0).lock_owned().await
    }
}

impl Keeper {
    pub(super) fn of(links: &Links) -> Self {
        match links {
            Links::Pinned(pins) => Self::Pins(pins.version()),
            Links::Held(_) => Self::Process,
        }
    }
}
