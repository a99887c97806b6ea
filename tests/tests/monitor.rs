//! `arpguard monitor`: what it shows of frames, what it costs those who do not listen, and how it
//! ends.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on panics"
)]

use std::{
    io::{BufRead as _, BufReader, Read as _},
    net::Ipv4Addr,
    os::fd::AsFd as _,
    path::Path,
    process::{Child, ChildStdout, ExitStatus, Stdio},
    sync::mpsc::{Receiver, channel},
    thread::{self, sleep},
    time::{Duration, Instant},
};

use arpguard_common::{
    abi::{Listener, map},
    wire::Mac,
};
use arpguard_tests::{
    arp::{self, NOBODY},
    fixture::{AUDITED, Device, RIP, RealServer, VIP},
    lab::{self, Namespace, Port, arpguard, patience},
    server::{pins, real_server},
};
use aya::maps::{Array, Map, MapData};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

const CLIENT: Mac = Device::Eth0.peer_mac();
const SERVER: Mac = Device::Eth0.mac();

/// An `arpguard monitor` that runs.
struct Monitor {
    child: Child,
    lines: Receiver<String>,
}

impl Monitor {
    fn start(server: &Namespace, options: &str) -> Self {
        let mut monitor = Self::start_deaf(server, options);
        let (send, lines) = channel();
        let out = monitor.child.stdout.take().unwrap();
        thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    break;
                }
            }
        });
        monitor.lines = lines;
        monitor
    }

    /// Whose output nobody reads, until it is asked for.
    fn start_deaf(server: &Namespace, options: &str) -> Self {
        // One that was killed has left its own.
        let before = lease(server);
        let child = server
            .command(arpguard())
            .arg("monitor")
            .args(options.split_whitespace())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (_, lines) = channel();
        wait_until(|| ![0, before].contains(&lease(server)));
        Self { child, lines }
    }

    fn output(&mut self) -> ChildStdout {
        self.child.stdout.take().unwrap()
    }

    /// The next line, without its time.
    fn line(&self) -> String {
        let line = self.lines.recv_timeout(patience()).expect("a line");
        timeless(&line)
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
    }

    /// Waits for its end; gives its status, what it wrote after the lines that were read, and what
    /// it wrote to standard error.
    fn end(mut self) -> (ExitStatus, Vec<String>, String) {
        let status = self.child.wait().unwrap();
        let rest = self.lines.iter().map(|line| timeless(&line)).collect();
        let mut told = String::new();
        let mut stderr = self.child.stderr.take().unwrap();
        stderr.read_to_string(&mut told).unwrap();
        (status, rest, told)
    }

    /// Ends it by a signal; nothing must be left to show or to tell.
    fn stop(self, signal: Signal) {
        self.signal(signal);
        let (status, rest, told) = self.end();
        assert_eq!((status.code(), rest.len(), told.as_str()), (Some(0), 0, ""));
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        // It has ended, unless a test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A line with its time checked and cut off.
fn timeless(line: &str) -> String {
    if let Some(rest) = line.strip_prefix("{\"time\":\"") {
        let (time, rest) = rest.split_once('"').unwrap();
        assert!(shape(time) == "0000-00-00T00:00:00.000000Z", "{line}");
        return format!("{{{}", rest.strip_prefix(',').unwrap());
    }
    let (time, rest) = line.split_once(' ').unwrap();
    assert_eq!(shape(time), "00:00:00.000000", "{line}");
    rest.to_owned()
}

fn shape(time: &str) -> String {
    time.replace(|c: char| c.is_ascii_digit(), "0")
}

fn wait_until(mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + patience();
    while !done() {
        assert!(Instant::now() < deadline, "it never happened");
        sleep(Duration::from_millis(5));
    }
}

/// When the lease of whoever listens ends; 0: nobody does.
fn lease(server: &Namespace) -> u64 {
    let listener = open(&pins(server), map::LISTENER);
    let listener: Array<_, [u64; Listener::WORDS]> = Map::Array(listener).try_into().unwrap();
    listener.get(&0, 0).unwrap()[Listener::UNTIL_AT]
}

fn open(pins: &Path, name: &str) -> MapData {
    MapData::from_pin(pins.join("maps").join(name)).unwrap()
}

/// How many bytes were ever written to the ring.
fn ring_position(server: &Namespace) -> u64 {
    let ring = open(&pins(server), map::EVENTS);
    lab::ring_position(ring.fd().as_fd())
}

/// How many frames were counted on `device` for anything but being permitted.
fn counted(server: &Namespace, device: &str) -> u64 {
    let status: serde_json::Value = serde_json::from_str(&server.guard("-o json status")).unwrap();
    let devices = status["devices"].as_array().unwrap();
    let device = devices.iter().find(|one| one["name"] == device).unwrap();
    let counters = device["counters"].as_array().unwrap();
    counters
        .iter()
        .filter(|counter| counter["reason"] != "permitted")
        .map(|counter| counter["frames"].as_u64().unwrap())
        .sum()
}

const FAR: Ipv4Addr = Device::Eth0.peer();

/// A frame, on which side it is sent, the line that must be shown, and its JSON object.
fn frames() -> Vec<(bool, Vec<u8>, String, String)> {
    let mut strange = arp::request(CLIENT, FAR, VIP);
    strange.ptype = 0x0806;
    let mut cut = arp::request(CLIENT, FAR, VIP);
    cut.cut = 4;
    let broadcast = "ff:ff:ff:ff:ff:ff";
    let zero = "00:00:00:00:00:00";
    let json = |head: &str, rip: &str, what: &str, ends: [&str; 5], to: &str| {
        let [sha, spa, tha, tpa, source] = ends;
        format!(
            "{{\"device\":\"eth0\",\"index\":INDEX,{head},\"rip\":{rip},{what},\"sha\":\"{sha}\",\
             \"spa\":\"{spa}\",\"tha\":\"{tha}\",\"tpa\":\"{tpa}\",\"source\":\"{source}\",\
             \"destination\":\"{to}\",\"suppressed\":0,\"lost\":0}}"
        )
    };
    let head = |direction: &str, reason: &str, outcome: &str, audit: bool| {
        format!(
            "\"direction\":\"{direction}\",\"reason\":\"{reason}\",\"outcome\":\"{outcome}\",\
             \"policy\":\"hide\",\"audit\":{audit}"
        )
    };
    let (client, server) = (CLIENT.to_string(), SERVER.to_string());
    let request = "\"kind\":\"request\",\"operation\":1";
    vec![
        (
            false,
            arp::request(CLIENT, FAR, VIP).bytes(),
            format!(
                "eth0 received hidden_request dropped: who-has {VIP} tell {FAR} \
                 ({CLIENT} > {broadcast})"
            ),
            json(
                &head("received", "hidden_request", "dropped", false),
                "null",
                request,
                [&client, "192.168.18.129", zero, "192.168.18.101", &client],
                broadcast,
            ),
        ),
        (
            false,
            arp::probe(CLIENT, VIP).bytes(),
            format!(
                "eth0 received hidden_probe dropped: probe who-has {VIP} ({CLIENT} > {broadcast})"
            ),
            json(
                &head("received", "hidden_probe", "dropped", false),
                "null",
                "\"kind\":\"probe\",\"operation\":1",
                [
                    &client,
                    &NOBODY.to_string(),
                    zero,
                    "192.168.18.101",
                    &client,
                ],
                broadcast,
            ),
        ),
        (
            false,
            arp::request(CLIENT, VIP, RIP).to(SERVER).bytes(),
            format!(
                "eth0 received martian_request answered: who-has {RIP} tell {VIP} \
                 ({CLIENT} > {SERVER})"
            ),
            json(
                &head("received", "martian_request", "answered", false),
                "null",
                request,
                [&client, "192.168.18.101", zero, "192.168.18.10", &client],
                &server,
            ),
        ),
        (
            true,
            arp::request(SERVER, VIP, FAR).bytes(),
            format!(
                "eth0 sent leaking_request rewritten to {RIP}: who-has {FAR} tell {VIP} \
                 ({SERVER} > {broadcast})"
            ),
            json(
                &head("sent", "leaking_request", "rewritten", false),
                "\"192.168.18.10\"",
                request,
                [&server, "192.168.18.101", zero, "192.168.18.129", &server],
                broadcast,
            ),
        ),
        (
            true,
            arp::announcement(SERVER, VIP).bytes(),
            format!(
                "eth0 sent leaking_announcement dropped: announcement {VIP} is-at {SERVER} \
                 ({SERVER} > {broadcast})"
            ),
            json(
                &head("sent", "leaking_announcement", "dropped", false),
                "null",
                "\"kind\":\"announcement\",\"operation\":1",
                [&server, "192.168.18.101", zero, "192.168.18.101", &server],
                broadcast,
            ),
        ),
        (
            true,
            arp::reply(SERVER, VIP, CLIENT, FAR).bytes(),
            format!(
                "eth0 sent leaking_reply dropped: reply {VIP} is-at {SERVER} ({SERVER} > {CLIENT})"
            ),
            json(
                &head("sent", "leaking_reply", "dropped", false),
                "null",
                "\"kind\":\"reply\",\"operation\":2",
                [
                    &server,
                    "192.168.18.101",
                    &client,
                    "192.168.18.129",
                    &server,
                ],
                &client,
            ),
        ),
        (
            true,
            arp::request(SERVER, AUDITED, FAR).bytes(),
            format!(
                "eth0 sent leaking_request passed (audit: rewritten to {RIP}): \
                 who-has {FAR} tell {AUDITED} ({SERVER} > {broadcast})"
            ),
            json(
                &head("sent", "leaking_request", "rewritten", true),
                "\"192.168.18.10\"",
                request,
                [&server, "192.168.18.104", zero, "192.168.18.129", &server],
                broadcast,
            ),
        ),
        (
            false,
            strange.bytes(),
            format!(
                "eth0 received unparsed passed: operation 1, hardware type 1 of 6 bytes, \
                 protocol 0x0806 of 4 bytes ({CLIENT} > {broadcast})"
            ),
            format!(
                "{{\"device\":\"eth0\",\"index\":INDEX,\"direction\":\"received\",\
                 \"reason\":\"unparsed\",\"outcome\":\"passed\",\"policy\":null,\"audit\":false,\
                 \"rip\":null,\"kind\":null,\"operation\":1,\"sha\":null,\"spa\":null,\
                 \"tha\":null,\"tpa\":null,\"source\":\"{client}\",\
                 \"destination\":\"{broadcast}\",\"suppressed\":0,\"lost\":0}}"
            ),
        ),
        (
            false,
            cut.bytes(),
            format!("eth0 received unparsed passed: it is cut short ({CLIENT} > {broadcast})"),
            format!(
                "{{\"device\":\"eth0\",\"index\":INDEX,\"direction\":\"received\",\
                 \"reason\":\"unparsed\",\"outcome\":\"passed\",\"policy\":null,\"audit\":false,\
                 \"rip\":null,\"kind\":null,\"operation\":null,\"sha\":null,\"spa\":null,\
                 \"tha\":null,\"tpa\":null,\"source\":\"{client}\",\
                 \"destination\":\"{broadcast}\",\"suppressed\":0,\"lost\":0}}"
            ),
        ),
    ]
}

#[test]
fn each_frame_is_one_line_for_people_and_one_object_for_programs() {
    let server = RealServer::new();
    server.guard("");
    let far = Port::open(&server.peer, "eth0");
    let near = Port::open(&server.host, "eth0");
    let index = server
        .host
        .enter(|| nix::net::if_::if_nametoindex("eth0").unwrap().to_string());
    for attach in ["native", "generic", "tc"] {
        server
            .host
            .guard(&format!("hide {VIP} --rip {RIP} --attach {attach}"));
        for options in ["", "--json", "-o json"] {
            let monitor = Monitor::start(&server.host, options);
            for (sent, frame, line, object) in frames() {
                // To the sender of a frame that is dropped the kernel says so.
                let _ = if sent { &near } else { &far }.try_send(&frame);
                let object = object.replace("INDEX", &index);
                let expected = if options.is_empty() { line } else { object };
                assert_eq!(monitor.line(), expected, "{attach} {options}");
            }
            monitor.stop(Signal::SIGTERM);
        }
    }
}

#[test]
fn options_choose_what_is_shown() {
    let server = RealServer::new();
    server.guard("");
    let ports = ["eth0", "eth1", "eth2", "eth3"].map(|device| Port::open(&server.peer, device));
    let send = |device: usize, frame: arp::Frame| ports[device].send(&frame.bytes());
    let request = arp::request(CLIENT, FAR, VIP);
    let probe = arp::probe(CLIENT, VIP);

    let monitor = Monitor::start(&server.host, "--dev eth1");
    send(0, request.clone());
    wait_until(|| counted(&server.host, "eth0") == 1);
    send(1, request.clone());
    assert!(monitor.line().starts_with("eth1 received hidden_request"));
    monitor.stop(Signal::SIGINT);

    let monitor = Monitor::start(&server.host, "--json --reason foreign_request");
    send(3, probe.clone());
    send(3, arp::request(CLIENT, FAR, RIP));
    let event = monitor.line();
    for part in [
        "foreign_request",
        "\"outcome\":\"dropped\",\"policy\":\"strict\"",
    ] {
        assert!(event.contains(part), "{event}");
    }
    monitor.stop(Signal::SIGINT);

    let monitor = Monitor::start(&server.host, "--reason hidden_probe --reason unparsed");
    send(0, request.clone());
    wait_until(|| counted(&server.host, "eth0") == 2);
    send(0, probe.clone());
    assert!(monitor.line().starts_with("eth0 received hidden_probe"));
    monitor.stop(Signal::SIGINT);

    let monitor = Monitor::start(&server.host, "--count 2");
    for _ in 0..3 {
        send(0, probe.clone());
    }
    let (status, lines, told) = monitor.end();
    assert_eq!(
        (status.code(), lines.len(), told.as_str()),
        (Some(0), 2, "")
    );
    assert_eq!(lease(&server.host), 0);

    for (line, status, message) in [
        (
            "--dev eth7",
            1,
            "find the device: eth7: there is no such device; there are lo, eth0, eth1, eth2, eth3, eth4, eth5",
        ),
        (
            "--dev lo",
            1,
            "monitor: lo: it is not guarded; `arpguard status` shows which devices are",
        ),
        (
            "--count 0",
            2,
            "read the arguments: --count 0: 0 is not in 1..18446744073709551615; \
             see `arpguard monitor --help`",
        ),
        (
            "--reason permitted",
            2,
            "read the arguments: --reason permitted: it can be unparsed, hidden_request, \
             hidden_probe, foreign_request, foreign_probe, wrong_subnet, shielded_claim, \
             martian_request, answered_request, deferred_request, contested_request, false_claim, \
             flip_flop, leaking_request, no_rip, leaking_announcement, leaking_reply, leaking_probe; \
             see `arpguard monitor --help`",
        ),
    ] {
        let words = std::iter::once("monitor").chain(line.split_whitespace());
        let refused = server.host.arpguard(&words.collect::<Vec<_>>());
        let told = (refused.status.code(), refused.stderr);
        assert_eq!(told, (Some(status), format!("arpguard: {message}\n")));
    }
}

#[test]
fn names_are_those_of_the_moment() {
    let (server, peer) = real_server();
    server.guard("hide 192.168.18.101");
    let far = Port::open(&peer, "eth0");
    let monitor = Monitor::start(&server, "");
    let ask = || {
        far.send(&arp::request(CLIENT, FAR, VIP).bytes());
        monitor.line().split(' ').next().unwrap().to_owned()
    };
    assert_eq!(ask(), "eth0");
    server.sh("ip link set eth0 down");
    server.sh("ip link set eth0 name lan0");
    server.sh("ip link set lan0 up");
    wait_until(|| ask() == "lan0");
    monitor.stop(Signal::SIGINT);
}

#[test]
fn there_is_one_monitor_in_a_namespace_and_it_keeps_no_writer_out() {
    let (server, _peer) = real_server();
    let refused = server.arpguard(&["monitor"]);
    let message = "arpguard: monitor: this network namespace: arpguard is not loaded there, \
                   so nothing is judged; hide an address first: arpguard hide VIP\n";
    let told = (refused.status.code(), refused.stderr.as_str());
    assert_eq!(told, (Some(1), message));

    server.guard("hide 192.168.18.101");
    let first = Monitor::start(&server, "");
    let refused = server.arpguard(&["monitor"]);
    let message = "arpguard: monitor: this network namespace: another `arpguard monitor` is \
                   reading, and each event has one reader; end that one, or read its output\n";
    let told = (refused.status.code(), refused.stderr.as_str());
    assert_eq!(told, (Some(1), message));
    server.guard("hide 192.168.18.102");
    server.guard("flush");
    first.stop(Signal::SIGTERM);
    Monitor::start(&server, "").stop(Signal::SIGHUP);

    let (other, _peer) = real_server();
    other.guard("hide 192.168.18.101");
    let here = Monitor::start(&server, "");
    Monitor::start(&other, "").stop(Signal::SIGINT);

    let before = pins(&server);
    server.guard("detach");
    let (status, lines, told) = here.end();
    let message = "arpguard: monitor: this network namespace: arpguard was detached from it\n";
    assert_eq!((status.code(), lines.len()), (Some(1), 0));
    assert_eq!(told, message);
    assert!(!before.exists());
}

#[test]
fn without_a_listener_nothing_is_written_and_later_ones_do_not_see_it() {
    let (server, peer) = real_server();
    server.guard("hide 192.168.18.101");
    let far = Port::open(&peer, "eth0");
    let ask = || far.send(&arp::request(CLIENT, FAR, VIP).bytes());
    for _ in 0..100 {
        ask();
    }
    wait_until(|| counted(&server, "eth0") == 100);
    assert_eq!((lease(&server), ring_position(&server)), (0, 0));

    // One that was killed has left its lease and events that it did not read.
    let killed = Monitor::start_deaf(&server, "");
    killed.signal(Signal::SIGSTOP);
    for _ in 0..100 {
        ask();
    }
    wait_until(|| counted(&server, "eth0") == 200);
    let written = ring_position(&server);
    assert_ne!(written, 0);
    killed.signal(Signal::SIGKILL);
    drop(killed);
    let left = lease(&server);
    assert_ne!(left, 0);

    // The next one shows what happens from now on, and all of it.
    let monitor = Monitor::start(&server, "");
    far.send(&arp::probe(CLIENT, VIP).bytes());
    assert!(monitor.line().starts_with("eth0 received hidden_probe"));
    monitor.stop(Signal::SIGINT);
    assert_eq!(lease(&server), 0);
    let written = ring_position(&server);
    ask();
    wait_until(|| counted(&server, "eth0") == 202);
    assert_eq!(ring_position(&server), written);
}

#[test]
fn a_lease_ends_by_itself() {
    let (server, peer) = real_server();
    server.guard("hide 192.168.18.101");
    let far = Port::open(&peer, "eth0");
    let killed = Monitor::start_deaf(&server, "");
    killed.signal(Signal::SIGKILL);
    drop(killed);
    wait_until(|| {
        let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC).unwrap();
        lease(&server)
            < (now.tv_sec() * 1_000_000_000 + now.tv_nsec())
                .try_into()
                .unwrap()
    });
    far.send(&arp::request(CLIENT, FAR, VIP).bytes());
    wait_until(|| counted(&server, "eth0") == 1);
    assert_eq!(ring_position(&server), 0);
}

/// Numbers in text, as they come.
fn numbers(text: &str) -> Vec<u64> {
    text.split(|c: char| !c.is_ascii_digit())
        .filter_map(|word| word.parse().ok())
        .collect()
}

#[test]
fn of_a_flood_each_frame_is_shown_or_told_to_be_left_out() {
    const FLOOD: u64 = 20_000;
    let (server, peer) = real_server();
    server.guard("hide 192.168.18.101");
    let far = Port::open(&peer, "eth0");
    let frame = arp::request(CLIENT, FAR, VIP).bytes();
    // At a low rate most are suppressed; at a high one, those that find no room are lost, as
    // nobody reads the lines.
    let mut before = 0;
    for (rate, word) in [("10", "suppressed"), ("1000000", "lost")] {
        let mut monitor = Monitor::start_deaf(&server, &format!("--json --rate {rate}"));
        let mut sent = 0;
        while sent < FLOOD {
            match far.try_send(&frame) {
                Ok(()) => sent += 1,
                // The queue of the device is full.
                Err(_) => sleep(Duration::from_millis(1)),
            }
        }
        wait_until(|| {
            let now = counted(&server, "eth0") - before;
            sleep(Duration::from_millis(50));
            now == counted(&server, "eth0") - before && now > FLOOD / 2
        });
        let frames = counted(&server, "eth0") - before;
        let out = monitor.output();
        let reader = thread::spawn(move || BufReader::new(out).lines().count() as u64);
        monitor.signal(Signal::SIGTERM);
        let (status, _, told) = monitor.end();
        assert_eq!(status.code(), Some(0));
        let shown = reader.join().unwrap();
        let start = "arpguard: monitor: events that were not shown: ";
        let left = numbers(
            told.strip_prefix(start)
                .unwrap_or_else(|| panic!("{told:?}")),
        )[0];
        assert!(told.contains(&format!("{left} {word}")), "{told}");
        assert!(shown > 0);
        assert_eq!(shown + left, frames, "{told}");
        before += frames;
    }
}

#[test]
fn the_next_event_tells_how_many_were_left_out() {
    let (server, peer) = real_server();
    server.guard("hide 192.168.18.101");
    let far = Port::open(&peer, "eth0");
    let ask = || far.send(&arp::request(CLIENT, FAR, VIP).bytes());
    let monitor = Monitor::start(&server, "--rate 1 --json");
    // Each CPU may show one in a second.
    let mut told = 0;
    let mut shown = 0;
    let mut sent = 0;
    while told == 0 {
        ask();
        sent += 1;
        sleep(Duration::from_millis(5));
        while let Ok(line) = monitor.lines.try_recv() {
            let event: serde_json::Value = serde_json::from_str(&line).unwrap();
            told += event["suppressed"].as_u64().unwrap();
            shown += 1;
        }
    }
    wait_until(|| counted(&server, "eth0") == sent);
    monitor.signal(Signal::SIGINT);
    let (status, rest, end) = monitor.end();
    assert_eq!(status.code(), Some(0));
    let suppressed = "suppressed (more than 1 a second of one device and policy; --rate)";
    let left = sent - shown - rest.len() as u64;
    let message = format!("arpguard: monitor: events that were not shown: {left} {suppressed}\n");
    assert_eq!(end, message);
}

#[test]
fn a_reader_that_goes_away_ends_it() {
    let (server, peer) = real_server();
    server.guard("hide 192.168.18.101");
    for asked in [false, true] {
        let mut monitor = Monitor::start_deaf(&server, "");
        drop(monitor.output());
        if asked {
            let far = Port::open(&peer, "eth0");
            far.send(&arp::request(CLIENT, FAR, VIP).bytes());
        }
        let (status, _, told) = monitor.end();
        assert_eq!((status.code(), told.as_str()), (Some(0), ""));
        assert_eq!(lease(&server), 0);
    }
}
