//! `arpguard run` under way.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::lab::{Namespace, Output, arpguard, patience};

/// An agent under way; killed when dropped.
#[derive(Debug)]
pub struct Agent(Child);

impl Agent {
    /// Starts `arpguard run` with these arguments in `server`.
    pub fn start(server: &Namespace, arguments: &[&str]) -> Self {
        let mut command = server.command(arpguard());
        command.arg("run").args(arguments).stderr(Stdio::null());
        Self::of(command)
    }

    /// Starts what is an agent in the end.
    pub fn of(mut command: Command) -> Self {
        Self(command.stdout(Stdio::null()).spawn().unwrap())
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// A line of `/proc/PID/status`, without its name.
    pub fn status(&self, name: &str) -> String {
        let path = format!("/proc/{}/status", self.0.id());
        let status = fs::read_to_string(path).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap().trim_start_matches(':').trim().to_owned()
    }

    /// How many sockets it has open.
    pub fn sockets(&self) -> usize {
        let files = fs::read_dir(format!("/proc/{}/fd", self.0.id())).unwrap();
        let links = files.filter_map(|file| fs::read_link(file.ok()?.path()).ok());
        let sockets = links.filter(|link| link.to_string_lossy().starts_with("socket:"));
        sockets.count()
    }

    /// Sends it a signal, once it listens to it.
    pub fn signal(&self, signal: Signal) {
        if !matches!(signal, Signal::SIGKILL | Signal::SIGSTOP | Signal::SIGCONT) {
            let bit = 1 << (signal as u32 - 1);
            eventually("the agent listens", || {
                u64::from_str_radix(&self.status("SigCgt"), 16).unwrap() & bit != 0
            });
        }
        kill(Pid::from_raw(self.0.id().try_into().unwrap()), signal).unwrap();
    }

    /// Sends it a signal and waits for its end.
    pub fn end(self, signal: Signal) -> ExitStatus {
        self.signal(signal);
        self.wait()
    }

    /// How it has ended, where it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.0.try_wait().unwrap()
    }

    /// Waits for its end.
    pub fn wait(mut self) -> ExitStatus {
        self.0.wait().unwrap()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // It has ended, unless a test failed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An agent in `server` that writes its log to a file.
pub fn logging(server: &Namespace, arguments: &[&str], log: &str) -> Agent {
    let mut command = server.command(arpguard());
    let log = fs::File::create(log).unwrap();
    command.arg("run").args(arguments).stderr(log);
    Agent::of(command)
}

/// The command in a container, with these arguments: its own processes, no BPF file system, and no way
/// to mount one, so that nothing can be pinned.
pub fn contained(server: &Namespace, arguments: &[&str]) -> Command {
    let script = "umount -l /sys/fs/bpf; exec setpriv --bounding-set -sys_admin \"$@\"";
    let mut command = server.command("unshare");
    command
        .args(["-m", "-p", "-f", "--kill-child", "--mount-proc"])
        .args(["sh", "-c", script, "sh"])
        .arg(arpguard())
        .args(arguments);
    command
}

/// An agent in a container, where it hides this address and listens at `socket`.
pub fn holding(server: &Namespace, socket: &str, vip: &str) -> Agent {
    let mut command = contained(server, &["--socket", socket, "run", "--hide", vip]);
    command.stderr(Stdio::null());
    let agent = Agent::of(command);
    eventually("the agent guards", || {
        let mut list = server.command(arpguard());
        let list = Output::of(list.args(["--socket", socket, "list"]));
        list.stdout.contains(vip)
    });
    agent
}

/// A directory of a test's own, removed with it.
#[derive(Debug)]
pub struct Directory(PathBuf);

impl Directory {
    /// Makes one; `name` becomes part of its name.
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("arpguard-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// Where something in it is.
    pub fn file(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    /// Writes a file in it, and says where that is.
    pub fn write(&self, name: &str, text: &str) -> String {
        fs::write(self.0.join(name), text).unwrap();
        self.file(name)
    }

    /// Itself.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // Nobody can be told while a test unwinds.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Waits until something holds.
///
/// # Panics
///
/// Where it never does.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < patience(), "it never came: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}
