//! Whether this machine lets the plan be carried out.

use anyhow::{Result, bail};

use super::{
    facts::Facts,
    names::{COMPILER, RIVALS},
    plan::Step,
};

/// What to install where Debian's compiler cannot be had.
pub(super) const OTHER_WAY: &str = "a nightly with the library's source (`rustup toolchain install \
    nightly --component rust-src`) and a linker (`cargo install bpf-linker`)";

/// Whether `steps` can be done here; where not, the error says what a person has to do.
pub(super) fn check(facts: &Facts, steps: &[Step]) -> Result<()> {
    if !facts.apt {
        let mut needed = facts.programs.join(", ");
        if !facts.compiles() {
            needed.push_str(if needed.is_empty() { "" } else { ", and " });
            needed.push_str(OTHER_WAY);
        }
        bail!("set up: this machine: it has no apt-get, so install by hand: {needed}");
    }
    let for_root = steps.iter().filter(|step| step.needs_root());
    let for_root: Vec<String> = for_root.map(ToString::to_string).collect();
    if !facts.privileged && !for_root.is_empty() {
        let commands = for_root.join(" && ");
        bail!("set up: packages: this user is not root and has no sudo; as root, run `{commands}`");
    }
    let mut packages = steps.iter().flat_map(Step::packages);
    let compiler = packages.find(|name| COMPILER.contains(&name.as_str()));
    let rival = RIVALS.iter().find(|name| facts.packages.contains(**name));
    if let (Some(compiler), Some(rival)) = (compiler, rival) {
        bail!(
            "set up: {compiler}: apt would remove the package {rival} for it; remove that \
             yourself, or install {OTHER_WAY}"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The refusal to do a plan on a machine with these facts.
    fn refusal(facts: &Facts) -> String {
        let packages = ["iproute2", "rustc-web"].map(String::from).to_vec();
        let steps = [Step::Refresh, Step::Packages(packages)];
        check(facts, &steps).unwrap_err().to_string()
    }

    #[test]
    fn without_apt_everything_is_named() {
        let facts = Facts {
            programs: vec!["tc"],
            ..Facts::default()
        };
        let refusal = refusal(&facts);
        for needed in ["tc, and a nightly", "rust-src", "bpf-linker"] {
            assert!(refusal.contains(needed), "{refusal}");
        }
    }

    #[test]
    fn without_root_the_commands_are_named() {
        let facts = Facts {
            apt: true,
            ..Facts::default()
        };
        let refusal = refusal(&facts);
        let commands = "`apt-get update && apt-get install iproute2 rustc-web`";
        assert!(refusal.contains(commands), "{refusal}");
    }

    #[test]
    fn no_package_is_removed() {
        let facts = Facts {
            apt: true,
            privileged: true,
            packages: BTreeSet::from(["rustc".to_owned()]),
            ..Facts::default()
        };
        let refusal = refusal(&facts);
        assert!(refusal.contains("remove the package rustc"), "{refusal}");
    }
}
