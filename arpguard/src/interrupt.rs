//! Ctrl-C and its like, in the middle of a change.
//!
//! A signal does not end the process: it is noticed between two steps, and what was begun is undone.

use std::{
    io,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::error::{Error, Result};

static REQUESTED: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// From now on, signals that ask the process to end are kept for [`check`].
///
/// # Errors
/// Where a handler cannot be installed.
pub fn watch() -> io::Result<()> {
    let requested = REQUESTED.get_or_init(Arc::default);
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(requested))?;
    }
    Ok(())
}

/// Whether the process was asked to end.
pub fn requested() -> bool {
    REQUESTED
        .get()
        .is_some_and(|requested| requested.load(Ordering::Relaxed))
}

/// # Errors
/// Where the process was asked to end.
pub fn check() -> Result<()> {
    if requested() {
        let why = "a signal asked arpguard to end, and nothing was changed";
        return Err(Error::new("change the policy", "interrupted", why));
    }
    Ok(())
}
