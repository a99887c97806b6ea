//! `cargo xtask test`.

use std::{
    io::{self, BufRead as _, BufReader, Read, Write},
    num::NonZeroU32,
    process::{Command, ExitCode, Stdio},
};

use anyhow::{Context as _, Result, ensure};

use crate::{
    cargo::{self, ARPGUARD, FAULTY},
    coverage::{self, Coverage},
    process, root, setup,
    tally::Tally,
};

/// The variable that tells the soak for how many minutes to go on, and other tests to try more.
const LONG: &str = "ARPGUARD_LONG";

/// Runs the tests whose name contains `filter`, and sums up what they report. The soak goes on for
/// `long` minutes, if that is told, and more is tried. Under `coverage`, the lines that they run are
/// counted.
pub(crate) fn run(
    filter: Option<&str>,
    long: Option<NonZeroU32>,
    coverage: bool,
) -> Result<ExitCode> {
    root::need("test")?;
    let packages = coverage.then(coverage::wanted).flatten();
    setup::ensure_with(packages.into_iter().collect())?;
    let mut coverage = coverage.then(Coverage::new).transpose()?;
    let (arpguard, faulty) = match &mut coverage {
        None => (
            cargo::build_arpguard()?,
            cargo::build_faulty(cargo::cargo())?,
        ),
        Some(coverage) => {
            let built = cargo::build_by(coverage.cargo(), "arpguard", &[], "arpguard")?;
            let arpguard = coverage.take(&built, "arpguard")?;
            coverage.take_built(tests(&mut coverage.cargo()))?;
            let built = cargo::build_faulty(coverage.cargo())?;
            (arpguard, coverage.take(&built, "arpguard-faulty")?)
        }
    };

    let mut cargo = coverage.as_ref().map_or_else(cargo::cargo, Coverage::cargo);
    tests(&mut cargo)
        .arg("--no-fail-fast")
        .env(ARPGUARD, arpguard)
        .env(FAULTY, faulty)
        .stdout(Stdio::piped());
    if let Some(minutes) = long {
        cargo.env(LONG, minutes.to_string());
    }
    cargo.arg("--").args(filter);
    let mut tests = cargo.spawn().context("test: the workspace: cargo")?;
    let tally = match tests.stdout.take() {
        Some(output) => stream(output, io::stdout()).context("test: the workspace: output")?,
        None => Tally::default(),
    };
    let status = tests.wait().context("test: the workspace: cargo")?;

    let measured = coverage.map(|coverage| coverage.report()).transpose();
    if let Ok(Some(report)) = &measured {
        println!("{report}");
    }
    println!("{tally}");
    ensure!(
        !status.success() || tally.is_success(),
        "test: {}: no test ran",
        filter.unwrap_or("the workspace")
    );
    measured?;
    Ok(process::exit_code(status))
}

/// All tests but those of the eBPF crate, which is compiled for another target: what it judges by is
/// tested in arpguard-common.
fn tests(cargo: &mut Command) -> &mut Command {
    cargo.args(["test", "--workspace", "--exclude", "arpguard-ebpf"])
}

/// Passes `output` on as it comes, and sums up the results in it.
fn stream(output: impl Read, mut to: impl Write) -> io::Result<Tally> {
    let mut tally = Tally::default();
    let mut output = BufReader::new(output);
    let mut line = Vec::new();
    while output.read_until(b'\n', &mut line)? > 0 {
        to.write_all(&line)?;
        to.flush()?;
        tally.read(&String::from_utf8_lossy(&line));
        line.clear();
    }
    Ok(tally)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_passed_on_unchanged() {
        let output = b"\xff not text\ntest result: ok. 2 passed; 0 failed; 0 ignored;\nno newline";
        let mut passed_on = Vec::new();
        let tally = stream(&output[..], &mut passed_on).unwrap();
        assert_eq!(passed_on, output);
        assert_eq!(tally.to_string(), "2 passed, 0 failed, 0 skipped");
    }
}
