//! What bytes from outside may not do to arpguard.
//!
//! A target is a function of bytes that panics where something is wrong. The programs under
//! `src/bin/` give them to libFuzzer, which `cargo xtask fuzz` builds and drives; the tests of this
//! crate give them the [`corpus`] and what proptest draws, on any build.
#![expect(
    clippy::unwrap_used,
    reason = "a fuzz target panics where something is wrong"
)]

pub mod corpus;
mod rest;
mod targets;

use std::path::{Path, PathBuf};

pub use targets::{config, event, judge, netlink, wire};

/// Where the seeds of a target are.
pub fn directory(target: &str) -> PathBuf {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    corpus.join(target)
}

/// A target.
pub type Target = fn(&[u8]);

/// All of them, by name.
pub const TARGETS: [(&str, Target); 5] = [
    ("wire", wire),
    ("judge", judge),
    ("config", config),
    ("event", event),
    ("netlink", netlink),
];

/// The program of a target: under libFuzzer its entry, else one that runs it on the files that it is
/// given, as to look at what was found.
#[macro_export]
macro_rules! target {
    ($name:ident) => {
        #[cfg(fuzzing)]
        libfuzzer_sys::fuzz_target!(|data: &[u8]| $crate::$name(data));

        #[cfg(not(fuzzing))]
        fn main() -> std::io::Result<()> {
            for path in std::env::args_os().skip(1) {
                $crate::$name(&std::fs::read(path)?);
            }
            Ok(())
        }
    };
}
