//! arpguard's own commands: `cargo xtask setup`, `demo` and `test`.

mod cargo;
mod demo;
mod kernel;
mod process;
mod root;
mod setup;
mod tally;
mod test;

use std::{num::NonZeroU32, process::ExitCode};

use anyhow::Result;
use clap::{Parser, Subcommand};

use kernel::{Release, Selection};

/// arpguard's own commands.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Install what compiling the eBPF programs and running the tests take.
    Setup {
        /// Do not ask before something is installed.
        #[arg(long)]
        yes: bool,
    },
    /// Show a leak of a hidden address and its cure, in network namespaces of its own (as root).
    Demo,
    /// Run every test (as root), or those about the kernel under another one (as anybody).
    Test {
        /// Run only the tests whose name contains this; under another kernel, or that of their file.
        filter: Option<String>,
        /// Run the tests that need a kernel under this one, in a virtual machine. It and QEMU are
        /// fetched from Debian's packages into the user's cache, and not installed.
        #[arg(long, value_name = "RELEASE", conflicts_with = "long")]
        kernel: Option<Release>,
        /// Under another kernel: run the tests alone that differ most from one to the next.
        #[arg(long, requires = "kernel", conflicts_with = "filter")]
        brief: bool,
        /// Soak the agent for so many minutes, 10 unless told otherwise, in place of half a minute.
        #[arg(
            long,
            value_name = "MINUTES",
            num_args = 0..=1,
            require_equals = true,
            default_missing_value = "10"
        )]
        long: Option<NonZeroU32>,
    },
}

fn main() -> ExitCode {
    run(Cli::parse().verb).unwrap_or_else(|error| {
        eprintln!("xtask: {error:#}");
        ExitCode::FAILURE
    })
}

fn run(verb: Verb) -> Result<ExitCode> {
    match verb {
        Verb::Setup { yes } => setup::run(yes),
        Verb::Demo => demo::run(),
        Verb::Test {
            filter,
            kernel: Some(release),
            brief,
            long: _,
        } => {
            let named = Selection::Named(filter.as_deref());
            kernel::test(release, if brief { Selection::Brief } else { named })
        }
        Verb::Test { filter, long, .. } => test::run(filter.as_deref(), long),
    }
}
