//! A real server whose commands can be made to go wrong, and all that can be seen of its state.

use std::{
    fmt::Write as _,
    fs, io,
    net::Ipv4Addr,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::Stdio,
};

use arpguard_common::wire::Mac;
use arpguard_tests::{
    arp::{self, Frame},
    lab::{Namespace, Output, Port, Wire, faulty},
    running::{Agent, Directory, eventually},
    server::real_server,
};
use aya::programs::{SchedClassifier, TcAttachType};
use serde_json::Value;

const CLIENT: Mac = Mac([2, 0, 0, 0, 0, 0x81]);
const SERVER: Mac = Mac([2, 0, 0, 0, 0, 0x10]);
const CLIENT_IP: Ipv4Addr = Ipv4Addr::new(192, 168, 18, 129);
/// Hidden in the beginning of most tests, and on `lo`.
pub(crate) const VIP: Ipv4Addr = Ipv4Addr::new(192, 168, 18, 101);
const RIP: Ipv4Addr = Ipv4Addr::new(192, 168, 18, 10);
/// Whom the control is for that the server sends.
const LAST: Ipv4Addr = Ipv4Addr::new(192, 168, 18, 254);

/// What `ip` is asked.
const NETWORK: [&str; 3] = ["addr show", "rule show", "route show table all"];
/// What `tc` is asked. A qdisc tells whose filters follow.
const HOOKS: [&str; 9] = [
    "qdisc show",
    "qdisc show dev eth0",
    "filter show dev eth0 ingress",
    "qdisc show dev eth0",
    "filter show dev eth0 egress",
    "qdisc show dev eth1",
    "filter show dev eth1 ingress",
    "qdisc show dev eth1",
    "filter show dev eth1 egress",
];

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

    /// Runs a command in which `faults` happen.
    pub(crate) fn with(&self, line: &str, faults: &str) -> Output {
        let mut command = self.server.command(faulty());
        command
            .args(line.split_whitespace())
            .env("ARPGUARD_FAULT", format!("{faults};{}", self.always))
            .env("ARPGUARD_FAULT_TRACE", self.trace());
        Output::of(&mut command)
    }

    /// Starts an agent in which `faults` happen.
    pub(crate) fn agent(&self, policy: &str, faults: &str) -> Agent {
        let mut command = self.server.command(faulty());
        command
            .args(["run", "--config", policy])
            .env("ARPGUARD_FAULT", format!("{faults};{}", self.always))
            .env("ARPGUARD_FAULT_TRACE", self.trace())
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
            let status = self.run("-o json status");
            status.contains(&CLIENT.to_string())
        });
        self.passed();
    }

    /// Fails where arpguard has left anything behind.
    pub(crate) fn is_bare(&self, when: &str) {
        let status = self.run("status");
        assert_eq!(
            status, "arpguard is not loaded in this network namespace\n",
            "{when}"
        );
        assert_eq!(self.hooks(), self.bare, "{when}");
    }

    /// All that can be seen of what is in force, without numbers that are new each time.
    pub(crate) fn state(&self) -> String {
        let mut state = self.run("-o json list");
        let mut status: Value = serde_json::from_str(&self.run("-o json status")).unwrap();
        for device in status["devices"].as_array_mut().unwrap() {
            // Frames that this test has sent.
            for seen in ["counters", "claims"] {
                device.as_object_mut().unwrap().remove(seen);
            }
        }
        writeln!(state, "{status:#}").unwrap();
        if let Some(pins) = status["pins"].as_str() {
            let home = Path::new(pins).parent().unwrap();
            let mut found = Vec::new();
            tree(home, &mut found);
            found.sort();
            state += &found.join("\n");
        }
        let network = self.batch("ip -o", &NETWORK);
        let mut network: Vec<_> = network.lines().collect();
        network.sort_unstable();
        writeln!(state, "\n{}", network.join("\n")).unwrap();
        state + &self.hooks()
    }

    /// What other tools see, but for addresses.
    pub(crate) fn hooks(&self) -> String {
        let mut state = String::new();
        for line in self.batch("tc", &HOOKS).lines() {
            // What is new each time, such as a program's number, is not told.
            if line.contains(" direct-action ") {
                state += "a filter\n";
            } else if line.starts_with("qdisc ") {
                writeln!(state, "{line}").unwrap();
            }
        }
        for link in self.server.sh("ip -d -o link show").lines() {
            let name = link.split_whitespace().nth(1).unwrap();
            let xdp = ["xdp ", "xdpgeneric "].map(|mode| link.contains(mode));
            writeln!(state, "{name} xdp {xdp:?}").unwrap();
        }
        self.server.enter(|| {
            for device in ["eth0", "eth1"] {
                for hook in [TcAttachType::Ingress, TcAttachType::Egress] {
                    let query = SchedClassifier::query_tcx(device, hook);
                    let programs = query.map_or(0, |(_, found)| found.len());
                    writeln!(state, "{device}: {hook:?}: {programs} by tcx").unwrap();
                }
            }
        });
        state
    }

    /// What a tool says to several lines at once: to start it takes longer than what it does.
    fn batch(&self, tool: &str, lines: &[&str]) -> String {
        let file = self.directory.write("batch", &(lines.join("\n") + "\n"));
        self.server.sh(&format!("{tool} -batch {file}"))
    }
}

/// Fails where a state is not the one that is wanted, and tells what differs.
pub(crate) fn is(state: &str, wanted: &str, when: &str) {
    let lacks = |one: &str, other: &str| {
        let other: Vec<_> = other.lines().collect();
        let lacking = one.lines().filter(|line| !other.contains(line));
        lacking.collect::<Vec<_>>().join("\n  ")
    };
    assert!(
        state == wanted,
        "{when}: there is\n  {}\nin place of\n  {}",
        lacks(state, wanted),
        lacks(wanted, state)
    );
}

/// Whether a command has ended as one does that is killed.
pub(crate) fn was_killed(output: &Output) -> bool {
    output.status.signal() == Some(libc::SIGKILL)
}

fn tree(directory: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        found.push(path.to_str().unwrap().to_owned());
        if path.is_dir() {
            tree(&path, found);
        }
    }
}
