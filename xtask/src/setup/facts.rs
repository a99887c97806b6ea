//! What is on this machine.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, ensure};

use super::names::{COMPILER, LIBRARIES, LLVM, PREFIX, RIVALS, TOOLCHAIN};
use crate::{
    process::{ask, find},
    root,
};

/// Programs that demo, tests and benchmarks run, and Debian's packages of them.
const PROGRAMS: [(&str, &str); 12] = [
    ("ip", "iproute2"),
    ("tc", "iproute2"),
    ("ss", "iproute2"),
    ("genl", "iproute2"),
    ("ethtool", "ethtool"),
    ("bpftool", "bpftool"),
    ("sysctl", "procps"),
    ("script", "bsdutils"),
    ("arping", "iputils-arping"),
    ("keepalived", "keepalived"),
    ("arptables", "arptables"),
    ("nft", "nftables"),
];
/// The kernel's target, for which a prebuilt compiler has to have a `core`.
const TARGET: &str = if cfg!(target_endian = "big") {
    "bpfeb-unknown-none"
} else {
    "bpfel-unknown-none"
};

/// The toolchain that is linked under the name [`TOOLCHAIN`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Prebuilt {
    /// There is none.
    #[default]
    Absent,
    /// It has no `core` for the kernel's target. The build script takes it all the same.
    Useless,
    /// It compiles eBPF programs.
    Usable,
}

/// What is on this machine, as far as the plan depends on it.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    /// A nightly toolchain has the standard library's source.
    pub(super) nightly: bool,
    /// The toolchain without nightly.
    pub(super) prebuilt: Prebuilt,
    /// A `bpf-linker` is there and starts.
    pub(super) linker: bool,
    /// The major version of the LLVM in Debian's compiler, where that is installed.
    pub(super) llvm: Option<u32>,
    /// Of the packages that matter, those that are installed.
    pub(super) packages: BTreeSet<String>,
    /// Of the programs that demo and tests run, those that are missing.
    pub(super) programs: Vec<&'static str>,
    /// Packages that are missing beside those of the programs.
    pub(super) extra: Vec<String>,
    /// apt's lists have been fetched.
    pub(super) refreshed: bool,
    /// The machine has apt.
    pub(super) apt: bool,
    /// This process can become root: it is, or there is a `sudo`.
    pub(super) privileged: bool,
}

impl Facts {
    /// Looks at the machine, in well under a second.
    pub(super) fn observe() -> Result<Self> {
        ensure!(
            find("rustup").is_some(),
            "set up: rustup: not found; the build asks it for a compiler of eBPF programs, so \
             install it as rustup.rs shows"
        );
        let toolchains = ask(Command::new("rustup").args(["toolchain", "list", "-v"]));
        let prebuilt_core = Path::new(PREFIX).join("lib/rustlib").join(TARGET);
        let llvm = prebuilt_core
            .exists()
            .then(|| ask(Command::new(Path::new(PREFIX).join("bin/rustc")).arg("-vV")))
            .and_then(|version| llvm(&version));
        let packages = ask(Command::new("dpkg-query")
            .args(["-W", "-f", "${db:Status-Status} ${Package}\\n"])
            .args(COMPILER)
            .args(LIBRARIES)
            .args(RIVALS)
            .arg(format!("llvm-{}-dev", llvm.unwrap_or(LLVM))));
        Ok(Self {
            nightly: toolchain(&toolchains, "nightly").is_some_and(|path| {
                path.join("lib/rustlib/src/rust/library/core/Cargo.toml")
                    .exists()
            }),
            prebuilt: match toolchain(&toolchains, TOOLCHAIN) {
                None => Prebuilt::Absent,
                Some(path) if path.join("lib/rustlib").join(TARGET).exists() => Prebuilt::Usable,
                Some(_) => Prebuilt::Useless,
            },
            linker: Command::new("bpf-linker")
                .arg("--version")
                .output()
                .is_ok_and(|output| output.status.success()),
            llvm,
            packages: installed(&packages),
            programs: PROGRAMS
                .iter()
                .map(|(program, _)| *program)
                .filter(|program| find(program).is_none())
                .collect(),
            extra: Vec::new(),
            refreshed: false,
            apt: find("apt-get").is_some(),
            privileged: root::is_root() || find("sudo").is_some(),
        })
    }

    /// Whether the eBPF programs can be compiled. The build script prefers the prebuilt toolchain,
    /// so a useless one is in the way of a nightly.
    pub(super) fn compiles(&self) -> bool {
        let compiler = match self.prebuilt {
            Prebuilt::Usable => true,
            Prebuilt::Useless => false,
            Prebuilt::Absent => self.nightly,
        };
        compiler && self.linker
    }

    /// Of `names`, the packages that are not installed.
    pub(super) fn not_installed(&self, names: &[&str]) -> Vec<String> {
        let missing = names.iter().filter(|name| !self.packages.contains(**name));
        missing.map(ToString::to_string).collect()
    }

    /// The packages of the programs that are missing.
    pub(super) fn missing_packages(&self) -> Vec<String> {
        let packages: BTreeSet<&str> = PROGRAMS
            .iter()
            .filter(|(program, _)| self.programs.contains(program))
            .map(|(_, package)| *package)
            .collect();
        packages.into_iter().map(String::from).collect()
    }
}

/// The packages that `dpkg-query` lists as installed.
fn installed(listed: &str) -> BTreeSet<String> {
    let lines = listed.lines();
    let names = lines.filter_map(|line| line.strip_prefix("installed "));
    names.map(String::from).collect()
}

/// Where rustup's list has the toolchain `name`, with or without the host's triple behind it.
fn toolchain(listed: &str, name: &str) -> Option<PathBuf> {
    let line = listed
        .lines()
        .find(|line| line.split(['-', ' ', '\t']).next() == Some(name))?;
    line.find('/').map(|at| PathBuf::from(&line[at..]))
}

/// The major version of LLVM in what `rustc -vV` prints.
pub(crate) fn llvm(version: &str) -> Option<u32> {
    let line = version
        .lines()
        .find_map(|line| line.strip_prefix("LLVM version: "))?;
    line.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::cargo;

    /// Programs that need no package of their own: those of packages that no Debian machine is without
    /// (`Essential: yes`), those that come with Rust, those that the virtual machine has, and those
    /// that tests do without.
    const GIVEN: [&str; 12] = [
        "cc",
        "date",
        "kill",
        "mount",
        "nsenter",
        "setpriv",
        "sh",
        "umount",
        "unshare",
        // Under other kernels alone: `kernel::tools`.
        "ipvsadm",
        "modprobe",
        "systemd-analyze",
    ];

    /// The programs that stand in a source as what a namespace or this process runs.
    fn run_by(source: &str) -> BTreeSet<&str> {
        let texts = |opening| {
            let after = source.split(opening).skip(1);
            after.filter_map(|rest| rest.trim_start().strip_prefix('"')?.split('"').next())
        };
        let lines = ["sh(", "sh(&format!("].into_iter().flat_map(texts);
        let alone = [".command(", "Command::new(", ".run(["].into_iter();
        let words = lines
            .filter_map(|line| line.split(' ').next())
            .chain(alone.flat_map(texts));
        let is_letter = |c: char| c.is_ascii_lowercase() || c == '-';
        words
            .filter(|word| word.starts_with(|c: char| c.is_ascii_lowercase()))
            .filter(|word| word.chars().all(is_letter))
            .collect()
    }

    fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }

    #[test]
    fn every_program_that_tests_run_is_installed() {
        let mut files = Vec::new();
        sources(&cargo::workspace_root().unwrap().join("tests"), &mut files);
        let mut seen = BTreeSet::new();
        for file in files {
            let source = fs::read_to_string(&file).unwrap();
            for program in run_by(&source) {
                let installed = PROGRAMS.iter().any(|(name, _)| *name == program);
                assert!(
                    installed || GIVEN.contains(&program),
                    "{program}: {} runs it, and setup does not install it",
                    file.display()
                );
                seen.insert(program.to_owned());
            }
        }
        for program in ["ip", "tc", "ethtool", "bpftool", "arping", "nft"] {
            assert!(seen.contains(program), "{program} of {seen:?}");
        }
    }

    #[test]
    fn toolchains_as_rustup_lists_them() {
        let listed = "stable-x86_64-unknown-linux-gnu (active, default) /home/me/.rustup/stable\n\
                      nightly-2026-01-01-x86_64-unknown-linux-gnu\t/home/me/.rustup/dated\n\
                      bpf /usr\n";
        assert_eq!(toolchain(listed, "bpf"), Some("/usr".into()));
        let dated = toolchain(listed, "nightly");
        assert_eq!(dated, Some("/home/me/.rustup/dated".into()));
        assert_eq!(toolchain(listed, "beta"), None);
        assert_eq!(toolchain("no installed toolchains\n", "bpf"), None);
    }

    #[test]
    fn packages_as_dpkg_lists_them() {
        let packages = installed("installed rustc-web\nconfig-files cargo-web\nnot-installed x\n");
        assert_eq!(packages, BTreeSet::from(["rustc-web".to_owned()]));
    }

    #[test]
    fn llvm_as_rustc_names_it() {
        let version = "rustc 1.96.0 (built from a source tarball)\nLLVM version: 22.1.8\n";
        assert_eq!(llvm(version), Some(22));
        assert_eq!(llvm(""), None);
        assert_eq!(llvm("LLVM version: unknown\n"), None);
    }
}
