//! `cargo xtask demo`.

use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result};

use crate::{
    cargo::{self, ARPGUARD},
    process, root, setup,
};

/// Builds arpguard and the demo, and runs it; its exit status is the demo's.
pub(crate) fn run() -> Result<ExitCode> {
    root::need("demo")?;
    setup::ensure()?;
    let arpguard = cargo::build_arpguard()?;
    let demo = cargo::build("arpguard-tests", &["--bin", "demo"], "demo")?;
    let status = Command::new(&demo)
        .env(ARPGUARD, arpguard)
        .status()
        .with_context(|| format!("run: {}", demo.display()))?;
    Ok(process::exit_code(status))
}
