//! Whether this process is root's.

use std::{fs, os::unix::fs::MetadataExt as _};

use anyhow::{Result, ensure};

/// Whether the effective user is root: `/proc/self` belongs to it.
pub(crate) fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// Fails unless root runs `cargo xtask VERB`. Nothing is skipped for the lack of it: a test that did
/// not run would look like one that passed.
pub(crate) fn need(verb: &str) -> Result<()> {
    ensure!(
        is_root(),
        "{verb}: network namespaces and eBPF programs: only root may make and load them; run \
         `sudo -E env PATH=$PATH cargo xtask {verb}`"
    );
    Ok(())
}
