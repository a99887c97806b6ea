//! LLVM's tools, which read what a program has counted. They have to be of the compiler's LLVM, or a
//! newer one.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, bail};

use crate::process;

/// Where the tools are.
pub(super) struct Tools {
    pub(super) profdata: PathBuf,
    pub(super) cov: PathBuf,
}

/// Finds them: rustup's component `llvm-tools`, or Debian's package.
pub(super) fn find() -> Result<Tools> {
    let llvm = llvm();
    let Some(tools) = found(llvm) else {
        bail!(
            "measure: coverage: no llvm-cov and llvm-profdata of LLVM {llvm}: install them by \
             `rustup component add llvm-tools`, or as the package llvm-{llvm}"
        );
    };
    Ok(tools)
}

/// The package that has them, where they are missing.
pub(crate) fn wanted() -> Option<String> {
    let llvm = llvm();
    found(llvm).is_none().then(|| format!("llvm-{llvm}"))
}

fn found(llvm: u32) -> Option<Tools> {
    let libraries = process::ask(Command::new("rustc").args(["--print", "target-libdir"]));
    let component = Path::new(libraries.trim()).with_file_name("bin");
    let in_component = |name: &str| Some(component.join(name)).filter(|path| path.is_file());
    let tool = |name: &str| in_component(name).or_else(|| process::find(&format!("{name}-{llvm}")));
    Some(Tools {
        profdata: tool("llvm-profdata")?,
        cov: tool("llvm-cov")?,
    })
}

/// The major version of the compiler's LLVM.
fn llvm() -> u32 {
    let version = process::ask(Command::new("rustc").arg("-vV"));
    crate::setup::llvm(&version).unwrap_or_default()
}
