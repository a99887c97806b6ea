//! Compiles the eBPF programs, which `datapath::object` puts into the binary.

use std::{
    env, fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    path::Path,
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use aya_build::{Package, Toolchain, build_ebpf};

/// The toolchain that `cargo xtask setup` makes known to rustup where there is no nightly with the
/// standard library's source.
const PREBUILT: &str = "bpf";

fn main() -> Result<()> {
    let listed = Command::new("rustup")
        .args(["toolchain", "list"])
        .output()
        .context("cannot ask rustup for its toolchains")?;
    let listed = String::from_utf8_lossy(&listed.stdout);
    let has = |name: &str| {
        listed
            .lines()
            .any(|line| line.split(['-', ' ']).next() == Some(name))
    };
    ensure!(
        has(PREBUILT) || has("nightly"),
        "no toolchain can compile the eBPF programs: run `cargo xtask setup`"
    );
    let toolchain = if has(PREBUILT) {
        Toolchain::Custom(PREBUILT)
    } else {
        Toolchain::Nightly
    };
    let package = Package {
        name: "arpguard-ebpf",
        root_dir: concat!(env!("CARGO_MANIFEST_DIR"), "/../arpguard-ebpf"),
        ..Package::default()
    };
    build_ebpf([package], toolchain)
        .context("the eBPF programs do not compile; `cargo xtask setup` installs what is needed")?;
    name_build()
}

/// Gives the programs of this build a name by which `datapath::object` tells them from another's.
fn name_build() -> Result<()> {
    let directory = env::var("OUT_DIR").context("cargo has set no OUT_DIR")?;
    let path = Path::new(&directory).join("arpguard-ebpf");
    if env::var_os("AYA_BUILD_SKIP").is_some() && !path.exists() {
        // For builds that load no programs, as those that fuzz: the command refuses to load this.
        fs::write(&path, [])?;
    }
    let object = fs::read(path)?;
    let mut hasher = DefaultHasher::new();
    object.hash(&mut hasher);
    println!("cargo:rustc-env=ARPGUARD_PROGRAMS={:016x}", hasher.finish());
    Ok(())
}
