//! What is declared, as it was last read.

use std::{sync::Arc, time::SystemTime};

use tokio::sync::watch;

use crate::{config::Config, error::Result};

/// The policy to follow. Those who serve requests look at it while the agent replaces it.
#[derive(Clone)]
pub(super) struct Declared(watch::Sender<Reading>);

#[derive(Clone)]
pub(super) struct Reading {
    /// The last policy that could be read.
    pub(super) config: Arc<Config>,
    /// When it was read.
    pub(super) at: SystemTime,
    /// Why a later reading has failed, where one has.
    pub(super) failure: Option<String>,
}

impl Declared {
    pub(super) fn new(config: Config) -> Self {
        Self(watch::Sender::new(Reading::of(config)))
    }

    pub(super) fn reading(&self) -> Reading {
        self.0.borrow().clone()
    }

    /// Takes what was read again. Where that failed, what was declared before still is.
    pub(super) fn replace(&self, read: Result<Config>) {
        self.0.send_modify(|reading| match read {
            Ok(config) => *reading = Reading::of(config),
            Err(error) => reading.failure = Some(error.to_string()),
        });
    }
}

impl Reading {
    fn of(config: Config) -> Self {
        Self {
            config: Arc::new(config),
            at: SystemTime::now(),
            failure: None,
        }
    }
}
