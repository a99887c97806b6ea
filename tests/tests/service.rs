//! What the agent tells the service manager that has started it.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    fs::{self, File, OpenOptions},
    io::Write as _,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    time::Duration,
};

use arpguard_tests::{
    http::get,
    lab::{Namespace, arpguard, slower, unhurried},
    manager::Manager,
    running::{Agent, Directory, eventually},
    server::{hides, pins, real_server},
};
use nix::{
    fcntl::{Flock, FlockArg},
    sys::{signal::Signal, stat::Mode},
    unistd::mkfifo,
};

const POLICY: &str = "[[hide]]\nip = \"192.168.18.101\"\n";
const IN_FORCE: &str = "STATUS=in force: 1 address and 0 prefixes on 1 device";

/// Keeps all who write the state of `server` waiting, until it is dropped.
fn lock(server: &Namespace) -> Flock<File> {
    let home = pins(server).parent().unwrap().to_owned();
    Flock::lock(File::open(home).unwrap(), FlockArg::LockExclusive).unwrap()
}

#[test]
fn it_is_ready_when_the_policy_is_in_force_and_says_what_it_does() {
    let (server, _peer) = real_server();
    let manager = Manager::new("ready");
    let policy = manager.directory.write("arpguard.toml", POLICY);
    let agent = manager.start(&server, &["--config", &policy], None);
    let heard = manager.until(|line| line == "READY=1");
    assert!(hides(&server, "192.168.18.101"));
    assert_eq!(heard, [["READY=1", IN_FORCE]]);

    agent.signal(Signal::SIGHUP);
    let heard = manager.until(|line| line == "READY=1");
    let [reloading, ready] = heard.as_slice() else {
        panic!("{heard:?}");
    };
    assert_eq!(reloading[0], "RELOADING=1");
    let since = reloading[1].strip_prefix("MONOTONIC_USEC=").unwrap();
    assert!(since.parse::<u64>().unwrap() > 0);
    assert_eq!(*ready, ["READY=1", IN_FORCE]);

    // A reload that fails ends, too.
    manager.directory.write("arpguard.toml", "nonsense");
    let heard = manager.until(|line| line == "READY=1");
    assert_eq!(heard[0][0], "RELOADING=1");
    let told = format!("{IN_FORCE}, as before: read the policy: {policy}:1:");
    assert!(heard[1][1].starts_with(&told), "{heard:?}");

    assert!(agent.end(Signal::SIGTERM).success());
    manager.until(|line| line == "STOPPING=1");
    assert!(hides(&server, "192.168.18.101"));
}

/// Microseconds after which a sign of life is missed.
fn watchdog() -> u64 {
    100_000 * u64::from(slower())
}

#[test]
fn it_is_not_ready_before_the_policy_is_in_force() {
    let (server, _peer) = real_server();
    server.guard("hide 192.168.18.77");
    let manager = Manager::new("locked");
    let lock = lock(&server);
    let arguments = ["--hide", "192.168.18.101"];
    let _agent = manager.start(&server, &arguments, Some(watchdog()));
    // While it waits for the writer it shows life, and nothing else.
    for _ in 0..10 {
        let heard = manager.until(|line| line.starts_with("WATCHDOG="));
        assert_eq!(heard, [["WATCHDOG=1"]]);
    }
    drop(lock);
    manager.until(|line| line == "READY=1");
    assert!(hides(&server, "192.168.18.101"));
}

#[test]
fn the_network_need_not_wait_for_what_comes_with_it() {
    let (server, _peer) = real_server();
    let manager = Manager::new("waiting");
    let text = format!("devices = [\"eth7\"]\n{POLICY}");
    let policy = manager.directory.write("arpguard.toml", &text);
    let _agent = manager.start(&server, &["--config", &policy], None);
    let heard = manager.until(|line| line == "READY=1");
    let told = format!("STATUS=waiting for the host: read the policy: {policy}:1:");
    assert!(heard[0][1].starts_with(&told), "{heard:?}");
    assert_eq!(server.guard("list"), "no policy is in force here\n");
    server.sh("ip link add eth7 type veth peer name eth8");
    manager.until(|line| line == IN_FORCE);
    assert!(hides(&server, "192.168.18.101"));
}

#[test]
fn it_shows_life_only_while_it_gets_on() {
    let (server, _peer) = real_server();
    let manager = Manager::new("watchdog");
    let policy = manager.directory.write("arpguard.toml", POLICY);
    let arguments = ["--config", &policy, "--metrics", "9817"];
    let _agent = manager.start(&server, &arguments, Some(watchdog()));
    for _ in 0..5 {
        manager.until(|line| line == "WATCHDOG=1");
    }
    // To read what nobody writes takes for ever.
    let stuck = manager.directory.path().join("stuck");
    mkfifo(&stuck, Mode::S_IRWXU).unwrap();
    fs::rename(&stuck, &policy).unwrap();
    manager.until(|line| line == "RELOADING=1");
    let mut writer = None;
    eventually("it reads", || {
        let mut open = OpenOptions::new();
        let open = open.write(true).custom_flags(libc::O_NONBLOCK);
        writer = open.open(&policy).ok();
        writer.is_some()
    });
    // It has no way to tell anything now; what it told before is there already.
    while manager.hears(Duration::from_millis(1)).is_some() {}
    assert_eq!(manager.hears(unhurried(Duration::from_secs(1))), None);
    assert_eq!(get(&server, "/healthz").status, "HTTP/1.1 200 OK");
    writer.unwrap().write_all(POLICY.as_bytes()).unwrap();
    manager.until(|line| line == "READY=1");
    manager.until(|line| line == "WATCHDOG=1");
}

#[test]
fn the_journal_gets_priorities_and_a_file_gets_times() {
    let (server, _peer) = real_server();
    let directory = Directory::new("journal");
    let path = directory.write("arpguard.toml", &format!("devices = [\"eth7\"]\n{POLICY}"));
    for is_journal in [true, false] {
        let log = File::create(directory.file("log")).unwrap();
        let found = log.metadata().unwrap();
        let inode = found.ino() + u64::from(!is_journal);
        let mut command = server.command(arpguard());
        command
            .args(["run", "--config", &path])
            .env("JOURNAL_STREAM", format!("{}:{inode}", found.dev()))
            .stderr(log);
        let agent = Agent::of(command);
        let written = || fs::read_to_string(directory.file("log")).unwrap();
        eventually("it waits", || written().contains("waiting for the host"));
        assert!(agent.end(Signal::SIGTERM).success());
        let written = written();
        let lines: Vec<_> = written.lines().collect();
        let waits = format!(
            "waiting for the host: read the policy: {path}:1:12: eth7: there is no such device; \
             there are lo, eth0; what was in force stays"
        );
        let [read, waiting, ending] = lines.as_slice() else {
            panic!("{written}");
        };
        if is_journal {
            assert_eq!(*read, "<6>read the policy");
            assert_eq!(*waiting, format!("<4>{waits}"));
            assert_eq!(*ending, "<6>ending; what was in force stays");
        } else {
            assert!(read.ends_with("Z  INFO read the policy"), "{read}");
            assert!(waiting.ends_with(&format!("Z  WARN {waits}")), "{waiting}");
        }
    }
}

#[test]
fn other_files_in_a_directory_are_no_change_of_the_policy() {
    let (server, _peer) = real_server();
    let manager = Manager::new("others");
    let directory = manager.directory.path().join("conf.d");
    fs::create_dir(&directory).unwrap();
    let write = |name: &str, text: &str| fs::write(directory.join(name), text).unwrap();
    write("10-vips.toml", POLICY);
    let file = manager.directory.write("more.toml", "# nothing\n");
    let arguments = ["--config", directory.to_str().unwrap(), "--config", &file];
    let _agent = manager.start(&server, &arguments, None);
    manager.until(|line| line == "READY=1");
    write("agent.log", "nothing");
    manager.directory.write("other.toml", "nonsense");
    // Long after what is written has settled.
    assert_eq!(manager.hears(unhurried(Duration::from_millis(500))), None);
    for changed in ["20-more.toml", "..data"] {
        write(changed, "# nothing\n");
        let heard = manager.until(|line| line == "READY=1");
        assert_eq!(heard.len(), 2, "{heard:?}");
        assert_eq!(heard[1], ["READY=1", IN_FORCE]);
    }
}
