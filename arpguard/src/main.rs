//! The `arpguard` command.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    arpguard::cli::main()
}
