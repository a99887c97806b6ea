//! What the agent wakes for.

use std::{future::pending, path::PathBuf, time::Duration};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::{Instant, sleep, sleep_until},
};

use super::{events::Events, files::Files};
use crate::error::{Error, Result};

/// After what went wrong, it is tried again this much later, if nothing happens before.
const AGAIN: Duration = Duration::from_secs(5);

/// Why the agent wakes.
pub(super) enum Wake {
    /// Devices, addresses or routes have changed, or something is to be tried again.
    Host,
    /// The policy has changed.
    Policy,
    /// It is to end.
    End,
}

/// All that can wake it.
pub(super) struct Wakes {
    reload: Signal,
    end: End,
    events: Events,
    files: Files,
}

/// What asks it to end.
pub(super) struct End {
    interrupt: Signal,
    terminate: Signal,
}

impl Wakes {
    pub(super) fn watch(paths: &[PathBuf]) -> Result<Self> {
        Ok(Self {
            reload: listen_to(SignalKind::hangup())?,
            end: End {
                interrupt: listen_to(SignalKind::interrupt())?,
                terminate: listen_to(SignalKind::terminate())?,
            },
            events: Events::subscribe()?,
            files: Files::watch(paths)?,
        })
    }

    /// Waits for the next. `again`: whether something is to be tried again before long; `due`: when
    /// to look again though nothing happens.
    pub(super) async fn next(&mut self, again: bool, due: Option<Instant>) -> Wake {
        let due = async {
            match due {
                Some(due) => sleep_until(due).await,
                None => pending().await,
            }
        };
        tokio::select! {
            // To end comes before all that may never stop coming.
            biased;
            () = self.end.asked() => Wake::End,
            _ = self.reload.recv() => Wake::Policy,
            () = self.files.changed() => Wake::Policy,
            () = self.events.happened() => Wake::Host,
            () = sleep(AGAIN), if again => Wake::Host,
            () = due => Wake::Host,
        }
    }

    /// What can be waited for beside other work.
    pub(super) const fn end(&mut self) -> &mut End {
        &mut self.end
    }
}

impl End {
    /// Waits until it is asked to.
    pub(super) async fn asked(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

fn listen_to(kind: SignalKind) -> Result<Signal> {
    signal(kind).map_err(|cause| Error::from_cause("watch for", "signals", &cause))
}
