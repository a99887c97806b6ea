//! Running other programs, with failures that read `what: on what: why`.

use std::{
    env,
    path::PathBuf,
    process::{Command, ExitCode, ExitStatus},
};

use anyhow::{Context as _, Result, ensure};

/// Runs `command` to its end, its output going where this program's goes.
pub(crate) fn run(command: &mut Command, what: &str, subject: &str) -> Result<()> {
    let program = command.get_program().to_owned();
    let status = command
        .status()
        .with_context(|| format!("{what}: {subject}: {}", program.display()))?;
    ensure!(status.success(), "{what}: {subject}: {status}");
    Ok(())
}

/// What `command` prints, or nothing where it cannot be run: for questions whose answer may be no.
/// The exit status does not count, as `dpkg-query` fails where only one of many is missing.
pub(crate) fn ask(command: &mut Command) -> String {
    command
        .output()
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .unwrap_or_default()
}

/// The exit status of a child as this program's own.
pub(crate) fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    code.map_or(ExitCode::FAILURE, ExitCode::from)
}

/// The program `name` on PATH, or where only root's PATH leads.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|directory| directory.join(name))
        .find(|file| file.is_file())
}
