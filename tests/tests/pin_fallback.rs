//! `pin --fallback`: an address moves to a second device when the first loses its link, and back.

use std::{
    collections::BTreeSet,
    fs,
    net::Ipv4Addr,
    thread,
    time::{Duration, Instant},
};

use arpguard_common::wire::Mac;
use arpguard_tests::{
    arp::{self, Frame},
    flux::{CLIENT, Flux},
    http,
    kernel::tc_hook,
    lab::{self, Namespace, fewer},
    running::{Agent, Directory, eventually, logging},
};
use nix::sys::signal::Signal;

const IP: Ipv4Addr = Ipv4Addr::new(192, 168, 18, 100);
/// Numbers of the devices of the container host.
const ETH0: usize = 0;
const ETH3: usize = 1;
const ETH4: usize = 2;
/// How often the client asks.
const INTERVAL: Duration = Duration::from_millis(10);

/// A host with an address that may be on three devices.
fn host() -> Flux {
    let flux = Flux::container_host();
    flux.host.sh(&format!("ip addr add {IP}/32 dev eth0"));
    flux
}

/// The line of `list` about the address, without what only depends on the widths of columns.
fn listed(host: &Namespace) -> String {
    let list = host.guard("list");
    let line = list.lines().find(|line| line.contains("192.168.18.100 "));
    let words = line.unwrap_or_default().split_whitespace();
    words.collect::<Vec<_>>().join(" ")
}

fn is_at(host: &Namespace, device: &str) -> bool {
    listed(host).split(' ').nth(2) == Some(device)
}

const HOME: &str = "pin 192.168.18.100 eth3 auto fallback eth4 hold 1";

/// What is said of `ip` at `mac`: a request and a reply.
fn announcements(mac: Mac, ip: Ipv4Addr) -> [Frame; 2] {
    let reply = Frame {
        tha: mac,
        ..arp::announcing_reply(mac, ip)
    };
    [arp::announcement(mac, ip), reply]
}

fn now_heard(flux: &Flux) -> Vec<Frame> {
    let frames = flux.ears.drain();
    frames
        .iter()
        .filter_map(|frame| Frame::read(frame))
        .collect()
}

/// Waits until the address is announced at `mac`, which may be `heard` already. It is answered for a
/// moment before.
fn announced_at(flux: &Flux, mac: Mac, mut heard: Vec<Frame>) {
    eventually("it is announced", || {
        heard.extend(now_heard(flux));
        let announcements = announcements(mac, IP);
        announcements.iter().all(|frame| heard.contains(frame))
    });
}

/// Asks for the address until `mac` answers: how many requests were sent before that one, and what
/// was heard.
fn ask_until(flux: &Flux, mac: Mac) -> (usize, Vec<Frame>) {
    let mut heard = Vec::new();
    for asked in 0..2000 {
        flux.ears
            .send(&arp::request(CLIENT, flux.client, IP).bytes());
        thread::sleep(INTERVAL);
        heard.extend(now_heard(flux));
        let answer = arp::reply(mac, IP, CLIENT, flux.client);
        if heard.contains(&answer) {
            return (asked, heard);
        }
    }
    panic!("{mac} never answers");
}

#[test]
fn the_client_sees_a_move_within_a_second_of_the_loss_and_the_way_back() {
    let flux = host();
    flux.host
        .guard(&format!("pin {IP} --dev eth3 --fallback eth4 --hold 1"));
    let _agent = Agent::start(&flux.host, &[]);
    let macs = [ETH3, ETH4].map(|nic| flux.nics[nic].mac);
    let mut lost = Vec::new();
    for _ in 0..5 {
        ask_until(&flux, macs[0]);
        flux.resolve(IP);
        flux.unplug(ETH3);
        let (asked, heard) = ask_until(&flux, macs[1]);
        lost.push(asked);
        announced_at(&flux, macs[1], heard);
        // A client that has an entry takes the announcement.
        let entry = flux
            .client_host
            .sh(&format!("ip neigh show to {IP} dev eth0"));
        assert!(entry.contains(&macs[1].to_string()), "{entry}");
        flux.plug(ETH3);
        let (_, heard) = ask_until(&flux, macs[0]);
        announced_at(&flux, macs[0], heard);
    }
    lost.sort_unstable();
    println!("requests without an answer, {INTERVAL:?} apart: {lost:?}");
    assert!(lost[2] < 100, "{lost:?}");
}

/// The address of the device that loses its link is answered for by the other: unless the kernel is
/// told not to, which the command tells with what mends it.
#[test]
fn what_the_lost_device_has_is_answered_on_the_other() {
    let flux = Flux::container_host();
    let host = &flux.host;
    host.sh(&format!("ip addr add {IP}/32 dev eth3"));
    let macs = [ETH3, ETH4].map(|nic| flux.nics[nic].mac);
    let _agent = Agent::start(host, &[]);
    eventually("the agent is there", || {
        host.guard("status").contains("eth4")
    });
    let pin = format!("pin {IP} --dev eth3 --fallback eth4 --hold 0");
    for (setting, value, remark) in [
        ("arp_ignore", "0", ""),
        (
            "arp_ignore",
            "1",
            "arpguard: pin: on eth4 the kernel does not answer for what another device has \
             (arp_ignore=1), so nobody does while it is there: \
             sysctl -w net.ipv4.conf.eth4.arp_ignore=0\n",
        ),
        (
            "rp_filter",
            "1",
            "arpguard: pin: on eth4 the kernel hears only what it would reply to by eth4 \
             (rp_filter=1), and another device is in the same subnet: pin with --route, or \
             sysctl -w net.ipv4.conf.eth4.rp_filter=2\n",
        ),
    ] {
        host.set(&format!("net/ipv4/conf/eth4/{setting}"), value);
        let told = host.arpguard(&pin.split(' ').collect::<Vec<_>>());
        assert_eq!(told.told(), (Some(0), "", remark));
        eventually("it is at home", || is_at(host, "eth3"));
        ask_until(&flux, macs[0]);
        flux.unplug(ETH3);
        eventually("it moves", || is_at(host, "eth4"));
        if let Some((_, cure)) = remark.trim_end().rsplit_once("sysctl -w ") {
            // The control: it is as the command says.
            flux.ears.drain();
            flux.ears
                .send(&arp::request(CLIENT, flux.client, IP).bytes());
            thread::sleep(lab::unhurried(10 * INTERVAL));
            let heard = now_heard(&flux);
            let answers = heard
                .iter()
                .filter(|arp| arp.op == arp::REPLY && arp.tha == CLIENT);
            assert_eq!(answers.count(), 0, "{setting}: {heard:?}");
            host.sh(&format!("sysctl -qw {cure}"));
        }
        ask_until(&flux, macs[1]);
        flux.plug(ETH3);
        eventually("it is back", || is_at(host, "eth3"));
    }
}

/// How many addresses are hidden beside it.
const CROWD: u32 = 500_000;

#[test]
fn a_move_waits_for_no_other_rules() {
    let flux = host();
    let directory = Directory::new("crowd");
    let crowd = (0..fewer(CROWD)).map(|number| Ipv4Addr::from_bits(0x0a00_0000 + number));
    let crowd: Vec<_> = crowd.map(|ip| format!("'{ip}'")).collect();
    let text = format!(
        "[[hide]]\nip = [{}]\n[[pin]]\nip = '{IP}'\ndev = 'eth3'\nfallback = 'eth4'\nhold = 0\n",
        crowd.join(",\n")
    );
    let policy = directory.write("arpguard.toml", &text);
    let log = directory.file("log");
    let _agent = logging(&flux.host, &["--config", &policy], &log);
    eventually("all is in force", || {
        fs::read_to_string(&log).unwrap().contains("in force")
    });
    let macs = [ETH3, ETH4].map(|nic| flux.nics[nic].mac);
    ask_until(&flux, macs[0]);
    flux.unplug(ETH3);
    let (asked, heard) = ask_until(&flux, macs[1]);
    announced_at(&flux, macs[1], heard);
    assert!(
        asked < 100,
        "{asked} requests, {INTERVAL:?} apart, have no answer"
    );
}

#[test]
fn what_has_moved_is_shown_where_it_is_and_why() {
    let flux = host();
    let directory = Directory::new("moved");
    let text = format!(
        "[[pin]]\nip = '{IP}'\ndev = 'eth3'\nfallback = 'eth4'\nhold = 1\n\
         [[pin]]\nip = '192.168.18.11'\ndev = 'eth3'\n"
    );
    let policy = directory.write("arpguard.toml", &text);
    let plan = flux.host.guard(&format!("apply --dry-run {policy}"));
    let line = format!("+ pin {IP} sender auto dev eth3 fallback eth4 hold 1\n");
    assert!(plan.contains(&line), "{plan}");
    let log = directory.file("log");
    let _agent = logging(
        &flux.host,
        &["--config", &policy, "--metrics", "9817"],
        &log,
    );
    let logged = || fs::read_to_string(&log).unwrap();
    eventually("it is in force", || logged().contains("in force"));
    let metric = |number| {
        let line = format!("arpguard_pins_moved{{device=\"eth3\",fallback=\"eth4\"}} {number}\n");
        http::get(&flux.host, "/metrics").body.contains(&line)
    };
    eventually("none has moved", || metric(0));

    flux.host.sh("ip link set eth3 down");
    eventually("it moves", || is_at(&flux.host, "eth4"));
    let table = "\
POLICY  ADDRESS         DEVICE  SENDER  OPTIONS
pin     192.168.18.11   eth3    auto    -
pin     192.168.18.100  eth4    auto    fallback eth4 hold 1 (moved from eth3: down)
";
    assert_eq!(flux.host.guard("list"), table);
    let json = r#"[
  {"policy":"pin","address":"192.168.18.11/32","device":"eth3","rip":"auto","shield":false,"audit":false,"same_subnet":false,"promoted":false,"mac":null,"when":null,"forced":false},
  {"policy":"pin","address":"192.168.18.100/32","device":"eth4","rip":"auto","shield":false,"audit":false,"same_subnet":false,"promoted":false,"mac":null,"when":null,"forced":false,"home":{"device":"eth3","fallback":"eth4","hold":1,"route":false,"moved":"down"}}
]
"#;
    assert_eq!(flux.host.guard("-o json list"), json);
    let status = flux.host.guard("status");
    assert_eq!(
        status.lines().nth(2),
        Some("192.168.18.100 is on eth4, since eth3 is down"),
        "{status}"
    );
    let blocks = "
[[pin]]
ip = \"192.168.18.11\"
dev = \"eth3\"

[[pin]]
ip = \"192.168.18.100\"
dev = \"eth3\"
fallback = \"eth4\"
hold = 1
";
    let saved = flux.host.guard("save");
    assert!(saved.ends_with(blocks), "{saved}");
    let doctor = flux.host.guard("doctor");
    let finding = "\
warning  192.168.18.100: pinned to eth3, and now on eth4
         eth3 is down, and a second fault would leave it to nobody
";
    assert!(doctor.contains(finding), "{doctor}");
    assert!(doctor.contains("ip link set eth3 up\n"), "{doctor}");
    assert!(metric(1));
    assert_eq!(http::get(&flux.host, "/healthz").body, "ok\n");
    // Where the pin is, is the agent's business: the file says nothing else.
    let saved = directory.write("saved.toml", &saved);
    for file in [&policy, &saved] {
        let done = flux.host.guard(&format!("apply {file}"));
        assert_eq!(done, "nothing to do\n");
    }
    assert!(is_at(&flux.host, "eth4"));

    flux.host.sh("ip link set eth3 up");
    eventually("it is back", || is_at(&flux.host, "eth3"));
    assert!(metric(0));
    let log = logged();
    for line in [
        "INFO moving 192.168.18.100 from eth3 to eth4: eth3 is down\n",
        "INFO moving 192.168.18.100 from eth4 to eth3: eth3 has held its carrier\n",
    ] {
        assert!(log.contains(line), "{log}");
    }
    assert!(!log.contains("WARN"), "{log}");
}

/// Whose addresses were announced by `mac`.
fn announced(
    flux: &Flux,
    mac: Mac,
    ended: impl Fn(&BTreeSet<Ipv4Addr>) -> bool,
) -> BTreeSet<Ipv4Addr> {
    let mut seen = BTreeSet::new();
    eventually("the announcements", || {
        let frames = flux.ears.drain();
        let frames = frames.iter().filter_map(|frame| Frame::read(frame));
        let told = frames.filter(|arp| arp.sha == mac && arp.spa == arp.tpa);
        seen.extend(told.map(|arp| arp.spa));
        ended(&seen)
    });
    seen
}

#[test]
fn of_a_prefix_what_is_owned_or_proxied_is_announced() {
    let flux = host();
    // Pinned elsewhere by a rule of its own.
    flux.host.sh("ip addr add 192.168.18.99/32 dev eth0");
    flux.host.guard("pin 192.168.18.99 --dev eth0");
    flux.host
        .guard("pin 192.168.18.96/28 --dev eth3 --fallback eth4");
    flux.host.guard("pin 192.168.18.12 --dev eth4");
    let _agent = Agent::start(&flux.host, &[]);
    let last: Vec<Ipv4Addr> = [100, 101, 102]
        .map(|last| [192, 168, 18, last].into())
        .to_vec();
    let all: BTreeSet<_> = last.into_iter().collect();
    let macs = [ETH3, ETH4].map(|nic| flux.nics[nic].mac);
    // The agent starts by telling where they are.
    assert_eq!(announced(&flux, macs[0], |seen| *seen == all), all);
    flux.unplug(ETH3);
    assert_eq!(announced(&flux, macs[1], |seen| *seen == all), all);
    for container in [0, 1] {
        assert!(flux.reaches_container(container));
    }
    for ip in &all {
        assert_eq!(flux.resolve(*ip), macs[1].to_string());
    }
}

/// Each of two pins has a home of its own, and both have the same fallback.
#[test]
fn one_that_returns_leaves_what_is_still_told_of_another() {
    const OTHER: Ipv4Addr = Ipv4Addr::new(192, 168, 18, 99);
    const TIMES: usize = 5;
    let flux = host();
    flux.host.sh(&format!("ip addr add {OTHER}/32 dev eth0"));
    flux.host
        .guard(&format!("pin {IP} --dev eth3 --fallback eth4 --hold 0"));
    flux.host
        .guard(&format!("pin {OTHER} --dev eth0 --fallback eth4 --hold 60"));
    let at = |ip: Ipv4Addr, device: &str| {
        let list = flux.host.guard("list");
        let mut lines = list.lines().map(|line| line.split_whitespace());
        lines.any(|line| {
            let words: Vec<_> = line.skip(1).take(2).collect();
            words == [ip.to_string().as_str(), device]
        })
    };
    let _agent = Agent::start(&flux.host, &[]);
    let announcement = arp::announcement(flux.nics[ETH4].mac, OTHER);
    flux.unplug(ETH3);
    eventually("the one moves", || at(IP, "eth4"));
    flux.unplug(ETH0);
    eventually("the other moves", || at(OTHER, "eth4"));
    flux.plug(ETH3);
    eventually("the one is back", || at(IP, "eth3"));
    let mut told = 0;
    eventually("the other is announced as often as is due", || {
        let heard = now_heard(&flux);
        told += heard.iter().filter(|frame| **frame == announcement).count();
        told >= TIMES
    });
}

#[test]
fn an_agent_that_was_killed_is_followed_by_one_that_corrects() {
    let flux = host();
    flux.host
        .guard(&format!("pin {IP} --dev eth3 --fallback eth4 --hold 1"));
    let macs = [ETH3, ETH4].map(|nic| flux.nics[nic].mac);
    for _ in 0..3 {
        let agent = Agent::start(&flux.host, &[]);
        eventually("it is at home", || is_at(&flux.host, "eth3"));
        // Before, in the middle of, or after the move.
        flux.unplug(ETH3);
        assert!(!agent.end(Signal::SIGKILL).success());
        flux.ears.drain();
        let agent = Agent::start(&flux.host, &[]);
        let one = BTreeSet::from([IP]);
        assert_eq!(announced(&flux, macs[1], |seen| *seen == one), one);
        assert!(is_at(&flux.host, "eth4"));
        assert!(!agent.end(Signal::SIGKILL).success());
        // While none runs, it stays.
        flux.plug(ETH3);
        assert!(is_at(&flux.host, "eth4"));
        let agent = Agent::start(&flux.host, &[]);
        assert_eq!(announced(&flux, macs[0], |seen| *seen == one), one);
        assert_eq!(agent.end(Signal::SIGTERM).code(), Some(0));
    }
}

#[test]
fn with_both_links_lost_it_stays_put_and_a_device_may_come_anew() {
    let flux = host();
    flux.host
        .guard(&format!("pin {IP} --dev eth3 --fallback eth4 --hold 1"));
    let directory = Directory::new("both");
    let log = directory.file("log");
    let _agent = logging(&flux.host, &[], &log);
    eventually("it is in force", || {
        fs::read_to_string(&log).unwrap().contains("in force")
    });
    flux.unplug(ETH4);
    flux.unplug(ETH3);
    let lost = |device: &str| {
        let shown = flux.host.sh(&format!("ip link show dev {device}"));
        shown.contains("NO-CARRIER")
    };
    eventually("both links are lost", || lost("eth3") && lost("eth4"));
    // A device that is new is guarded in a later turn.
    flux.host.sh("ip link add eth7 type veth peer name eth8");
    eventually("the agent has looked", || {
        let status = flux.host.guard("status");
        status
            .lines()
            .any(|line| line.starts_with("eth8 ") && line.contains(tc_hook()))
    });
    assert_eq!(listed(&flux.host), HOME);
    flux.plug(ETH4);
    eventually("it moves", || is_at(&flux.host, "eth4"));

    flux.host.sh("ip link del eth3");
    eventually("its device is gone", || {
        listed(&flux.host).ends_with("(moved from eth3: gone)")
    });
    let mac = flux.nics[ETH3].mac;
    flux.segment
        .attach(&flux.host, "eth3", mac, &["192.168.18.11/24"]);
    eventually("it is back", || listed(&flux.host) == HOME);
    ask_until(&flux, mac);
    flux.host.sh("ip link del eth3");
    eventually("it moves again", || is_at(&flux.host, "eth4"));
    ask_until(&flux, flux.nics[ETH4].mac);
}

const NOBODY: &str =
    "arpguard: pin: it is pinned, and stays where it is until `arpguard run` moves it\n";

#[test]
fn what_commands_say_is_remembered_until_they_say_otherwise() {
    let flux = host();
    let host = &flux.host;
    let pin = format!("pin {IP} --dev eth3 --fallback eth4 --hold 1");
    let told = |line: &str| {
        let output = host.arpguard(&line.split(' ').collect::<Vec<_>>());
        assert!(output.success(), "{output}");
        (output.stdout, output.stderr)
    };
    assert_eq!(told(&pin), (String::new(), NOBODY.to_owned()));
    host.guard("pin 192.168.18.11 --dev eth3");
    let directory = Directory::new("by-hand");
    let policy = directory.write("arpguard.toml", "[[hide]]\nip = '192.168.18.103'\n");
    // With a file, the agent keeps what a file cannot have moved; without one, everything.
    for (arguments, other) in [(&["--config", &*policy][..], "192.168.18.103"), (&[], "")] {
        host.guard("pin 192.168.18.11 --dev eth3");
        let agent = Agent::start(host, arguments);
        eventually("the agent is there", || {
            told(&pin).1.is_empty() && host.guard("list").contains(other)
        });
        flux.unplug(ETH3);
        eventually("it moves", || is_at(host, "eth4"));
        let kept = host.guard("list").contains("192.168.18.11 ");
        assert_eq!(kept, arguments.is_empty());
        flux.plug(ETH3);
        eventually("it is back", || is_at(host, "eth3"));
        agent.end(Signal::SIGTERM);
    }
    // Forgotten while it is moved, too.
    host.guard("unpin 192.168.18.11");
    host.guard("unhide 192.168.18.103");
    let _agent = Agent::start(host, &[]);
    flux.unplug(ETH3);
    eventually("it moves", || is_at(host, "eth4"));
    host.guard(&format!("unpin {IP}"));
    assert_eq!(host.guard("list"), "no policy is in force here\n");
    flux.plug(ETH3);
    host.guard(&pin);
    let other = format!("pin {IP} --dev eth0");
    host.guard(&other);
    assert_eq!(listed(host), format!("pin {IP} eth0 auto -"));
    let empty = directory.write("empty.toml", "# nothing\n");
    host.guard(&pin);
    host.guard(&format!("apply {empty}"));
    assert_eq!(host.guard("list"), "no policy is in force here\n");
}

#[test]
fn what_makes_no_sense_is_told_in_one_line_and_changes_nothing() {
    let flux = host();
    flux.host.guard("hide 192.168.18.103 --dev eth4");
    let before = flux.host.guard("list");
    for (line, status, message) in [
        (
            "pin 192.168.18.100 --dev eth3 --hold 3",
            2,
            "read the arguments: --fallback IF: it is required; see `arpguard pin --help`",
        ),
        (
            "pin 192.168.18.100 --dev eth3 --fallback eth4 --hold -1",
            2,
            "read the arguments: -1: there is no such option; see `arpguard pin --help`",
        ),
        (
            "pin 192.168.18.100 --dev eth3 --fallback eth4 --hold 86401",
            2,
            "read the arguments: --hold 86401: 86401 is not in 0..=86400; see `arpguard pin --help`",
        ),
        (
            "pin 192.168.18.100 --dev eth3 --fallback eth3",
            2,
            "pin: eth3: it is the device itself; name another as --fallback",
        ),
        (
            "pin 192.168.18.100 --dev eth3 --fallback eth7",
            1,
            "find the device: eth7: there is no such device; \
             there are lo, eth0, eth3, eth4, c101, c102",
        ),
        (
            "pin 192.168.18.100 --dev eth3 --fallback lo",
            1,
            "guard: lo: it is the loopback device, which speaks no ARP",
        ),
        (
            "pin 192.168.18.103 --dev eth3 --fallback eth4",
            1,
            "pin: 192.168.18.103: it is hidden on eth4; `arpguard unhide 192.168.18.103` first",
        ),
    ] {
        let output = flux.host.arpguard(&line.split(' ').collect::<Vec<_>>());
        let told = (output.status.code(), output.stdout, output.stderr);
        let expected = (
            Some(status),
            String::new(),
            format!("arpguard: {message}\n"),
        );
        assert_eq!(told, expected, "{line}");
        assert_eq!(flux.host.guard("list"), before);
    }
}

#[test]
fn a_link_that_flaps_has_to_hold_anew() {
    let flux = host();
    let policy = format!("pin {IP} --dev eth3 --fallback eth4 --hold 2");
    flux.host.guard(&policy);
    let _agent = Agent::start(&flux.host, &[]);
    flux.unplug(ETH3);
    eventually("it moves", || is_at(&flux.host, "eth4"));
    // For longer than it has to hold.
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(3) {
        flux.plug(ETH3);
        thread::sleep(Duration::from_millis(50));
        flux.unplug(ETH3);
        assert!(is_at(&flux.host, "eth4"));
    }
    let (began, mut told) = (Instant::now(), false);
    flux.plug(ETH3);
    loop {
        let stays = is_at(&flux.host, "eth4");
        if began.elapsed() >= Duration::from_secs(2) {
            break;
        }
        assert!(stays, "it has not held for as long as it has to");
        told |= listed(&flux.host).ends_with("(moved from eth3: up again, and has to hold)");
    }
    assert!(told, "it is told why");
    eventually("it is back", || is_at(&flux.host, "eth3"));
}
