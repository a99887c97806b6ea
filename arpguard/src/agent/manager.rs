//! What the service manager is told, by the protocol of `sd_notify(3)`.

use std::{future::pending, time::Duration};

use sd_notify::NotifyState;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

use super::turn::Turn;

/// For how long one turn of the agent counts as life. A writer is waited for that long at most, and
/// a million rules take a few seconds.
const LONGEST_TURN: Duration = Duration::from_secs(120);

/// The service manager that has started the agent, if one has that wants to know.
pub(super) struct Manager {
    is_ready: bool,
    is_reloading: bool,
    status: String,
    watchdog: Option<Interval>,
}

impl Manager {
    pub(super) fn new() -> Self {
        let patience = sd_notify::watchdog_enabled().filter(|patience| !patience.is_zero());
        let watchdog = patience.map(|patience| {
            let mut pings = interval(patience / 2);
            pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
            pings
        });
        Self {
            is_ready: false,
            is_reloading: false,
            status: String::new(),
            watchdog,
        }
    }

    /// Tells how a turn went, and why the policy of the files is not the one it was about, if so.
    ///
    /// It is ready when all is in force, and when the host must change first: the network may wait
    /// for the agent, so the agent must not wait for the network.
    pub(super) fn tell(&mut self, turn: Turn, failure: Option<String>) {
        let (is_done, mut status) = match turn {
            Turn::InForce(summary) => (true, summary.to_string()),
            Turn::Waiting(error) => (true, format!("waiting for the host: {error}")),
            Turn::Failed(error) => (false, error.to_string()),
        };
        if let Some(failure) = failure {
            status = format!("{status}, as before: {failure}");
        }
        // A reload that fails is over too, and what was in force before still is.
        let is_news = (is_done && !self.is_ready) || self.is_reloading;
        self.is_ready |= is_done;
        self.is_reloading = false;
        let line = NotifyState::Status(&status);
        if is_news {
            send(&[NotifyState::Ready, line]);
        } else if status != self.status {
            send(&[line]);
        }
        self.status = status;
    }

    /// The policy is being read again.
    pub(super) fn reloading(&mut self) {
        // Before it is ready, it is starting, and that goes on.
        if !self.is_ready {
            return;
        }
        self.is_reloading = true;
        match NotifyState::monotonic_usec_now() {
            Ok(now) => send(&[NotifyState::Reloading, now]),
            Err(_) => send(&[NotifyState::Reloading]),
        }
    }

    pub(super) fn stopping(&self) {
        send(&[NotifyState::Stopping]);
    }

    /// Waits for `work`, and shows life meanwhile, as long as it takes no longer than a turn may.
    pub(super) async fn while_doing<T>(&mut self, work: impl Future<Output = T>) -> T {
        self.ping_while(work, Some(Instant::now() + LONGEST_TURN))
            .await
    }

    /// Waits for what may never come, and shows life meanwhile.
    pub(super) async fn while_waiting<T>(&mut self, event: impl Future<Output = T>) -> T {
        self.ping_while(event, None).await
    }

    async fn ping_while<T>(&mut self, work: impl Future<Output = T>, until: Option<Instant>) -> T {
        tokio::pin!(work);
        loop {
            tokio::select! {
                // What never stops coming must not keep it from pinging.
                biased;
                now = tick(&mut self.watchdog) => {
                    if until.is_none_or(|until| now < until) {
                        send(&[NotifyState::Watchdog]);
                    }
                }
                done = &mut work => return done,
            }
        }
    }
}

/// Each half of the watchdog's patience; never, where there is none.
async fn tick(watchdog: &mut Option<Interval>) -> Instant {
    match watchdog {
        Some(pings) => pings.tick().await,
        None => pending().await,
    }
}

fn send(states: &[NotifyState<'_>]) {
    // A manager that does not listen is no reason to end, and there is nobody else to tell.
    let _ = sd_notify::notify(states);
}
