//! Network namespaces, and what is put into them.

mod binary;
mod namespace;
mod passer;
mod port;
mod ring;
mod segment;

pub use self::{
    binary::{Output, arpguard},
    namespace::Namespace,
    passer::Passer,
    port::Port,
    ring::ring_position,
    segment::{Segment, Wire},
};

use std::time::Duration;

/// How long to wait for what must come. Never a measure of speed: whoever needs this long has
/// failed.
pub const PATIENCE: Duration = Duration::from_secs(20);
