//! What another user has made decides nothing, by whatever name root comes to it.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on panics, also outside of #[test]"
)]

use std::{
    fs,
    os::unix::fs::{chown, lchown, symlink},
    path::Path,
    process::{Command, Stdio},
};

use arpguard_tests::{
    bpffs::Bpffs,
    lab::{Namespace, Output, arpguard},
    running::{Directory, contained, eventually, logging},
    server::real_server,
};
use nix::sys::signal::Signal;

const NOBODY: u32 = 65534;
const POLICY: &str = "[[hide]]\nip = \"192.168.18.101\"\n";

/// Gives something, and not what it leads to, to another user.
fn give(path: impl AsRef<Path>) {
    lchown(path, Some(NOBODY), Some(NOBODY)).unwrap();
}

/// A directory of root's with `good.toml`, and in it one of another user's, `theirs`.
struct Ground {
    server: Namespace,
    _peer: Namespace,
    directory: Directory,
}

impl Ground {
    fn new(name: &str) -> Self {
        let (server, _peer) = real_server();
        let directory = Directory::new(name);
        directory.write("good.toml", POLICY);
        let theirs = directory.file("theirs");
        fs::create_dir(&theirs).unwrap();
        give(theirs);
        Self {
            server,
            _peer,
            directory,
        }
    }

    fn file(&self, name: &str) -> String {
        self.directory.file(name)
    }

    fn link(&self, to: &str, name: &str) -> String {
        let link = self.file(name);
        symlink(to, &link).unwrap();
        link
    }

    /// Applies a policy by a name, in a directory.
    fn apply(&self, name: &str, from: &str) -> Output {
        let mut command = self.server.command(arpguard());
        command.args(["apply", name]).current_dir(from);
        Output::of(command.stdin(fs::File::open(self.file("good.toml")).unwrap()))
    }
}

fn is_refused(name: &str, output: &Output) {
    let told = output.told();
    assert_eq!((told.0, told.1), (Some(1), ""), "{name}: {output}");
    let why = format!("user {NOBODY} owns it, who could change what root is to do");
    assert!(output.stderr.contains(&why), "{name}: {output}");
}

#[test]
fn a_policy_of_another_user_is_refused_by_whatever_name() {
    let ground = Ground::new("by-name");
    let policy = ground.directory.write("theirs/policy.toml", POLICY);
    let link = ground.link(&ground.file("good.toml"), "theirs/link.toml");
    let shared = format!("/dev/shm/arpguard-{}.toml", std::process::id());
    fs::write(&shared, POLICY).unwrap();
    for path in [&policy, &link, &shared] {
        give(path);
    }
    // A link of root's is no better than what it leads to.
    let chain = ground.link("theirs/link.toml", "chain.toml");
    let far = ground.link(&shared, "far.toml");
    let theirs = &ground.file("theirs");
    let names = [
        (&*policy, "/"),
        (&format!("/dev/..{policy}"), "/"),
        (&format!("/proc/..{policy}"), "/"),
        (&format!("/proc/self/root{policy}"), "/"),
        ("/proc/self/cwd/policy.toml", theirs),
        ("./policy.toml", theirs),
        ("policy.toml", theirs),
        ("theirs/../theirs/policy.toml", &ground.file("")),
        (&shared, "/"),
        (&link, "/"),
        (&chain, "/"),
        (&far, "/"),
        (theirs, "/"),
        (".", theirs),
    ];
    let outputs = names.map(|(name, from)| (name, ground.apply(name, from)));
    fs::remove_file(&shared).unwrap();
    for (name, output) in outputs {
        is_refused(name, &output);
    }
    let status = ground.server.guard("status");
    assert_eq!(status, "arpguard is not loaded in this network namespace\n");
}

#[test]
fn what_root_has_made_and_opened_is_taken_by_whatever_name() {
    let ground = Ground::new("by-right-name");
    let good = ground.file("good.toml");
    let link = ground.link("good.toml", "link.toml");
    let chain = ground.link(&link, "chain.toml");
    let from = &*ground.file("");
    // Who has opened it knows what it is.
    give(&good);
    for name in ["/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"] {
        let output = ground.apply(name, "/");
        assert!(output.success(), "{name}: {output}");
    }
    is_refused("good.toml", &ground.apply(&good, "/"));
    chown(&good, Some(0), Some(0)).unwrap();
    for name in [&*good, &link, &chain, "good.toml", "./chain.toml"] {
        let output = ground.apply(name, from);
        assert!(output.success(), "{name}: {output}");
    }
}

#[test]
fn a_link_of_another_user_leads_to_no_namespace() {
    let ground = Ground::new("by-link");
    let namespace = format!("/run/netns/{}", ground.server.name());
    let enter = |path: &str, from: &str| {
        let mut command = Command::new(arpguard());
        command.args(["--netns", path, "list"]).current_dir(from);
        Output::of(&mut command)
    };
    let link = ground.link(&namespace, "link");
    give(&link);
    let chain = ground.link(&link, "chain");
    ground.link(&namespace, "theirs/own");
    let from = &ground.file("");
    for (name, from) in [
        (&*link, "/"),
        (&format!("/proc/..{link}"), "/"),
        (&format!("/proc/self/root{link}"), "/"),
        ("./link", from),
        (&chain, "/"),
        (&ground.file("theirs/own"), "/"),
    ] {
        is_refused(name, &enter(name, from));
    }
    // The kernel alone says of which namespace a process is, whoever has started it.
    let mut sleeper = ground.server.command("setpriv");
    sleeper.args(["--reuid", &NOBODY.to_string(), "--clear-groups"]);
    let mut sleeper = sleeper.args(["sleep", "600"]).spawn().unwrap();
    let process = sleeper.id();
    let names = [
        namespace,
        format!("/proc/{process}/ns/net"),
        format!("/proc/{process}/task/{process}/ns/net"),
        "/proc/self/ns/net".to_owned(),
        "/proc/thread-self/ns/net".to_owned(),
    ];
    let outputs = names.map(|name| enter(&name, "/"));
    sleeper.kill().unwrap();
    sleeper.wait().unwrap();
    for output in outputs {
        assert!(output.success(), "{output}");
    }
}

/// Nothing is there when the agent starts, and who is to be trusted is asked when it writes.
#[test]
fn an_agent_pins_nothing_where_another_user_has_made_a_directory() {
    let ground = Ground::new("late");
    let mounted = Bpffs::new("late-bpf", 0o1777);
    let bpffs = mounted.path();
    let rule = "[[hide]]\nip = \"192.168.18.101\"\nrip = \"192.168.18.77\"\n";
    let policy = ground.directory.write("late.toml", rule);
    let log = ground.file("log");
    let agent = logging(
        &ground.server,
        &["--bpffs", bpffs, "--config", &policy],
        &log,
    );
    let said = |what: &str| fs::read_to_string(&log).unwrap().contains(what);
    eventually("it waits", || said("192.168.18.77"));
    let theirs = mounted.file("arpguard");
    let mut make = Command::new("setpriv");
    make.args(["--reuid", &NOBODY.to_string(), "--clear-groups", "mkdir"]);
    assert!(make.arg(&theirs).status().unwrap().success());
    ground.server.sh("ip addr add 192.168.18.77/24 dev eth0");
    let told = format!("use the pins in: {theirs}: user {NOBODY} owns it");
    eventually("it tells why it pins nothing", || said(&told));
    assert_eq!(fs::read_dir(&theirs).unwrap().count(), 0);
    fs::remove_dir(&theirs).unwrap();
    eventually("it hides when the directory is gone", || {
        let list = ground.server.arpguard(&["--bpffs", bpffs, "list"]);
        list.stdout.contains("192.168.18.101")
    });
    assert!(agent.end(Signal::SIGTERM).success());
}

/// Where nothing can be pinned, commands ask by a socket.
#[test]
fn a_socket_in_a_directory_of_another_user_is_refused_by_whatever_name() {
    let ground = Ground::new("by-socket");
    let theirs = ground.file("theirs");
    for name in [&format!("{theirs}/socket"), "socket", "./socket"] {
        let arguments = ["--socket", name, "run", "--hide", "192.168.18.101"];
        let mut command = contained(&ground.server, &arguments);
        command.current_dir(&theirs).stdin(Stdio::null());
        let mut agent = command.stderr(Stdio::piped()).spawn().unwrap();
        let listens = || Path::new(&theirs).join("socket").exists();
        eventually("it ends or listens", || {
            listens() || agent.try_wait().unwrap().is_some()
        });
        let listened = listens();
        // It has ended, where all is well.
        let _ = agent.kill();
        assert!(!listened, "{name}");
        let output = Output::from(agent.wait_with_output().unwrap());
        is_refused(name, &output);
    }
}
