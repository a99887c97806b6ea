//! Doing one step of the plan.

use std::process::Command;

use anyhow::{Result, bail};

use super::{
    check::OTHER_WAY,
    names::{LINKER_VERSION, PREFIX, TOOLCHAIN},
    plan::Step,
};
use crate::{cargo, process, root};

/// Does `step`. Its output is the tool's own.
pub(super) fn apply(step: &Step) -> Result<()> {
    match step {
        Step::Refresh => process::run(
            apt_get().args(["-q", "update"]),
            "fetch",
            "apt's lists of packages",
        ),
        Step::Packages(names) => install(names),
        Step::Link => process::run(
            Command::new("rustup").args(["toolchain", "link", TOOLCHAIN, PREFIX]),
            "link",
            &format!("{PREFIX} as rustup's toolchain {TOOLCHAIN}"),
        ),
        Step::Linker { llvm } => process::run(&mut linker(*llvm), "install", "bpf-linker"),
    }
}

fn install(names: &[String]) -> Result<()> {
    for name in names {
        let known = process::ask(Command::new("apt-cache").args(["show", name]));
        if known.is_empty() {
            bail!(
                "install: {name}: apt does not know this package, as this release is too old or \
                 its updates are not among apt's sources; use Debian 12 or newer with updates, or \
                 install {OTHER_WAY}"
            );
        }
    }
    // A set-up that somebody agreed to must not cost them a package.
    let options = [
        "-q",
        "install",
        "-y",
        "--no-install-recommends",
        "--no-remove",
    ];
    process::run(
        apt_get().args(options).args(names),
        "install",
        &names.join(" "),
    )
}

/// `apt-get` as root, which asks nothing, and waits for another apt that is at work: fresh machines
/// upgrade themselves.
fn apt_get() -> Command {
    const QUIET: &str = "DEBIAN_FRONTEND=noninteractive";
    let mut command = Command::new(if root::is_root() { "env" } else { "sudo" });
    if !root::is_root() {
        // sudo clears the environment, so the variable is set behind it.
        command.arg("env");
    }
    command.args([QUIET, "apt-get", "-o", "DPkg::Lock::Timeout=300"]);
    command
}

fn linker(llvm: u32) -> Command {
    let mut install = cargo::cargo();
    install
        .args(["install", "bpf-linker", "--version", LINKER_VERSION])
        .args(["--locked", "--no-default-features", "--features"])
        .arg(format!("llvm-{llvm}"))
        // One that is there and does not start was linked with an LLVM that has gone.
        .arg("--force")
        .env("LLVM_PREFIX", format!("/usr/lib/llvm-{llvm}"));
    install
}
