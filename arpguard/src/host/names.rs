//! The names of devices, by interface index.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use nix::net::if_::if_indextoname;

/// A device may be renamed.
const FRESH: Duration = Duration::from_secs(1);

/// The names that devices of the process's network namespace have at the moment.
#[derive(Debug, Default)]
pub struct Names(HashMap<u32, (String, Instant)>);

impl Names {
    /// The name of a device; for one that is gone, the one it had when last asked for, or its index
    /// as in `if7`.
    pub fn of(&mut self, index: u32) -> &str {
        let now = Instant::now();
        let known = self.0.get(&index);
        let fresh = known.is_some_and(|(_, asked)| now.duration_since(*asked) < FRESH);
        if !fresh && let Ok(name) = if_indextoname(index) {
            let name = name.to_string_lossy().into_owned();
            self.0.insert(index, (name, now));
        }
        let (name, _) = self
            .0
            .entry(index)
            .or_insert_with(|| (format!("if{index}"), now));
        name
    }
}
