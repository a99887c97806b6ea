//! The command line under test.

use std::{
    env,
    fmt::{self, Display, Formatter},
    os::unix::process::CommandExt as _,
    path::PathBuf,
    process::{self, Command, ExitStatus},
};

/// The `arpguard` under test: `$ARPGUARD`, else the release build beside this one.
///
/// # Panics
///
/// Where there is none, with what to do.
pub fn arpguard() -> PathBuf {
    found().unwrap_or_else(|| {
        panic!(
            "no arpguard to test: run `cargo xtask test`, or build it with \
             `cargo build --release -p arpguard`, or name one in $ARPGUARD"
        )
    })
}

/// As [`arpguard`], or `None`.
pub(super) fn found() -> Option<PathBuf> {
    find("ARPGUARD", "release/arpguard")
}

/// The `arpguard` in which tests can make things go wrong (see its `fault` module): `$ARPGUARD_FAULTY`,
/// else the debug build beside this one.
///
/// # Panics
///
/// Where there is none, with what to do.
pub fn faulty() -> PathBuf {
    find_faulty().unwrap_or_else(|| {
        panic!(
            "no arpguard to make faults in: run `cargo xtask test`, or build it with \
             `cargo build -p arpguard`, or name one in $ARPGUARD_FAULTY"
        )
    })
}

/// As [`faulty`], or `None`: under another kernel there is none.
pub fn find_faulty() -> Option<PathBuf> {
    find("ARPGUARD_FAULTY", "debug/arpguard")
}

fn find(variable: &str, built: &str) -> Option<PathBuf> {
    if let Some(named) = env::var_os(variable) {
        return Some(PathBuf::from(named)).filter(|path| path.is_file());
    }
    // target/{debug,release}/deps/test, or target/{debug,release}/demo
    let this = env::current_exe().ok()?;
    this.ancestors()
        .skip(2)
        .take(2)
        .map(|directory| directory.join(built))
        .find(|path| path.is_file())
}

/// What a command left behind.
#[derive(Debug)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

impl Output {
    /// Runs a command to its end.
    pub fn of(command: &mut Command) -> Self {
        // Ctrl-C is for this process, which then cleans up; its children come to their end.
        let output = command
            .process_group(0)
            .output()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Self::from(output)
    }

    /// Its exit status and what it wrote: to standard output, and to standard error.
    pub fn told(&self) -> (Option<i32>, &str, &str) {
        (self.status.code(), &self.stdout, &self.stderr)
    }

    /// Whether it did what it was asked.
    pub fn success(&self) -> bool {
        self.status.success()
    }
}

impl From<process::Output> for Output {
    fn from(output: process::Output) -> Self {
        Self {
            status: output.status,
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Display for Output {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}{}", self.status, self.stdout, self.stderr)
    }
}
