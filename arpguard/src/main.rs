//! The `arpguard` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    arpguard::cli::main()
}
