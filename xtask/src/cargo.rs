//! The cargo that runs this program, used for more of the workspace.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};

use crate::process;

/// The variable by which demo and tests find the binary that they are to try.
pub(crate) const ARPGUARD: &str = "ARPGUARD";

/// The variable by which tests find the binary that they make faults in.
pub(crate) const FAULTY: &str = "ARPGUARD_FAULTY";

/// A cargo command with the environment of one that was typed.
pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // `cargo run` put it there from .cargo/config.toml. Left in, build scripts would see it change
    // between this and a typed command, and each would compile again what the other had compiled.
    cargo.env_remove("RUSTC_BOOTSTRAP");
    cargo
}

/// Builds arpguard as it is shipped, and says where it is.
pub(crate) fn build_arpguard() -> Result<PathBuf> {
    build("arpguard", &[], "arpguard")
}

/// Builds a package in release mode; the path of its binary `name`.
pub(crate) fn build(package: &str, options: &[&str], name: &str) -> Result<PathBuf> {
    build_by(cargo(), package, options, name)
}

/// As [`build`], by a cargo command that has an environment of its own.
pub(crate) fn build_by(
    mut cargo: Command,
    package: &str,
    options: &[&str],
    name: &str,
) -> Result<PathBuf> {
    cargo
        .args(["build", "--release", "--package", package])
        .args(options);
    process::run(&mut cargo, "build", package)?;
    built("release", package, name)
}

/// Builds arpguard with the points at which tests make things go wrong, which the release build has
/// not. What it is made of is what the tests of the workspace are made of.
pub(crate) fn build_faulty(mut cargo: Command) -> Result<PathBuf> {
    cargo
        .args(["build", "--workspace", "--exclude", "arpguard-ebpf"])
        .args(["--bin", "arpguard"]);
    process::run(&mut cargo, "build", "arpguard with faults")?;
    built("debug", "arpguard", "arpguard")
}

fn built(profile: &str, package: &str, name: &str) -> Result<PathBuf> {
    let binary = target_directory()?.join(profile).join(name);
    ensure!(
        binary.is_file(),
        "build: {package}: no binary at {}",
        binary.display()
    );
    Ok(binary)
}

/// Where the workspace is.
pub(crate) fn workspace_root() -> Result<PathBuf> {
    named(&metadata()?, "workspace_root")
}

/// Where cargo builds.
pub(crate) fn target_directory() -> Result<PathBuf> {
    named(&metadata()?, "target_directory")
}

fn metadata() -> Result<Vec<u8>> {
    let metadata = cargo()
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .output()
        .context("find: the workspace: cargo metadata")?;
    let error = String::from_utf8_lossy(&metadata.stderr);
    ensure!(
        metadata.status.success(),
        "find: the workspace: {}",
        error.trim()
    );
    Ok(metadata.stdout)
}

/// The directory that `cargo metadata` tells by this name.
fn named(metadata: &[u8], name: &str) -> Result<PathBuf> {
    let metadata: serde_json::Value =
        serde_json::from_slice(metadata).context("find: the workspace: cargo metadata")?;
    let directory = metadata[name]
        .as_str()
        .with_context(|| format!("find: {name}: cargo metadata does not name it"))?;
    Ok(Path::new(directory).to_path_buf())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn target_directory_with_an_escape() {
        let found = named(
            br#"{"target_directory":"/a \"b\"/target"}"#,
            "target_directory",
        )
        .unwrap();
        assert_eq!(found, Path::new("/a \"b\"/target"));
    }

    #[test]
    fn target_directory_not_named() {
        assert!(named(b"{}", "target_directory").is_err());
        assert!(named(b"", "target_directory").is_err());
    }
}
