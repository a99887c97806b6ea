//! One network namespace, as `ip netns add` makes it.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io,
    os::unix::process::CommandExt as _,
    panic::resume_unwind,
    path::PathBuf,
    process::{self, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
};

use nix::sched::{CloneFlags, setns};

use super::binary::{self, Output};

/// A network namespace with a name of its own, `lo` up and IPv6 off. Dropping it removes it, and
/// with it what arpguard has pinned for it.
#[derive(Debug)]
pub struct Namespace {
    name: String,
    file: File,
}

impl Namespace {
    /// Makes a namespace; `role` becomes part of its name.
    pub fn new(role: &str) -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("ag-{}-{number}-{role}", process::id());
        let made = run(Command::new("ip").args(["netns", "add", &name]));
        assert!(made.success(), "{made}");
        let file = File::open(PathBuf::from("/run/netns").join(&name)).unwrap();
        let namespace = Self { name, file };
        namespace.set("net/ipv6/conf/all/disable_ipv6", "1");
        namespace.set("net/ipv6/conf/default/disable_ipv6", "1");
        namespace.set("net/ipv4/conf/all/rp_filter", "0");
        namespace.set("net/ipv4/conf/default/rp_filter", "0");
        namespace.run(["ip", "link", "set", "lo", "up"]);
        namespace
    }

    /// Its name under `/run/netns`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A command that runs in this network namespace and in the caller's mount namespace.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let namespace = self.file.try_clone().unwrap();
        let mut command = Command::new(program);
        // SAFETY: between fork and exec the closure makes one system call and allocates nothing;
        // the descriptor that it uses is its own.
        unsafe {
            command.pre_exec(move || {
                setns(&namespace, CloneFlags::CLONE_NEWNET).map_err(io::Error::from)
            });
        }
        command
    }

    /// A command that `ip netns exec` runs, which gives it a mount namespace of its own too.
    pub fn command_through_ip(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program);
        command
    }

    /// Runs a command here that must succeed, and gives what it wrote to standard output.
    pub fn run<const N: usize>(&self, words: [&str; N]) -> String {
        let [program, arguments @ ..] = words.as_slice() else {
            panic!("no command");
        };
        self.succeed(program, arguments)
    }

    /// Runs one line here, split at spaces, that must succeed; gives its standard output.
    pub fn sh(&self, line: &str) -> String {
        let mut words = line.split_whitespace();
        let program = words.next().expect("a command");
        self.succeed(program, &words.collect::<Vec<_>>())
    }

    /// Runs `arpguard --netns NAME` with these arguments.
    pub fn arpguard(&self, arguments: &[&str]) -> Output {
        run(Command::new(binary::arpguard())
            .args(["--netns", &self.name])
            .args(arguments))
    }

    /// Runs `arpguard --netns NAME` with one line of arguments, split at spaces, that must succeed;
    /// gives its standard output.
    pub fn guard(&self, line: &str) -> String {
        let output = self.arpguard(&line.split_whitespace().collect::<Vec<_>>());
        assert!(output.success(), "arpguard {line}: {output}");
        output.stdout
    }

    /// Runs `arpguard --netns NAME` with one line of arguments, split at spaces, that must fail with
    /// this exit status and say this, and nothing else.
    pub fn refuses(&self, line: &str, status: i32, message: &str) {
        let output = self.arpguard(&line.split_whitespace().collect::<Vec<_>>());
        let expected = format!("arpguard: {message}\n");
        assert_eq!(
            output.told(),
            (Some(status), "", expected.as_str()),
            "arpguard {line}"
        );
    }

    /// Runs `work` on a thread that has entered this namespace, and waits for it.
    pub fn enter<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        thread::scope(|scope| {
            let worker = scope.spawn(|| {
                setns(&self.file, CloneFlags::CLONE_NEWNET).expect("setns");
                work()
            });
            worker.join().unwrap_or_else(|panic| resume_unwind(panic))
        })
    }

    /// Writes a file below `/proc/sys`.
    pub fn set(&self, key: &str, value: &str) {
        let path = PathBuf::from("/proc/sys").join(key);
        self.enter(|| fs::write(&path, value))
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }

    fn succeed(&self, program: &str, arguments: &[&str]) -> String {
        let output = run(self.command(program).args(arguments));
        assert!(
            output.success(),
            "{}: {program} {arguments:?}: {output}",
            self.name
        );
        output.stdout
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // What is pinned outlives the namespace; a test that never came to use arpguard has none.
        if let Some(arpguard) = binary::found() {
            quietly(Command::new(arpguard).args(["--netns", &self.name, "detach"]));
        }
        quietly(Command::new("ip").args(["netns", "del", &self.name]));
    }
}

fn run(command: &mut Command) -> Output {
    Output::of(command)
}

fn quietly(command: &mut Command) {
    // Nobody can be told while a test unwinds.
    let _ = command
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
}
