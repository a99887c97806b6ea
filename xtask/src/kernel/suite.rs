//! The tests that are run in a virtual machine: built here, so that nothing is compiled there.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context as _, Result, bail, ensure};

use super::machine::quote;
use crate::{
    cargo::{self, ARPGUARD, FAULTY},
    tally::LEFT_OUT,
};

/// The variable that tells the tests that they run in an emulated machine, so many times slower than
/// this one: they wait that much longer, and do less often what they do many times.
const SLOWER: &str = "ARPGUARD_SLOWER";
/// An emulated machine takes 10 to 30 times as long, and this one may be busy.
const TIMES: &str = "30";

/// Which tests are run.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Selection<'a> {
    /// All whose name, or that of their file, contains this, where it is told.
    Named(Option<&'a str>),
    /// Those files of tests in which a kernel makes a difference soonest.
    Brief,
}

/// How many tests run at a time. There is one CPU, but in a third of their time tests wait.
const THREADS: &str = "3";

/// The files of [`Selection::Brief`]: the cluster, every program and every way to attach it with the
/// whole table of cases (hidden, pinned, strict), and an agent that holds what it cannot pin.
const BRIEF: [&str; 4] = ["cluster_vm", "held", "test_run", "veth"];

/// The folder of the crate with the tests that need a kernel.
const TESTS: &str = "tests";

/// Files of tests that say nothing about a kernel that the others do not, and why.
const APART: [(&str, &str); 1] = [(
    "soak",
    "it counts what a machine gets done in its time; `cargo xtask test --long` is for it",
)];

/// The binaries that tests try.
#[derive(Clone, Debug)]
pub(super) struct Binaries {
    /// As it is shipped.
    pub(super) arpguard: PathBuf,
    /// With the points at which tests make things go wrong.
    pub(super) faulty: PathBuf,
}

impl Binaries {
    /// Builds them.
    pub(super) fn build() -> Result<Self> {
        Ok(Self {
            arpguard: cargo::build_arpguard()?,
            faulty: cargo::build_faulty(cargo::cargo())?,
        })
    }
}

/// One program of tests.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Program {
    name: String,
    path: PathBuf,
    directory: PathBuf,
}

/// Builds the tests that need a kernel, and gives the script that runs those of `selection`, with
/// `binaries` as what they try.
pub(super) fn script(selection: Selection, binaries: &Binaries) -> Result<String> {
    let mut build = cargo::cargo();
    // Of the whole workspace, as the features of what they depend on are chosen by it: so nothing is
    // compiled once more for the tests under this machine's own kernel.
    build
        .args(["test", "--workspace", "--exclude", "arpguard-ebpf"])
        .args(["--test", "*", "--no-run"])
        .arg("--message-format=json-render-diagnostics")
        .stderr(Stdio::inherit());
    let output = build.output().context("build: the tests: cargo")?;
    ensure!(
        output.status.success(),
        "build: the tests: {}",
        output.status
    );
    let programs = programs(&String::from_utf8_lossy(&output.stdout))?;
    Ok(text(&programs, selection, binaries))
}

/// The test programs in cargo's messages.
fn programs(messages: &str) -> Result<Vec<Program>> {
    let mut programs = Vec::new();
    for line in messages.lines().filter(|line| line.starts_with('{')) {
        let message: serde_json::Value =
            serde_json::from_str(line).context("build: the tests: cargo's messages")?;
        let (Some(path), Some(name), Some(manifest)) = (
            message["executable"].as_str(),
            message["target"]["name"].as_str(),
            message["manifest_path"].as_str(),
        ) else {
            continue;
        };
        if message["profile"]["test"] != true {
            continue;
        }
        let directory = Path::new(manifest).parent().unwrap_or(Path::new("/"));
        if !directory.ends_with(TESTS) {
            continue;
        }
        programs.push(Program {
            name: name.to_owned(),
            path: path.into(),
            directory: directory.to_owned(),
        });
    }
    if programs.is_empty() {
        bail!("build: the tests: cargo names no test program");
    }
    programs.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(programs)
}

fn text(programs: &[Program], selection: Selection, binaries: &Binaries) -> String {
    let quoted = |path: &Path| quote(&path.display().to_string());
    let mut text = format!(
        "export {ARPGUARD}={} {FAULTY}={} {SLOWER}={TIMES}\nfailed=0\nuname -r\n",
        quoted(&binaries.arpguard),
        quoted(&binaries.faulty)
    );
    for program in programs {
        let name = program.name.as_str();
        let filter = match selection {
            Selection::Named(Some(filter)) if !name.contains(filter) => filter,
            Selection::Named(_) => "",
            Selection::Brief if BRIEF.contains(&name) => "",
            Selection::Brief => continue,
        };
        let line = match APART.iter().find(|(apart, _)| *apart == name) {
            Some(_) if !filter.is_empty() => continue,
            Some((_, why)) => format!("echo {}", quote(&format!("{LEFT_OUT}{name}: {why}"))),
            None => {
                let directory = quoted(&program.directory);
                let path = quoted(&program.path);
                format!(
                    "echo; echo '     Running '{}\n\
                     cd {directory} && {path} --color never --test-threads {THREADS} {} || failed=1",
                    quote(name),
                    quote(filter)
                )
            }
        };
        text.push_str(&line);
        text.push('\n');
    }
    text.push_str("exit $failed\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGES: &str = r#"{"reason":"compiler-artifact","manifest_path":"/p/tests/Cargo.toml","target":{"name":"demo"},"profile":{"test":false},"executable":"/t/demo"}
{"reason":"compiler-artifact","manifest_path":"/p/tests/Cargo.toml","target":{"name":"veth"},"profile":{"test":true},"executable":"/t/veth-1"}
{"reason":"compiler-artifact","manifest_path":"/p/tests/Cargo.toml","target":{"name":"soak"},"profile":{"test":true},"executable":"/t/soak-1"}
{"reason":"compiler-artifact","manifest_path":"/p/tests/Cargo.toml","target":{"name":"cli"},"profile":{"test":true},"executable":"/t/cli-1"}
{"reason":"compiler-artifact","manifest_path":"/p/tests/fuzz/Cargo.toml","target":{"name":"corpus"},"profile":{"test":true},"executable":"/t/corpus-1"}
{"reason":"build-finished","success":true}
"#;

    fn script_of(selection: Selection) -> Vec<String> {
        let programs = programs(MESSAGES).unwrap();
        let binaries = Binaries {
            arpguard: "/t/arpguard".into(),
            faulty: "/t/faulty".into(),
        };
        let text = text(&programs, selection, &binaries);
        text.lines().skip(3).map(str::to_owned).collect()
    }

    #[test]
    fn every_test_program_is_run_or_named_with_the_reason() {
        let script = script_of(Selection::Named(None));
        assert_eq!(script[0], "echo; echo '     Running ''cli'");
        assert_eq!(
            script[1],
            "cd '/p/tests' && '/t/cli-1' --color never --test-threads 3 '' || failed=1"
        );
        assert!(
            script[2].starts_with("echo 'left out: soak: it counts"),
            "{script:?}"
        );
        assert_eq!(script[3], "echo; echo '     Running ''veth'");
        assert_eq!(script[5..], ["exit $failed"]);
    }

    #[test]
    fn a_filter_is_for_tests_and_for_their_files() {
        let script = script_of(Selection::Named(Some("ve")));
        assert!(script[1].ends_with(" 've' || failed=1"), "{script:?}");
        assert!(script[3].ends_with(" '' || failed=1"), "{script:?}");
        assert_eq!(script.len(), 5, "{script:?}");
        let script = script_of(Selection::Named(Some("it's")));
        assert!(script[1].contains(r"'it'\''s'"), "{script:?}");
    }

    #[test]
    fn the_brief_selection_is_of_files() {
        let script = script_of(Selection::Brief);
        assert_eq!(script.len(), 3, "{script:?}");
        assert!(script[1].contains("/t/veth-1"), "{script:?}");
    }

    #[test]
    fn no_program_is_an_error() {
        assert!(programs("{\"reason\":\"build-finished\"}\n").is_err());
    }
}
