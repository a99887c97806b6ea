//! `cargo xtask bench`.

use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result};

use crate::{
    cargo::{self, ARPGUARD},
    process, root, setup,
};

/// Builds arpguard and what measures it, and runs that; its exit status is the measurement's. The
/// README and `docs` are written when all of it was measured in full.
pub(crate) fn run(quick: bool, filters: &[String]) -> Result<ExitCode> {
    root::need("bench")?;
    setup::ensure()?;
    let arpguard = cargo::build_arpguard()?;
    let bench = cargo::build("arpguard-tests", &["--bin", "bench"], "bench")?;
    let mut measure = Command::new(&bench);
    measure.env(ARPGUARD, arpguard);
    if quick {
        measure.arg("--quick");
    }
    for filter in filters {
        measure.args(["--filter", filter]);
    }
    if filters.is_empty() && !quick {
        measure.arg("--write").arg(cargo::workspace_root()?);
    }
    let status = measure
        .status()
        .with_context(|| format!("run: {}", bench.display()))?;
    Ok(process::exit_code(status))
}
