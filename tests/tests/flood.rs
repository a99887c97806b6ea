//! A flood of ARP at full speed: the agent sleeps through it, says nothing of it, and the service
//! goes on; where the agent is asked, it answers at its own pace, and does the rest of its work.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on panics, also outside of #[test]"
)]

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
    process::Stdio,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use arpguard_common::wire::Mac;
use arpguard_tests::{
    arp, http,
    kernel::{Feature, lacks},
    lab::{Flood, Namespace, Port, arpguard},
    running::{Agent, Directory, eventually, logging},
    server::real_server,
};
use nix::{
    sys::signal::Signal,
    unistd::{SysconfVar, sysconf},
};
use serde_json::Value;

const CLIENT: Mac = Mac([2, 0, 0, 0, 0, 0x81]);
const CLIENT_IP: Ipv4Addr = Ipv4Addr::new(192, 168, 18, 129);
const VIP: Ipv4Addr = Ipv4Addr::new(192, 168, 18, 101);
const FRAMES: u32 = 1 << 16;
const LENGTH: usize = 1 << 18;

/// How many times a process was given a CPU, and for how many ticks.
fn work(agent: &Agent) -> (u64, u64) {
    let switches = ["voluntary_ctxt_switches", "nonvoluntary_ctxt_switches"];
    let switches = switches.map(|name| agent.status(name).parse::<u64>().unwrap());
    let stat = fs::read_to_string(format!("/proc/{}/stat", agent.id())).unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let mut fields = fields
        .split(' ')
        .skip(11)
        .map(|field| field.parse::<u64>().unwrap());
    (
        switches.iter().sum(),
        fields.next().unwrap() + fields.next().unwrap(),
    )
}

/// Ends the flood, even where an assertion fails.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Sends what a service answers to one request, as often as it is asked.
fn serve(listener: &TcpListener, requests: usize) {
    for stream in listener.incoming().take(requests) {
        stream.unwrap().write_all(&[7; LENGTH]).unwrap();
    }
}

/// Asks the service on the VIP so many times; how long it took.
fn transfers(peer: &Namespace, server: &Namespace, requests: usize) -> Duration {
    let listener = server.enter(|| TcpListener::bind((VIP, 80)).unwrap());
    thread::scope(|scope| {
        scope.spawn(|| serve(&listener, requests));
        let started = Instant::now();
        peer.enter(|| {
            for _ in 0..requests {
                let mut answer = Vec::new();
                let mut stream = TcpStream::connect((VIP, 80)).unwrap();
                stream.read_to_end(&mut answer).unwrap();
                assert_eq!(answer, [7; LENGTH]);
            }
        });
        started.elapsed()
    })
}

/// Floods with what `send` sends, so many frames at a time, while `meanwhile` lasts; how many frames
/// it were.
fn flooded<R>(send: impl FnMut() -> u64 + Send, meanwhile: impl FnOnce() -> R) -> (R, u64) {
    let (over, sent) = (AtomicBool::new(false), AtomicU64::new(0));
    let result = thread::scope(|scope| {
        let (over, sent, mut send) = (&over, &sent, send);
        scope.spawn(move || {
            while !over.load(Ordering::Relaxed) {
                sent.fetch_add(send(), Ordering::Relaxed);
            }
        });
        let _ends = Ends(over);
        eventually("the flood comes", || sent.load(Ordering::Relaxed) > 0);
        meanwhile()
    });
    (result, sent.into_inner())
}

/// Sends requests for the VIP out of `eth0`, as fast as can be.
fn requests(peer: &Namespace) -> impl FnMut() -> u64 {
    let flood = Flood::new(peer, "eth0");
    let ask = arp::request(CLIENT, CLIENT_IP, VIP).bytes();
    move || {
        flood.send(peer, &ask, FRAMES);
        FRAMES.into()
    }
}

/// For which reasons frames were kept from going on at `eth0`, and how many.
fn dropped(server: &Namespace) -> Vec<(String, u64)> {
    let status: Value = serde_json::from_str(&server.guard("-o json status")).unwrap();
    let devices = status["devices"].as_array().unwrap();
    let eth0 = devices.iter().find(|one| one["name"] == "eth0").unwrap();
    let counters = eth0["counters"].as_array().unwrap().iter();
    let dropped = counters.filter(|counter| counter["outcome"] != "passed");
    dropped
        .map(|one| {
            let reason = one["reason"].as_str().unwrap().to_owned();
            (reason, one["frames"].as_u64().unwrap())
        })
        .collect()
}

#[test]
fn the_agent_sleeps_through_a_flood_and_the_service_goes_on() {
    if lacks(Feature::LiveFrames) {
        return;
    }
    let (server, peer) = real_server();
    server.sh("ip addr add 192.168.18.101/32 dev lo");
    peer.sh(&format!("ip link set eth0 address {CLIENT}"));
    peer.sh("ip addr add 192.168.18.129/24 dev eth0");
    // As the director has it, which never asks for the VIP.
    peer.sh("ip neigh add 192.168.18.101 lladdr 02:00:00:00:00:10 dev eth0 nud permanent");
    server.sh("ip neigh add 192.168.18.129 lladdr 02:00:00:00:00:81 dev eth0 nud permanent");
    let (bare, frames) = flooded(requests(&peer), || transfers(&peer, &server, 20));
    println!("without arpguard: 20 transfers in {bare:?} beside {frames} frames");

    let directory = Directory::new("flood");
    let policy = directory.write("policy.toml", "[[hide]]\nip = \"192.168.18.101\"\n");
    let log = directory.file("log");
    let mut command = server.command(arpguard());
    command
        .args(["run", "--config", &policy])
        .stdin(Stdio::null());
    command.stderr(fs::File::create(&log).unwrap());
    let agent = Agent::of(command);
    eventually("the policy is in force", || {
        fs::read_to_string(&log).unwrap().contains("in force")
    });
    let mut before = work(&agent);
    eventually("the agent sleeps", || {
        thread::sleep(Duration::from_millis(200));
        let last = before;
        before = work(&agent);
        before == last
    });
    let said = fs::read_to_string(&log).unwrap();

    let (guarded, frames) = flooded(requests(&peer), || transfers(&peer, &server, 20));
    let after = work(&agent);
    println!("with arpguard: 20 transfers in {guarded:?} beside {frames} frames");
    println!("the agent: (switches, ticks) {before:?} before, {after:?} after");
    assert!(
        after.0 - before.0 < 10,
        "the agent woke: {before:?} {after:?}"
    );
    assert_eq!(fs::read_to_string(&log).unwrap(), said);
    // Each byte of the service has come, and nothing else was dropped than what the flood is made of.
    let dropped = dropped(&server);
    let [(reason, requests)] = dropped.as_slice() else {
        panic!("{dropped:?}");
    };
    assert_eq!(reason, "hidden_request");
    assert!((1..=frames).contains(requests), "{requests} of {frames}");
    assert!(agent.end(Signal::SIGTERM).success());
}

/// An agent that answers for addresses under a check, and what it has done so far.
struct Answering {
    server: Namespace,
    peer: Namespace,
    directory: Directory,
    agent: Agent,
}

impl Answering {
    /// For these addresses, with a check that notes each time it is made.
    fn new(name: &str, addresses: &str) -> Self {
        let (server, peer) = real_server();
        let directory = Directory::new(name);
        let checks = directory.write("checks", "");
        server.guard(&format!(
            "answer {addresses} --dev eth0 --when echo>>{checks} --force"
        ));
        let options = ["--metrics", "9817"];
        let agent = logging(&server, &options, &directory.file("log"));
        let this = Self {
            server,
            peer,
            directory,
            agent,
        };
        eventually("the policy is in force", || this.log().contains("in force"));
        this
    }

    fn log(&self) -> String {
        fs::read_to_string(self.directory.file("log")).unwrap()
    }

    /// What the log says but for what the agent does.
    fn complaints(&self) -> Vec<String> {
        let log = self.log();
        let complaints = log.lines().filter(|line| !line.contains(" INFO "));
        complaints.map(str::to_owned).collect()
    }

    fn checks(&self) -> usize {
        let made = fs::read_to_string(self.directory.file("checks")).unwrap();
        made.lines().count()
    }

    /// Fails where the agent does not do the rest of its work.
    fn serves(&self) {
        let alive = http::ask(&self.server, "GET", "/healthz").unwrap();
        assert_eq!(alive.body, "ok\n");
        self.server.guard("hide 192.168.18.200 --rip 192.168.18.10");
        self.server.guard("unhide 192.168.18.200");
        self.server.sh("ip link add new0 type veth peer name new1");
        eventually("a new device is guarded", || {
            let status = self.server.guard("status");
            let mut lines = status.lines();
            lines.any(|line| line.starts_with("new0 ") && line.contains("tc"))
        });
        self.server.sh("ip link del new0");
    }

    /// Floods the agent, and sees it do the rest of its work. Fails where it takes more than half a
    /// CPU; gives how long it was, and how many checks were made.
    fn flooded(&self, send: impl FnMut() -> u64 + Send) -> (Duration, usize) {
        let (before, made, started) = (work(&self.agent), self.checks(), Instant::now());
        let until = started + Duration::from_secs(5);
        let ((), frames) = flooded(send, || {
            while Instant::now() < until {
                self.serves();
            }
        });
        let (after, made) = (work(&self.agent), self.checks() - made);
        let lasted = started.elapsed();
        println!(
            "{frames} frames in {lasted:?}: {made} checks, {before:?} before, {after:?} after"
        );
        let ticks = sysconf(SysconfVar::CLK_TCK).unwrap().unwrap();
        let taken = (after.1 - before.1) as f64 / ticks as f64;
        assert!(
            taken < lasted.as_secs_f64() / 2.0,
            "{taken} s of {lasted:?}"
        );
        (lasted, made)
    }
}

#[test]
fn what_is_under_a_check_is_checked_once_a_second_however_often_it_is_asked_for() {
    if lacks(Feature::LiveFrames) {
        return;
    }
    let lab = Answering::new("asked", "192.168.18.101");
    let (lasted, made) = lab.flooded(requests(&lab.peer));
    assert!(made > 0);
    assert!(made as u64 <= lasted.as_secs() + 2, "{made} in {lasted:?}");
    assert_eq!(lab.complaints(), [""; 0]);
    assert!(lab.agent.end(Signal::SIGTERM).success());
}

#[test]
fn a_flood_that_asks_for_a_whole_prefix_has_few_checks_made() {
    let lab = Answering::new("asked-all", "10.1.0.0/16");
    let wire = Port::open(&lab.peer, "eth0");
    let asks: Vec<_> = (0..4096_u32)
        .map(|host| Ipv4Addr::from_bits(0x0a01_0000 + host))
        .map(|target| arp::request(CLIENT, CLIENT_IP, target).bytes())
        .collect();
    let (lasted, made) = lab.flooded(|| {
        let taken = asks.iter().filter(|ask| wire.try_send(ask).is_ok());
        taken.count() as u64
    });
    assert!(made > 0);
    assert!(
        made as u64 <= 128 * (lasted.as_secs() + 2),
        "{made} in {lasted:?}"
    );
    assert_eq!(lab.complaints(), [""; 0]);
    assert!(lab.agent.end(Signal::SIGTERM).success());
}

/// As where the flood is faster than the uplink.
#[test]
fn answers_that_find_no_room_to_be_sent_hold_nothing_up_and_fill_no_log() {
    if lacks(Feature::LiveFrames) {
        return;
    }
    let lab = Answering::new("no-room", "192.168.18.101");
    lab.server.sh("tc qdisc add dev eth0 root pfifo limit 0");
    lab.flooded(requests(&lab.peer));
    let told = lab.complaints();
    assert_eq!(told.len(), 1, "{told:?}");
    let why = "answer: 192.168.18.101: the device has no room to send";
    assert!(told[0].contains(why), "{told:?}");
    assert!(lab.agent.end(Signal::SIGTERM).success());
}
