//! `cargo xtask fuzz`: the targets of `tests/fuzz` under libFuzzer, guided by coverage.
//!
//! The compiler's flags are stable ones, so no nightly is needed: `sancov-module` is a pass of LLVM.
//! Everything is compiled with them, TOML's parser and netlink's too, in a directory of its own.

// To depend on the crate would compile arpguard for this program.
#[path = "../../tests/fuzz/src/corpus.rs"]
#[expect(
    unreachable_pub,
    reason = "it is another crate's, where it can be reached"
)]
mod corpus;
mod outcome;

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
};

use anyhow::{Context as _, Result, bail, ensure};

use self::outcome::Outcome;
use crate::{
    cargo::{self, target_directory},
    process, setup,
};

/// The targets, as `tests/fuzz/src/lib.rs` has them.
const TARGETS: [&str; 5] = ["wire", "judge", "config", "event", "netlink"];
const PACKAGE: &str = "arpguard-fuzz";
const PROFILE: &str = "fuzz";
const FLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares \
    -Cdebug-assertions";
/// How long an input may be; a policy file of a page says all that one can say.
const LONGEST: &str = "-max_len=1024";
/// How long one may be that goes into the repository.
const KEPT: &str = "-max_len=160";
/// libFuzzer compiles from C++.
const COMPILER: (&str, &str) = ("c++", "g++");

/// What is to be done.
pub(crate) struct Options {
    /// The only target.
    pub(crate) target: Option<String>,
    /// How long each is fuzzed.
    pub(crate) seconds: u32,
    /// Whether what was found goes into the repository's corpus.
    pub(crate) keep: bool,
}

/// Fuzzes, and fails where something is found.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let targets: Vec<&str> = match &options.target {
        None => TARGETS.to_vec(),
        Some(name) => match TARGETS.iter().find(|target| *target == name) {
            Some(target) => vec![target],
            None => bail!(
                "fuzz: {name}: there is no such target; there are: {}",
                TARGETS.join(", ")
            ),
        },
    };
    setup::ensure_with(wanted().into_iter().collect())?;
    let fuzzer = Fuzzer::build()?;
    for target in targets {
        let outcome = fuzzer.fuzz(target, options.seconds)?;
        println!("fuzz: {target}: {outcome}");
        if options.keep {
            fuzzer.keep(target)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The package that is missing.
pub(crate) fn wanted() -> Option<String> {
    let (program, package) = COMPILER;
    process::find(program).is_none().then(|| package.to_owned())
}

struct Fuzzer {
    /// Where the corpus grows, and what was found is left.
    directory: PathBuf,
    programs: PathBuf,
}

impl Fuzzer {
    fn build() -> Result<Self> {
        let directory = target_directory()?.join("fuzz");
        let triple = host()?;
        let mut build = cargo::cargo();
        build
            .args([
                "build",
                "--bins",
                "--package",
                PACKAGE,
                "--profile",
                PROFILE,
            ])
            // With a target, what runs while building is compiled without the flags.
            .args(["--target", &triple, "--target-dir"])
            .arg(&directory)
            .env("RUSTFLAGS", FLAGS)
            // No program is loaded.
            .env("AYA_BUILD_SKIP", "1");
        process::run(&mut build, "build", PACKAGE)?;
        let programs = directory.join(triple).join(PROFILE);
        Ok(Self {
            directory,
            programs,
        })
    }

    /// Fuzzes one target, from the repository's corpus and what was found before.
    fn fuzz(&self, target: &str, seconds: u32) -> Result<Outcome> {
        let corpus = self.seeds(target)?;
        let found = self.directory.join("found").join(target);
        fs::create_dir_all(&found).with_context(|| format!("make: {}", found.display()))?;
        let mut fuzzer = self.program(target);
        fuzzer
            .arg(&corpus)
            .arg(format!("-max_total_time={seconds}"))
            .arg(format!("-artifact_prefix={}/", found.display()))
            .args([LONGEST, "-print_final_stats=1", "-timeout=10"])
            .stderr(Stdio::piped());
        let mut running = fuzzer.spawn().with_context(|| format!("fuzz: {target}"))?;
        let mut told = String::new();
        if let Some(output) = running.stderr.take() {
            for line in BufReader::new(output).lines() {
                // What a panic says need not be text.
                told.push_str(&line.unwrap_or_default());
                told.push('\n');
            }
        }
        let status = running.wait().with_context(|| format!("fuzz: {target}"))?;
        let program = self.programs.join(target);
        ensure!(
            status.success(),
            "{told}\nfuzz: {target}: it found what is wrong, and left it in {}; `{} FILE` runs it again",
            found.display(),
            program.display()
        );
        Outcome::read(&told).with_context(|| format!("fuzz: {target}: it tells nothing:\n{told}"))
    }

    /// Puts what the target has found into the repository, as far as it covers more.
    fn keep(&self, target: &str) -> Result<()> {
        let corpus = self.directory.join("corpus").join(target);
        let few = self.directory.join("few").join(target);
        let tried = || format!("keep: {}", few.display());
        if few.exists() {
            fs::remove_dir_all(&few).with_context(tried)?;
        }
        fs::create_dir_all(&few).with_context(tried)?;
        let mut merge = self.program(target);
        merge
            .args(["-set_cover_merge=1", KEPT])
            .arg(&few)
            .arg(&corpus);
        merge.stderr(Stdio::null());
        process::run(&mut merge, "merge", target)?;
        corpus::keep(&kept(target), &few).with_context(tried)
    }

    /// What the repository has, beside what was found before.
    fn seeds(&self, target: &str) -> Result<PathBuf> {
        let corpus = self.directory.join("corpus").join(target);
        corpus::expand(&kept(target), &corpus)
            .with_context(|| format!("expand: {}", kept(target).display()))?;
        Ok(corpus)
    }

    fn program(&self, target: &str) -> Command {
        let mut command = Command::new(self.programs.join(target));
        command.stdout(Stdio::null());
        command
    }
}

/// Where the repository has the seeds of a target.
fn kept(target: &str) -> PathBuf {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("tests/fuzz/corpus");
    corpus.join(target)
}

fn host() -> Result<String> {
    let version = process::ask(Command::new("rustc").arg("-vV"));
    let line = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(line.context("ask: rustc: it names no host")?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_is_there() {
        let programs = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("tests/fuzz/src/bin");
        assert_eq!(fs::read_dir(&programs).unwrap().count(), TARGETS.len());
        for name in TARGETS {
            assert!(programs.join(format!("{name}.rs")).is_file(), "{name}");
        }
    }
}
