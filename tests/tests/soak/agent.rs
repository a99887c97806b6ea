//! One life of the agent.

use std::{
    fs::{self, File},
    path::Path,
    process::{Child, ExitStatus, Stdio},
};

use arpguard_tests::lab::{Namespace, arpguard};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// An agent under way; killed when dropped.
#[derive(Debug)]
pub(crate) struct Agent(Child);

impl Agent {
    pub(crate) fn start(server: &Namespace, policy: &Path, log: &Path) -> Self {
        let log = File::options().create(true).append(true).open(log).unwrap();
        let child = server
            .command(arpguard())
            .arg("run")
            .arg("--config")
            .arg(policy)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        Self(child.unwrap())
    }

    /// Sends a signal, if the agent listens to it already; whether it does.
    pub(crate) fn signal(&self, signal: Signal) -> bool {
        let caught = self.number("SigCgt:", 16).unwrap_or(0);
        if signal != Signal::SIGKILL && caught & (1 << (signal as u32 - 1)) == 0 {
            return false;
        }
        kill(Pid::from_raw(self.0.id().cast_signed()), signal).is_ok()
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.0.wait().unwrap()
    }

    /// How it has ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.0.try_wait().unwrap()
    }

    /// Its memory now and at most, in KiB.
    pub(crate) fn memory(&self) -> Option<(u64, u64)> {
        Some((self.number("VmRSS:", 10)?, self.number("VmHWM:", 10)?))
    }

    /// How many threads and open files it has.
    pub(crate) fn holds(&self) -> Option<(u64, usize)> {
        let files = fs::read_dir(format!("/proc/{}/fd", self.0.id())).ok()?;
        Some((self.number("Threads:", 10)?, files.count()))
    }

    fn number(&self, field: &str, radix: u32) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix(field))?;
        u64::from_str_radix(line.split_whitespace().next()?, radix).ok()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
