//! arpguard's own commands: `cargo xtask setup`, `demo`, `bench`, `test` and `fuzz`.

#![forbid(unsafe_code)]

mod bench;
mod cargo;
mod coverage;
mod demo;
mod fuzz;
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
    /// Measure arpguard beside what is used in its place, and write the README's table (as root).
    Bench {
        /// Take under a minute, with fewer rounds and addresses, and write nothing.
        #[arg(long)]
        quick: bool,
        /// Measure only what has one of these in `section/name`, as `drop/arpguard native`, and
        /// write nothing.
        #[arg(value_name = "FILTER")]
        filters: Vec<String>,
    },
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
        /// Count which lines of arpguard are run, and fail where those are too few.
        #[arg(long, conflicts_with = "filter")]
        coverage: bool,
    },
    /// Fuzz what reads bytes from outside, guided by coverage; no root, no nightly.
    Fuzz {
        /// The only target: wire, judge, config, event or netlink.
        target: Option<String>,
        /// How long each target is fuzzed.
        #[arg(long, default_value_t = 60)]
        seconds: u32,
        /// Keep in the repository's corpus what reaches more code.
        #[arg(long)]
        keep: bool,
    },
}

fn main() -> ExitCode {
    let done = coverage::compile().unwrap_or_else(|| run(Cli::parse().verb));
    done.unwrap_or_else(|error| {
        eprintln!("xtask: {error:#}");
        ExitCode::FAILURE
    })
}

fn run(verb: Verb) -> Result<ExitCode> {
    match verb {
        Verb::Setup { yes } => {
            let extra = fuzz::wanted().into_iter().chain(coverage::wanted());
            setup::run(yes, extra.collect())
        }
        Verb::Demo => demo::run(),
        Verb::Bench { quick, filters } => bench::run(quick, &filters),
        Verb::Test {
            filter,
            kernel: Some(release),
            brief,
            ..
        } => {
            let named = Selection::Named(filter.as_deref());
            kernel::test(release, if brief { Selection::Brief } else { named })
        }
        Verb::Test {
            filter,
            long,
            coverage,
            ..
        } => test::run(filter.as_deref(), long, coverage),
        Verb::Fuzz {
            target,
            seconds,
            keep,
        } => fuzz::run(&fuzz::Options {
            target,
            seconds,
            keep,
        }),
    }
}
