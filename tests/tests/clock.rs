//! Clocks that jump: what arpguard decides, it decides by the monotonic clock; that on the wall only
//! says when something was.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on panics, also outside of #[test]"
)]

use std::{
    fs::{self, File},
    net::Ipv4Addr,
    path::Path,
    process::{Child, Command},
};

use arpguard_common::{
    abi::{Listener, map},
    wire::Mac,
};
use arpguard_tests::{
    arp::{self, Frame},
    http,
    lab::{Namespace, Output, Port, Wire, arpguard},
    running::{Agent, Directory, eventually},
    server::{pins, real_server},
    wall::Wall,
};
use aya::maps::{Array, Map, MapData};
use nix::{
    sys::signal::{Signal, kill},
    time::{ClockId, clock_gettime},
    unistd::Pid,
};
use serde_json::Value;

const CLIENT: Mac = Mac([2, 0, 0, 0, 0, 0x81]);
const CLIENT_IP: Ipv4Addr = Ipv4Addr::new(192, 168, 18, 129);
const SERVER: Mac = Mac([2, 0, 0, 0, 0, 0x10]);
const VIP: Ipv4Addr = Ipv4Addr::new(192, 168, 18, 101);
const ANSWERED: Ipv4Addr = Ipv4Addr::new(192, 168, 18, 105);
const DAY: i64 = 86_400;
const CENTURY: i64 = 36_525 * DAY;

/// A server with `eth0` and `eth1`, and who is at the other ends.
struct Lab {
    server: Namespace,
    peer: Namespace,
    client: Port,
    directory: Directory,
    wall: Wall,
}

impl Lab {
    fn new(name: &str) -> Self {
        let (server, peer) = real_server();
        let far = Mac([2, 0, 0, 0, 1, 0x10]);
        Wire::between((&server, "eth1", far), (&peer, "eth1", None));
        server.sh("ip addr add 192.168.18.101/32 dev lo");
        Self {
            client: Port::open(&peer, "eth0"),
            server,
            peer,
            directory: Directory::new(name),
            wall: Wall::new(&format!("{name}-wall")),
        }
    }

    /// arpguard with these arguments, by the clock that a test sets.
    fn command(&self, line: &str) -> Command {
        let mut command = self.server.command(arpguard());
        self.wall.before(&mut command);
        command.args(line.split_whitespace());
        command
    }

    fn run(&self, line: &str) -> String {
        let output = Output::of(&mut self.command(line));
        assert!(output.success(), "{line}: {output}");
        output.stdout
    }

    /// A file to write to.
    fn file(&self, name: &str) -> File {
        File::create(self.directory.file(name)).unwrap()
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.directory.file(name)).unwrap()
    }

    /// Since when, and when last, the client is seen to have the VIP.
    fn claim(&self) -> [String; 2] {
        let status: Value = serde_json::from_str(&self.run("-o json status")).unwrap();
        let devices = status["devices"].as_array().unwrap();
        let eth0 = devices.iter().find(|one| one["name"] == "eth0").unwrap();
        ["since", "seen"].map(|when| eth0["claims"][0][when].as_str().unwrap().to_owned())
    }

    /// Where the pin is, and why.
    fn pin(&self) -> String {
        let list = self.run("list");
        let line = list.lines().find(|line| line.starts_with("pin "));
        let words = line.unwrap().split_whitespace().skip(2);
        words.collect::<Vec<_>>().join(" ")
    }

    /// The event that is shown last.
    fn shown(&self) -> Option<Value> {
        let events = self.read("events");
        serde_json::from_str(events.lines().last()?).ok()
    }
}

/// A command under way, which ends with the test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // It has ended, unless a test failed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The time so many seconds ahead, without a fraction, as RFC 3339 has it: later is greater.
fn time(ahead: i64) -> String {
    let now = clock_gettime(ClockId::CLOCK_REALTIME).unwrap().tv_sec();
    let date = Command::new("date")
        .args(["-u", "+%Y-%m-%dT%H:%M:%S", &format!("-d@{}", now + ahead)])
        .output();
    let text = String::from_utf8(date.unwrap().stdout).unwrap();
    text.trim().to_owned()
}

/// Fails where a moment is not within a day of now, so many seconds ahead.
fn is_now(moment: &str, ahead: i64) {
    let day = time(ahead - DAY)..time(ahead + DAY);
    assert!(day.contains(&moment.to_owned()), "{moment}: {day:?}");
}

#[test]
fn the_wall_clock_jumps_and_only_times_of_day_are_others() {
    let lab = Lab::new("jump");
    let checks = lab.directory.write("checks", "");
    let policy = |hold: u32| {
        let text = format!(
            "[[hide]]\nip = \"192.168.18.101\"\n\
             [[pin]]\nip = \"192.168.18.104\"\ndev = \"eth1\"\nfallback = \"eth0\"\nhold = {hold}\n\
             [[answer]]\nip = \"192.168.18.105\"\ndev = \"eth0\"\nwhen = \"echo >> {checks}\"\n"
        );
        lab.directory.write("policy.toml", &text)
    };
    let policy_file = policy(86_400);
    let mut agent = lab.command("run --metrics 9817 --config");
    agent.arg(&policy_file).stderr(lab.file("log"));
    let agent = Agent::of(agent);
    eventually("the policy is in force", || {
        lab.read("log").contains("in force")
    });
    let mut monitor = lab.command("-o json monitor --dev eth0 --reason hidden_request");
    monitor.stdout(lab.file("events")).stderr(lab.file("told"));
    let mut monitor = Killed(monitor.spawn().unwrap());

    lab.peer.sh("ip link set eth1 down");
    eventually("the pin moves", || lab.pin().starts_with("eth0 "));
    lab.peer.sh("ip link set eth1 up");
    let has_to_hold =
        "eth0 auto fallback eth0 hold 86400 (moved from eth1: up again, and has to hold)";
    eventually("its link is back", || lab.pin() == has_to_hold);

    for (turn, ahead) in [0, CENTURY, -CENTURY / 2, 0, 400 * DAY]
        .into_iter()
        .enumerate()
    {
        lab.wall.set(ahead);
        // The reader still reads, and says when by the clock on the wall.
        let ask = arp::request(CLIENT, CLIENT_IP, VIP).bytes();
        let before = lab.shown();
        eventually("an event is shown", || {
            lab.client.send(&ask);
            lab.shown() != before
                && lab.shown().is_some_and(|event| {
                    let moment = event["time"].as_str().unwrap_or_default();
                    // What was on its way when the clock was set is shown by the old one.
                    (time(ahead - DAY)..time(ahead + DAY)).contains(&moment.to_owned())
                })
        });
        // So does who claims what.
        lab.client.send(&arp::announcement(CLIENT, VIP).bytes());
        eventually("the claim is heard", || {
            lab.run("-o json status").contains(&CLIENT.to_string())
        });
        let [since, seen] = lab.claim();
        is_now(&since, ahead);
        is_now(&seen, ahead);
        assert!(since <= seen, "{since} {seen}");

        // A check that succeeded a second ago is made again, as if the clock had not gone back.
        let made = lab.read("checks").len();
        let answer = Some(arp::reply(SERVER, ANSWERED, CLIENT, CLIENT_IP));
        let mut is_answered = false;
        eventually("the check is made again, and it is answered", || {
            let ask = arp::request(CLIENT, CLIENT_IP, ANSWERED).bytes();
            lab.client.send(&ask);
            let heard = lab.client.drain();
            is_answered |= heard.iter().any(|heard| Frame::read(heard) == answer);
            is_answered && lab.read("checks").len() > made
        });

        // The agent follows what happens, and the link has not held for a day because of that.
        let device = format!("new{turn}");
        lab.server.sh(&format!(
            "ip link add {device} type veth peer name {device}p"
        ));
        eventually("the new device is guarded", || {
            let status = lab.run("status");
            status
                .lines()
                .any(|line| line.starts_with(&device) && line.contains("tc"))
        });
        assert_eq!(lab.pin(), has_to_hold);
    }

    // It is asked to hold for a second, and has, though the clock went back meanwhile.
    lab.wall.set(-CENTURY / 2);
    policy(1);
    eventually("the pin is back", || {
        lab.pin() == "eth1 auto fallback eth0 hold 1"
    });
    let metric = "arpguard_last_reload_success_timestamp_seconds ";
    let metrics = http::get(&lab.server, "/metrics").body;
    let reloaded = metrics.lines().find_map(|line| line.strip_prefix(metric));
    let reloaded: i64 = reloaded.unwrap().parse().unwrap();
    let now = clock_gettime(ClockId::CLOCK_REALTIME).unwrap().tv_sec();
    assert!((now - CENTURY / 2 - reloaded).abs() < DAY, "{reloaded}");

    let id = Pid::from_raw(monitor.0.id().try_into().unwrap());
    kill(id, Signal::SIGINT).unwrap();
    assert!(monitor.0.wait().unwrap().success());
    assert_eq!(lab.read("told"), "");
    assert!(agent.end(Signal::SIGTERM).success());
    assert!(!lab.read("log").contains("WARN"), "{}", lab.read("log"));
}

/// When the lease of whoever listens ends.
fn lease(pins: &Path) -> u64 {
    let listener = MapData::from_pin(pins.join("maps").join(map::LISTENER)).unwrap();
    let listener: Array<_, [u64; Listener::WORDS]> = Map::Array(listener).try_into().unwrap();
    listener.get(&0, 0).unwrap()[Listener::UNTIL_AT]
}

/// Containers may see monotonic clocks that differ from the machine's, by which the programs go.
#[test]
fn a_reader_in_a_time_namespace_reads_as_elsewhere() {
    let lab = Lab::new("timens");
    lab.run("hide 192.168.18.101 --rip 192.168.18.10");
    lab.client.send(&arp::announcement(CLIENT, VIP).bytes());
    eventually("the claim is heard", || {
        lab.run("-o json status").contains(&CLIENT.to_string())
    });
    let [since, seen] = lab.claim();
    let ahead = (400 * DAY).to_string();
    let inside = |line: &str| {
        let mut command = lab.server.command("unshare");
        command
            .args(["--time", "--fork", "--kill-child"])
            .args(["--monotonic", &ahead, "--boottime", &ahead])
            .arg(arpguard())
            .args(line.split_whitespace());
        command
    };
    let status = Output::of(&mut inside("-o json status"));
    assert!(status.success(), "{status}");
    // What the two clocks differ by is read anew each time: microseconds may not be the same.
    for moment in [since, seen] {
        let (day, _) = moment.split_once('T').unwrap();
        assert!(status.stdout.contains(&format!("\"{day}T")), "{status}");
    }

    let mut monitor = inside("-o json monitor --count 1 --reason hidden_request");
    monitor.stdout(lab.file("events")).stderr(lab.file("told"));
    let mut monitor = Killed(monitor.spawn().unwrap());
    let mut longest = 0;
    eventually("an event is shown", || {
        let ask = arp::request(CLIENT, CLIENT_IP, VIP).bytes();
        lab.client.send(&ask);
        longest = longest.max(lease(&pins(&lab.server)));
        monitor.0.try_wait().unwrap().is_some()
    });
    assert!(monitor.0.wait().unwrap().success());
    assert_eq!(lab.read("told"), "");
    let event = lab.shown().unwrap();
    is_now(event["time"].as_str().unwrap(), 0);
    // Were it killed, its lease would end soon for the programs too.
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).unwrap();
    let soon = u64::try_from(now.tv_sec() + 3).unwrap() * 1_000_000_000;
    assert!(longest <= soon, "{longest} {soon}");
}
