//! The lease by which the programs know that somebody listens.
//!
//! A thread renews it, so that a reader which waits for its terminal or pipe still has the lease:
//! then the ring fills, and what finds no room is counted.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use arpguard_common::abi::{Listener, map};
use aya::maps::{Array, Map, MapData};

use super::{bpffs::Pins, maps::open};
use crate::{
    clock,
    error::{Error, Result},
    fault,
};

const LEASE: Duration = Duration::from_secs(2);
const RENEWED: Duration = Duration::from_millis(500);

/// Held until dropped.
pub(super) struct Lease {
    shared: Arc<Shared>,
    thread: Option<thread::JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    ended: AtomicBool,
    /// For how many nanoseconds there was no lease, since the process was stopped.
    gap: AtomicU64,
}

type Register = Array<MapData, [u64; Listener::WORDS]>;

/// The register of who listens, which nobody is in yet.
pub(super) struct Vacant(Register);

impl Vacant {
    /// Ends the lease that a killed reader may still have.
    pub(super) fn make(pins: &Pins) -> Result<Self> {
        let mut register = open(pins, map::LISTENER, Map::Array)?;
        write(&mut register, Listener::default())?;
        Ok(Self(register))
    }

    /// Takes a lease for `listener`.
    pub(super) fn take(self, listener: Listener) -> Result<Lease> {
        let mut register = self.0;
        let mut until = renew(&mut register, listener)?;
        let shared = Arc::new(Shared::default());
        let seen = Arc::clone(&shared);
        let keep = move || {
            while !seen.ended.load(Ordering::Acquire) {
                thread::park_timeout(RENEWED);
                let late = clock::monotonic().saturating_sub(until);
                seen.gap.fetch_add(late, Ordering::Relaxed);
                // The map is there as long as it is open: this cannot fail any more.
                until = renew(&mut register, listener).unwrap_or(until);
            }
            let _ = write(&mut register, Listener::default());
        };
        let thread = thread::Builder::new()
            .name("lease".to_owned())
            .spawn(keep)
            .map_err(|cause| Error::from_cause("start", "a thread", &cause))?;
        Ok(Lease {
            shared,
            thread: Some(thread),
        })
    }
}

impl Lease {
    /// Ends it: the programs write no more events.
    pub(super) fn end(&mut self) {
        self.shared.ended.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // Were it to have died, its lease would end by itself.
            let _ = thread.join();
        }
    }

    /// For how long there was no lease in between: the process was stopped.
    pub(super) fn gap(&self) -> Duration {
        Duration::from_nanos(self.shared.gap.load(Ordering::Relaxed))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.end();
    }
}

fn renew(register: &mut Register, listener: Listener) -> Result<u64> {
    let until = clock::monotonic().saturating_add(LEASE.as_nanos() as u64);
    write(register, Listener { until, ..listener }).map(|()| until)
}

fn write(register: &mut Register, listener: Listener) -> Result<()> {
    fault::step("map/listener", || register.set(0, listener.to_words(), 0))
        .map_err(|cause| Error::from_cause("write", map::LISTENER, &cause))
}
