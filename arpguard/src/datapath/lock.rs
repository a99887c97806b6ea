//! The lock that serialises writers: on the directory of the pins itself, so that it is the same
//! for every process that sees them, from whatever mount namespace.

use std::{
    fs::{self, File},
    os::unix::fs::MetadataExt as _,
    path::PathBuf,
    time::Duration,
};

use nix::{
    errno::Errno,
    fcntl::{Flock, FlockArg},
};
use tokio::time::{Instant, sleep};

use super::bpffs::Pins;
use crate::{
    error::{Error, Result},
    interrupt,
};

/// Longer than any command holds it: a million addresses take a few seconds.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long to wait before it is tried again, first and at most: many that wait must leave the CPU to
/// the one that writes, which is slow on its own where it has the programs checked by a slow machine.
const PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(64);

const LOCK: &str = "lock the state in the kernel";

/// Held until dropped.
pub(super) struct Lock {
    home: PathBuf,
    _held: Flock<File>,
}

impl Lock {
    /// Waits for it, and lets others of this thread go on meanwhile. Who gives up waiting holds nothing.
    pub(super) async fn take(pins: &Pins) -> Result<Self> {
        let started = Instant::now();
        let mut pause = PAUSE;
        loop {
            interrupt::check()?;
            if let Some(lock) = Self::attempt(pins)? {
                return Ok(lock);
            }
            if started.elapsed() >= PATIENCE {
                let why = "another arpguard has been writing for a minute";
                return Err(Error::new(LOCK, pins.display(), why)
                    .advise("see what it is doing: pgrep -a arpguard"));
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// `None` where another process holds it, or has just removed the directory.
    fn attempt(pins: &Pins) -> Result<Option<Self>> {
        let tried = |cause: &(dyn std::error::Error + 'static)| {
            Error::from_cause(LOCK, pins.display(), cause)
        };
        let Some(directory) = pins.enter()? else {
            return Ok(None);
        };
        let held = match Flock::lock(directory, FlockArg::LockExclusiveNonblock) {
            Ok(held) => held,
            Err((_, Errno::EWOULDBLOCK)) => return Ok(None),
            Err((_, cause)) => return Err(tried(&cause)),
        };
        // Its last holder removes it, and then it is another that is locked.
        let inode = held.metadata().map_err(|cause| tried(&cause))?.ino();
        let is_there = fs::metadata(pins.home()).is_ok_and(|now| now.ino() == inode);
        Ok(is_there.then(|| Self {
            home: pins.home().to_owned(),
            _held: held,
        }))
    }
}

impl Drop for Lock {
    /// Leaves no empty directory behind.
    fn drop(&mut self) {
        if fs::remove_dir(&self.home).is_ok()
            && let Some(ours) = self.home.parent()
        {
            // Another namespace's directory may be in it.
            let _ = fs::remove_dir(ours);
        }
    }
}
