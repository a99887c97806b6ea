//! A real server whose commands can be made to go wrong.

use std::{
    cell::RefCell,
    collections::BTreeSet,
    fs, io,
    net::Ipv4Addr,
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    thread,
};

use arpguard_common::wire::Mac;
use arpguard_tests::{
    arp::{self, Frame},
    lab::{Namespace, Output, Port, Wire, faulty},
    running::{Agent, Directory, eventually},
    server::real_server,
};

use super::points;

const CLIENT: Mac = Mac([2, 0, 0, 0, 0, 0x81]);
const SERVER: Mac = Mac([2, 0, 0, 0, 0, 0x10]);
const CLIENT_IP: Ipv4Addr = Ipv4Addr::new(192, 168, 18, 129);
/// Hidden in the beginning of most tests, and on `lo`.
pub(crate) const VIP: Ipv4Addr = Ipv4Addr::new(192, 168, 18, 101);
const RIP: Ipv4Addr = Ipv4Addr::new(192, 168, 18, 10);
/// Whom the control is for that the server sends.
const LAST: Ipv4Addr = Ipv4Addr::new(192, 168, 18, 254);

/// What a fault is made of, and what came of it.
pub(crate) struct Ground {
    pub(crate) server: Namespace,
    pub(crate) directory: Directory,
    _peer: Namespace,
    outside: Port,
    inside: Port,
    /// Faults that all commands meet.
    always: &'static str,
    bare: String,
    /// Points at which something is yet to be killed here.
    owed: RefCell<BTreeSet<&'static str>>,
}

impl Ground {
    /// The server has 192.168.18.10/24 on `eth0`, 10.0.0.10/24 on `eth1` and 192.168.18.101 on `lo`;
    /// nothing is hidden. All
    /// commands meet the faults of `always`.
    pub(crate) fn new(name: &str, always: &'static str) -> Self {
        let (server, peer) = real_server();
        Wire::between(
            (&server, "eth1", Mac([2, 0, 0, 0, 1, 0x10])),
            (&peer, "eth1", None),
        );
        server.sh("ip addr add 10.0.0.10/24 dev eth1");
        server.sh("ip addr add 192.168.18.101/32 dev lo");
        let (outside, inside) = (Port::open(&peer, "eth0"), Port::open(&server, "eth0"));
        let mut ground = Self {
            directory: Directory::new(name),
            server,
            _peer: peer,
            outside,
            inside,
            always,
            bare: String::new(),
            owed: RefCell::new(points::owed(name)),
        };
        ground.bare = ground.hooks();
        ground
    }

    /// Runs a command that goes well; one of the system where it begins with `!`.
    pub(crate) fn run(&self, line: &str) -> String {
        if let Some(line) = line.strip_prefix('!') {
            return self.server.sh(line);
        }
        let output = self.with(line, "");
        assert!(output.success(), "arpguard {line}: {output}");
        output.stdout
    }

    /// Runs a command that only looks: the points that it passes are not noted.
    pub(crate) fn look(&self, line: &str) -> String {
        let mut command = self.faulty("");
        command.env_remove("ARPGUARD_FAULT_TRACE");
        let output = Output::of(command.args(line.split_whitespace()));
        assert!(output.success(), "arpguard {line}: {output}");
        output.stdout
    }

    /// Runs a command in which `faults` happen.
    pub(crate) fn with(&self, line: &str, faults: &str) -> Output {
        self.ended(self.spawn(line, faults))
    }

    /// Starts a command in which `faults` happen.
    pub(crate) fn spawn(&self, line: &str, faults: &str) -> Child {
        let mut command = self.faulty(faults);
        command
            .args(line.split_whitespace())
            // Ctrl-C is for this process, which then cleans up; its children come to their end.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    /// Waits for the end of a command.
    pub(crate) fn ended(&self, child: Child) -> Output {
        let output = child.wait_with_output().unwrap();
        if is_kill(output.status) {
            self.killed();
        }
        Output::from(output)
    }

    fn faulty(&self, faults: &str) -> Command {
        let mut command = self.server.command(faulty());
        command
            .env("ARPGUARD_FAULT", format!("{faults};{}", self.always))
            .env("ARPGUARD_FAULT_TRACE", self.trace());
        command
    }

    /// Notes that something was killed at the point that was passed last.
    pub(crate) fn killed(&self) {
        let passed = fs::read_to_string(self.trace()).unwrap();
        let last = passed.lines().last().unwrap();
        self.owed.borrow_mut().remove(last);
    }

    /// Starts an agent in which `faults` happen.
    pub(crate) fn agent(&self, policy: &str, faults: &str) -> Agent {
        let mut command = self.faulty(faults);
        command
            .args(["run", "--config", policy])
            .stderr(Stdio::null());
        Agent::of(command)
    }

    /// The names of the points that commands have passed since this was last asked.
    pub(crate) fn passed(&self) -> Vec<String> {
        let passed = fs::read_to_string(self.trace()).unwrap_or_default();
        let _: io::Result<()> = fs::remove_file(self.trace());
        passed.lines().map(str::to_owned).collect()
    }

    /// How many points commands have passed since they were last asked for.
    pub(crate) fn trace_length(&self) -> usize {
        let passed = fs::read_to_string(self.trace()).unwrap_or_default();
        passed.lines().count()
    }

    fn trace(&self) -> PathBuf {
        self.directory.path().join("trace")
    }

    /// Fails where one of these addresses is answered for, or VIP, if it is one of them, told in what
    /// the server sends.
    pub(crate) fn is_quiet_about(&self, addresses: &[Ipv4Addr], when: &str) {
        self.outside.drain();
        for target in addresses.iter().chain([&RIP]) {
            for to in [Mac::BROADCAST, SERVER] {
                let ask = arp::request(CLIENT, CLIENT_IP, *target).to(to);
                self.outside.send(&ask.bytes());
            }
        }
        for sender in addresses.iter().filter(|sender| **sender == VIP) {
            let ask = arp::request(SERVER, *sender, CLIENT_IP);
            self.inside.send(&ask.bytes());
        }
        self.inside.send(&arp::request(SERVER, RIP, LAST).bytes());
        let (mut answers, mut is_last) = (0, false);
        while answers < 2 || !is_last {
            let frame = self.outside.receive(arpguard_tests::lab::patience());
            let frame = frame.unwrap_or_else(|| panic!("{when}: eth0 is mute"));
            let Some(frame) = Frame::read(&frame) else {
                continue;
            };
            assert!(!addresses.contains(&frame.spa), "{when}: {frame:?}");
            answers += i32::from(frame.op == arp::REPLY && frame.spa == RIP);
            is_last |= frame.tpa == LAST;
        }
    }

    /// Lets the client claim an address, and waits until arpguard has heard.
    pub(crate) fn claim(&self, address: Ipv4Addr) {
        self.outside
            .send(&arp::announcement(CLIENT, address).bytes());
        eventually("the claim is heard", || {
            let status = self.look("-o json status");
            status.contains(&CLIENT.to_string())
        });
        self.passed();
    }

    /// Fails where arpguard has left anything behind.
    pub(crate) fn is_bare(&self, when: &str) {
        let status = self.look("status");
        assert_eq!(
            status, "arpguard is not loaded in this network namespace\n",
            "{when}"
        );
        assert_eq!(self.hooks(), self.bare, "{when}");
    }
}

/// Whether it has ended as what is killed does.
pub(crate) fn is_kill(status: ExitStatus) -> bool {
    status.signal() == Some(libc::SIGKILL)
}

impl Drop for Ground {
    fn drop(&mut self) {
        let owed = self.owed.get_mut();
        assert!(
            owed.is_empty() || thread::panicking(),
            "nothing was killed at {owed:?}"
        );
    }
}
