//! arpguard's user space.
//!
//! A change reads in one direction: a command ([`cli`]) or a file ([`config`]) is checked against
//! the [`host`] ([`policy`]), [`plan`] says what follows from it, and [`datapath`] writes that into
//! the kernel. Observing the host and writing to the kernel do not know each other, but only the
//! [`device`] and the [`terms`] that both speak of. A [`session`] is one change from its beginning to its end; what
//! commands ask for are [`request`]s, which the [`agent`] takes by a socket ([`control`]) where it
//! holds the state itself.
//!
//! [`arp`] is apart from all that: it asks and tells on the wire what other hosts see. The [`doctor`]
//! looks at everything but the wire, and changes nothing; so does [`explain`], at one frame.

// Adapters to what has no safe interface say so, each for itself.
#![deny(unsafe_code)]

#[cfg(not(target_os = "linux"))]
compile_error!("arpguard is about the Linux kernel");

pub mod agent;
pub mod arp;
pub mod check;
pub mod cli;
pub mod clock;
pub mod config;
pub mod control;
pub mod datapath;
pub mod device;
pub mod doctor;
pub mod error;
pub mod explain;
mod fault;
pub mod host;
pub mod interrupt;
pub mod netlink;
mod plain;
pub mod plan;
pub mod policy;
mod progress;
pub mod render;
pub mod request;
pub mod routing;
pub mod session;
pub mod terms;
mod trust;
pub mod vacancy;
mod vip;
