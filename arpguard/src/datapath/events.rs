//! The events that the programs tell, and the one who reads them.
//!
//! A ring has one reader. Who it is says a lock on a directory among the pins, which is not the
//! lock of those who write policy.
#![expect(unsafe_code, reason = "aya's ring is registered with the runtime")]

use std::{
    fs::{self, File},
    os::unix::fs::MetadataExt as _,
    path::PathBuf,
    time::Duration,
};

use arpguard_common::{
    abi::{Event, Listener, Meters, map},
    verdict::Reason,
};
use aya::maps::{Map, MapData, MapError, PerCpuHashMap, PerCpuValues, RingBuf};
use nix::{
    errno::Errno,
    fcntl::{Flock, FlockArg},
};
use tokio::io::{Interest as Readiness, unix::AsyncFd};

use super::{
    Store,
    bpffs::Pins,
    lease::{Lease, Vacant},
    maps::{Left, open, unreadable},
};
use crate::{
    clock,
    error::{Error, Result},
    fault,
};

const LISTEN: &str = "monitor";

/// Which events are to be told.
#[derive(Clone, Debug)]
pub struct Interest {
    /// The interface index of the only device; `None` for every device.
    pub device: Option<u32>,
    /// These reasons; all of them where there are none.
    pub reasons: Vec<Reason>,
    /// At most so many a second for one device and policy.
    pub rate: u32,
}

/// The events, as they come.
pub struct Events {
    lease: Lease,
    since: u64,
    ring: AsyncFd<RingBuf<MapData>>,
    meters: PerCpuHashMap<MapData, u32, Meters>,
    seat: Seat,
}

impl Events {
    /// Begins to listen. Needs a tokio runtime to run in.
    ///
    /// # Errors
    /// Where nothing is loaded, or somebody else listens.
    pub fn listen(store: &Store, interest: &Interest) -> Result<Self> {
        let Store::Pinned(pins) = store else {
            let why = "an agent holds the state, and its events cannot be read from outside";
            return Err(Error::new(LISTEN, "this network namespace", why)
                .advise("give the agent a BPF file system to pin to, with --bpffs"));
        };
        let seat = Seat::take(pins)?;
        let mut ring: RingBuf<MapData> = open(pins, map::EVENTS, Map::RingBuf)?;
        let mut meters = open(pins, map::METERS, Map::PerCpuHashMap)?;
        let vacant = Vacant::make(pins)?;
        // What the last reader has left is not for this one.
        while ring.next().is_some() {}
        clear(&mut meters)?;
        let since = clock::monotonic();
        let reasons = match interest.reasons.as_slice() {
            [] => u32::MAX,
            some => some
                .iter()
                .fold(0, |bits, one| bits | Listener::reason(*one)),
        };
        // SAFETY: the ring owns its descriptor, keeps it open until it is dropped, and always gives
        // the same one.
        let ring = unsafe { AsyncFd::register_with_interest(ring, Readiness::READABLE) }
            .map_err(|cause| Error::from_cause(LISTEN, "the ring of events", &cause))?;
        let lease = vacant.take(Listener {
            rate: interest.rate,
            device: interest.device.unwrap_or_default(),
            reasons,
            ..Listener::default()
        })?;
        Ok(Self {
            lease,
            since,
            ring,
            meters,
            seat,
        })
    }

    /// The next event; `None` where there is none within `patience`.
    ///
    /// # Errors
    /// Where the ring cannot be waited for, or holds what is no event.
    pub async fn next(&mut self, patience: Duration) -> Result<Option<Event>> {
        let wait = async {
            loop {
                if let Some(event) = self.take()? {
                    return Ok(event);
                }
                let mut guard = self
                    .ring
                    .readable_mut()
                    .await
                    .map_err(|cause| Error::from_cause(LISTEN, "the ring of events", &cause))?;
                guard.clear_ready();
                // What came before that was cleared is taken by the next turn of the loop.
            }
        };
        match tokio::time::timeout(patience, wait).await {
            Ok(event) => event.map(Some),
            Err(_) => Ok(None),
        }
    }

    /// The next event, if it is there already.
    ///
    /// # Errors
    /// Where the ring holds what is no event.
    pub fn take(&mut self) -> Result<Option<Event>> {
        while let Some(bytes) = self.ring.get_mut().next() {
            let event = Event::from_bytes(&bytes).ok_or_else(|| {
                Error::new(LISTEN, "the ring of events", "it holds what is no event")
            })?;
            // A program that was under way when the last reader went.
            if event.time >= self.since {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    /// Tells the programs that nobody listens. What they have written can still be taken.
    pub fn stop(&mut self) {
        self.lease.end();
    }

    /// For how long nobody listened, since this process was stopped.
    pub fn gap(&self) -> Duration {
        self.lease.gap()
    }

    /// What was left out after the last event of each device and policy.
    ///
    /// # Errors
    /// Where the map cannot be read.
    pub fn left(&self) -> Result<Left> {
        let mut left = Left::default();
        for row in self.meters.iter() {
            let (_, cpus) = row.map_err(|cause| unreadable(map::METERS, &cause))?;
            for [suppressed, lost, ..] in cpus.iter().flatten() {
                left.add(Left {
                    suppressed: *suppressed,
                    lost: *lost,
                });
            }
        }
        Ok(left)
    }

    /// # Errors
    /// Where arpguard was detached meanwhile, so that no more events can come.
    pub fn check(&self) -> Result<()> {
        self.seat.check()
    }
}

/// Clears what the last reader has left, but for the totals. Nobody listens, so no program counts.
fn clear(meters: &mut PerCpuHashMap<MapData, u32, Meters>) -> Result<()> {
    let rows: Result<Vec<(u32, PerCpuValues<Meters>)>, _> = meters.iter().collect();
    for (device, cpus) in rows.map_err(|cause| unreadable(map::METERS, &cause))? {
        let cleared = cpus.iter().map(|rows| {
            rows.map(|[.., ever_suppressed, ever_lost]| [0, 0, 0, 0, ever_suppressed, ever_lost])
        });
        PerCpuValues::try_from(cleared.collect::<Vec<_>>())
            .map_err(MapError::from)
            .and_then(|cleared| fault::step("map/meters", || meters.insert(device, cleared, 0)))
            .map_err(|cause| Error::from_cause("clear", map::METERS, &cause))?;
    }
    Ok(())
}

/// The reader's place, which one process has at a time.
struct Seat {
    path: PathBuf,
    inode: u64,
    _held: Flock<File>,
}

impl Seat {
    fn take(pins: &Pins) -> Result<Self> {
        let path = pins.monitor();
        let tried = |cause: &(dyn std::error::Error + 'static)| {
            Error::from_cause(LISTEN, path.display(), cause)
        };
        let directory = File::open(&path).map_err(|cause| tried(&cause))?;
        let inode = directory.metadata().map_err(|cause| tried(&cause))?.ino();
        match Flock::lock(directory, FlockArg::LockExclusiveNonblock) {
            Ok(held) => Ok(Self {
                path,
                inode,
                _held: held,
            }),
            Err((_, Errno::EWOULDBLOCK)) => Err(Error::new(
                LISTEN,
                "this network namespace",
                "another `arpguard monitor` is reading, and each event has one reader",
            )
            .advise("end that one, or read its output")),
            Err((_, cause)) => Err(tried(&cause)),
        }
    }

    fn check(&self) -> Result<()> {
        if fs::metadata(&self.path).is_ok_and(|now| now.ino() == self.inode) {
            return Ok(());
        }
        let why = "arpguard was detached from it";
        Err(Error::new(LISTEN, "this network namespace", why))
    }
}
