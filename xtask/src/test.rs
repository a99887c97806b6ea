//! `cargo xtask test`.

use std::{
    io::{self, BufRead as _, BufReader, Read, Write},
    num::NonZeroU32,
    process::{ExitCode, Stdio},
};

use anyhow::{Context as _, Result, ensure};

use crate::{
    cargo::{self, ARPGUARD},
    process, root, setup,
    tally::Tally,
};

/// The variable that tells the soak for how many minutes to go on.
const LONG: &str = "ARPGUARD_LONG";

/// Runs the tests whose name contains `filter`, and sums up what they report. The soak goes on for
/// `long` minutes, if that is told.
pub(crate) fn run(filter: Option<&str>, long: Option<NonZeroU32>) -> Result<ExitCode> {
    root::need("test")?;
    setup::ensure()?;
    let arpguard = cargo::build_arpguard()?;

    let mut cargo = cargo::cargo();
    // The eBPF crate is compiled for another target; what it judges by is tested in arpguard-common.
    cargo
        .args(["test", "--workspace", "--exclude", "arpguard-ebpf"])
        .arg("--no-fail-fast")
        .env(ARPGUARD, arpguard)
        .stdout(Stdio::piped());
    if let Some(minutes) = long {
        cargo.env(LONG, minutes.to_string());
    }
    if let Some(filter) = filter {
        cargo.args(["--", filter]);
    }
    let mut tests = cargo.spawn().context("test: the workspace: cargo")?;
    let tally = match tests.stdout.take() {
        Some(output) => stream(output, io::stdout()).context("test: the workspace: output")?,
        None => Tally::default(),
    };
    let status = tests.wait().context("test: the workspace: cargo")?;

    println!("{tally}");
    ensure!(
        !status.success() || tally.is_success(),
        "test: {}: no test ran",
        filter.unwrap_or("the workspace")
    );
    Ok(process::exit_code(status))
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
