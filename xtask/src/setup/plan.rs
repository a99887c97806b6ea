//! What has to be done, from what is there. Nothing here looks at the machine.

use std::fmt;

use super::{
    facts::{Facts, Prebuilt},
    names::{COMPILER, LIBRARIES, LINKER_VERSION, LLVM, PREFIX, TOOLCHAIN},
};

/// One thing to do; it displays as the command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Fetch apt's lists of packages.
    Refresh,
    /// Install packages.
    Packages(Vec<String>),
    /// Make Debian's compiler known to rustup.
    Link,
    /// Compile the linker with this LLVM.
    Linker {
        /// The major version: no linker reads what a newer LLVM has written.
        llvm: u32,
    },
}

impl Step {
    /// Whether it takes root.
    pub(super) fn needs_root(&self) -> bool {
        matches!(self, Self::Refresh | Self::Packages(_))
    }

    /// The packages that it installs.
    pub(super) fn packages(&self) -> &[String] {
        match self {
            Self::Packages(names) => names,
            Self::Refresh | Self::Link | Self::Linker { .. } => &[],
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refresh => write!(out, "apt-get update"),
            Self::Packages(names) => write!(out, "apt-get install {}", names.join(" ")),
            Self::Link => write!(out, "rustup toolchain link {TOOLCHAIN} {PREFIX}"),
            Self::Linker { llvm } => {
                write!(
                    out,
                    "cargo install bpf-linker {LINKER_VERSION}, with LLVM {llvm}"
                )
            }
        }
    }
}

/// The steps that are left, in order. The packages that the compiler's version decides come after it.
pub(super) fn plan(facts: &Facts) -> Vec<Step> {
    let mut first: Vec<String> = facts.missing_packages();
    first.extend(facts.extra.iter().cloned());
    let mut second = Vec::new();
    let mut last = Vec::new();
    if !facts.compiles() {
        if facts.prebuilt != Prebuilt::Usable {
            first.extend(facts.not_installed(&COMPILER));
            last.push(Step::Link);
        }
        if !facts.linker {
            let llvm = facts.llvm.unwrap_or(LLVM);
            second.extend(facts.not_installed(&[&format!("llvm-{llvm}-dev")]));
            second.extend(facts.not_installed(&LIBRARIES));
            last.push(Step::Linker { llvm });
        }
    }
    let mut steps: Vec<Step> = [first, second]
        .into_iter()
        .filter(|names| !names.is_empty())
        .map(Step::Packages)
        .collect();
    if !steps.is_empty() && !facts.refreshed {
        steps.insert(0, Step::Refresh);
    }
    steps.extend(last);
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The commands of the plan for a machine with apt and these facts.
    fn commands(facts: Facts) -> Vec<String> {
        plan(&facts).iter().map(ToString::to_string).collect()
    }

    fn owned(names: &[&str]) -> impl Iterator<Item = String> {
        names.iter().map(ToString::to_string)
    }

    #[test]
    fn fresh_machine() {
        let facts = Facts {
            programs: vec!["ip", "tc", "arping", "keepalived"],
            ..Facts::default()
        };
        assert_eq!(
            commands(facts),
            [
                "apt-get update",
                "apt-get install iproute2 iputils-arping keepalived rustc-web cargo-web libstd-rust-web-dev-bpf",
                "apt-get install llvm-22-dev libzstd-dev zlib1g-dev",
                "rustup toolchain link bpf /usr",
                "cargo install bpf-linker 0.13.0, with LLVM 22",
            ]
        );
    }

    #[test]
    fn nothing_is_missing() {
        let prebuilt = Facts {
            prebuilt: Prebuilt::Usable,
            linker: true,
            ..Facts::default()
        };
        assert!(commands(prebuilt).is_empty());
        let nightly = Facts {
            nightly: true,
            linker: true,
            ..Facts::default()
        };
        assert!(commands(nightly).is_empty());
    }

    #[test]
    fn the_linker_gets_the_llvm_of_the_compiler() {
        let facts = Facts {
            prebuilt: Prebuilt::Usable,
            llvm: Some(23),
            packages: owned(&COMPILER).chain(owned(&LIBRARIES)).collect(),
            refreshed: true,
            ..Facts::default()
        };
        assert_eq!(
            commands(facts),
            [
                "apt-get install llvm-23-dev",
                "cargo install bpf-linker 0.13.0, with LLVM 23",
            ]
        );
    }

    #[test]
    fn lists_are_fetched_for_packages_alone() {
        let facts = Facts {
            linker: true,
            packages: owned(&COMPILER).collect(),
            ..Facts::default()
        };
        assert_eq!(commands(facts), ["rustup toolchain link bpf /usr"]);
    }

    #[test]
    fn nightly_without_a_linker_gives_way_to_the_prebuilt_compiler() {
        let facts = Facts {
            nightly: true,
            ..Facts::default()
        };
        let commands = commands(facts);
        assert!(
            commands[1].ends_with("libstd-rust-web-dev-bpf"),
            "{commands:?}"
        );
        assert_eq!(commands.len(), 5);
    }

    #[test]
    fn a_useless_link_is_replaced() {
        let facts = Facts {
            nightly: true,
            linker: true,
            prebuilt: Prebuilt::Useless,
            packages: owned(&COMPILER).collect(),
            ..Facts::default()
        };
        assert_eq!(commands(facts), ["rustup toolchain link bpf /usr"]);
    }

    #[test]
    fn what_fuzzing_and_coverage_want_comes_with_the_rest() {
        let facts = Facts {
            prebuilt: Prebuilt::Usable,
            linker: true,
            extra: owned(&["g++", "llvm-22"]).collect(),
            ..Facts::default()
        };
        assert_eq!(
            commands(facts),
            ["apt-get update", "apt-get install g++ llvm-22"]
        );
    }

    #[test]
    fn a_program_alone() {
        let facts = Facts {
            prebuilt: Prebuilt::Usable,
            linker: true,
            programs: vec!["arping"],
            ..Facts::default()
        };
        assert_eq!(
            commands(facts),
            ["apt-get update", "apt-get install iputils-arping"]
        );
    }
}
