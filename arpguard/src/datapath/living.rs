//! A pin by which it can be seen that the network namespace of others is gone.
//!
//! Pins outlive their namespace, and nobody can list all namespaces: some have no name and no process.
//! So a map of devices (`BPF_MAP_TYPE_DEVMAP`), which no program uses, names the loopback device. That
//! one cannot be removed or moved; the kernel takes it out of the map (`dev_map_notification` in
//! `kernel/bpf/devmap.c`) when the namespace itself goes, after all that refers to it. And as no other
//! gets its cookie again, nobody will come to use the pins; where namespaces are told by their inode
//! (before Linux 5.14), the next one with its number does, and is to find nothing.

use std::{fs, path::Path};

use tracing::debug;

use super::sys::{self, Kind};
use crate::error::{Error, Result};

/// The interface index of `lo` in each namespace (`LOOPBACK_IFINDEX`).
const LOOPBACK: u32 = 1;

/// Pins what tells whether the namespace of this thread still is.
///
/// # Errors
/// Where the kernel refuses.
pub(super) fn mark(path: &Path) -> Result<()> {
    let tried = |cause| Error::from_cause("pin", path.display(), &cause);
    let map = sys::create_device_map(LOOPBACK).map_err(tried)?;
    sys::pin(&map, path).map_err(tried)
}

/// Removes the pins of namespaces that are gone, beside those at `home`, as far as that can be seen:
/// those of an older version, and of a kernel that has no cookies (before Linux 5.14), tell nothing.
///
/// It is no step of what a command does: what goes wrong is left to the next one.
pub(super) fn remove_gone(home: &Path) {
    let homes = home.parent().map(fs::read_dir);
    for other in homes.into_iter().flatten().flatten().flatten() {
        let (name, path) = (other.file_name(), other.path());
        let cookie = name.to_str().and_then(|name| name.strip_prefix("net-"));
        let has_cookie = cookie.is_some_and(|cookie| cookie.parse::<u64>().is_ok());
        if has_cookie && path != home && is_gone(&path) {
            match fs::remove_dir_all(&path) {
                Ok(()) => debug!("removed {}: its network namespace is gone", path.display()),
                Err(cause) => debug!("remove {}: {cause}", path.display()),
            }
        }
    }
}

/// Whether the pins below `home` tell that their namespace is gone, and none that it is not.
fn is_gone(home: &Path) -> bool {
    let Ok(versions) = fs::read_dir(home) else {
        return false;
    };
    let versions = versions.flatten().map(|version| version.path());
    let told: Vec<_> = versions.filter_map(|version| has_gone(&version)).collect();
    !told.is_empty() && told.into_iter().all(|gone| gone)
}

/// Whether the pins in the directory of a version tell that their namespace is gone.
pub(super) fn is_over(version: &Path) -> bool {
    has_gone(version) == Some(true)
}

/// The name of the pin.
pub(super) const MARK: &str = "living";

/// What the pin tells; `None` where there is none.
fn has_gone(version: &Path) -> Option<bool> {
    let map = sys::find(&version.join(MARK), Kind::Map).ok()??;
    sys::names_a_device(&map).ok().map(|named| !named)
}
