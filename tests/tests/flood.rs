//! A flood of ARP at full speed: the agent sleeps through it, says nothing of it, and the service
//! goes on.
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
    arp,
    kernel::{Feature, lacks},
    lab::{Flood, Namespace, arpguard},
    running::{Agent, Directory, eventually},
    server::real_server,
};
use nix::sys::signal::Signal;

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

/// Floods `eth0` with requests for the VIP while `meanwhile` lasts; how many frames it were.
fn flooded<R>(peer: &Namespace, meanwhile: impl FnOnce() -> R) -> (R, u64) {
    let flood = Flood::new(peer, "eth0");
    let ask = arp::request(CLIENT, CLIENT_IP, VIP).bytes();
    let (over, sent) = (AtomicBool::new(false), AtomicU64::new(0));
    let result = thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                flood.send(peer, &ask, FRAMES);
                sent.fetch_add(FRAMES.into(), Ordering::Relaxed);
            }
        });
        let _ends = Ends(&over);
        eventually("the flood comes", || sent.load(Ordering::Relaxed) > 0);
        meanwhile()
    });
    (result, sent.into_inner())
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
    let (bare, frames) = flooded(&peer, || transfers(&peer, &server, 20));
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

    let (guarded, frames) = flooded(&peer, || transfers(&peer, &server, 20));
    let after = work(&agent);
    println!("with arpguard: 20 transfers in {guarded:?} beside {frames} frames");
    println!("the agent: (switches, ticks) {before:?} before, {after:?} after");
    assert!(
        after.0 - before.0 < 10,
        "the agent woke: {before:?} {after:?}"
    );
    assert_eq!(fs::read_to_string(&log).unwrap(), said);
    let counted = server.guard("-o json status");
    assert!(counted.contains("\"frames\""), "{counted}");
    assert!(agent.end(Signal::SIGTERM).success());
}
