//! What the agent serves by HTTP is what the kernel has at that moment.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    fmt::Write as _,
    fs::{self, File},
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Ipv4Addr, TcpListener},
    process::{Child, Stdio},
    thread,
    time::{SystemTime, UNIX_EPOCH},
};

use arpguard_common::wire::Mac;
use arpguard_tests::{
    arp::{self, Frame},
    http::{Answer, PORT, answer, ask, connect, fault, get},
    lab::{Namespace, Port, arpguard},
    running::{Agent, Directory, eventually},
    server::{pins, real_server},
};
use nix::{
    fcntl::{Flock, FlockArg},
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

const CLIENT: Mac = Mac([2, 0, 0, 0, 0, 0x81]);
const CLIENT_IP: Ipv4Addr = Ipv4Addr::new(192, 168, 18, 129);
const VIP: Ipv4Addr = Ipv4Addr::new(192, 168, 18, 101);
const RIP: Ipv4Addr = Ipv4Addr::new(192, 168, 18, 10);
const POLICY: &str = "[[hide]]\nip = [\"192.168.18.101\", \"192.168.19.0/24\"]\n";

fn is_well(server: &Namespace) -> bool {
    fault(server).is_none()
}

/// The value of a series, by its name and labels.
fn value(server: &Namespace, series: &str) -> u64 {
    let Answer { body, .. } = get(server, "/metrics");
    let mut lines = body.lines().filter_map(|line| line.strip_prefix(series));
    let value = lines.find_map(|rest| rest.strip_prefix(' '));
    value
        .unwrap_or_else(|| panic!("no {series} in {body}"))
        .parse()
        .unwrap()
}

fn seconds() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap().as_secs()
}

#[test]
fn metrics_are_those_of_the_kernel() {
    let (server, peer) = real_server();
    server.sh("ip addr add 192.168.18.101/32 dev lo");
    let directory = Directory::new("metrics");
    let policy = directory.write("arpguard.toml", POLICY);
    let before = seconds();
    let _agent = Agent::start(&server, &["--config", &policy, "--metrics", "9817"]);
    eventually("the policy is in force", || is_well(&server));
    let after = seconds();

    let port = Port::open(&peer, "eth0");
    for _ in 0..3 {
        port.send(&arp::request(CLIENT, CLIENT_IP, VIP).bytes());
    }
    port.send(&arp::probe(CLIENT, VIP).bytes());
    port.send(&arp::request(CLIENT, CLIENT_IP, RIP).bytes());
    port.until(|frame| Frame::read(frame).is_some_and(|arp| arp.spa == RIP));

    let status: Value = serde_json::from_str(&server.guard("-o json status")).unwrap();
    let device = &status["devices"][0];
    let (ingress, egress) = (&device["ingress"], &device["egress"]);
    let Answer {
        status,
        headers,
        body,
    } = get(&server, "/metrics");
    assert_eq!(status, "HTTP/1.1 200 OK");
    let kind = "content-type: text/plain; version=0.0.4; charset=utf-8";
    assert!(headers.lines().any(|line| line == kind), "{headers}");
    let at = value(&server, "arpguard_last_reload_success_timestamp_seconds");
    assert!((before..=after).contains(&at));
    let version = server.guard("--version");
    let version = version.trim_start_matches("arpguard ").trim();
    let expected = format!(
        r#"# HELP arpguard_frames_total ARP frames by what was done to them, or under audit would have been.
# TYPE arpguard_frames_total counter
arpguard_frames_total{{device="eth0",policy="hide",mode="enforce",reason="hidden_request",outcome="dropped"}} 3
arpguard_frames_total{{device="eth0",policy="hide",mode="enforce",reason="hidden_probe",outcome="dropped"}} 1
arpguard_frames_total{{device="eth0",policy="hide",mode="enforce",reason="shielded_claim",outcome="dropped"}} 0
arpguard_frames_total{{device="eth0",policy="hide",mode="enforce",reason="martian_request",outcome="answered"}} 0
arpguard_frames_total{{device="eth0",policy="hide",mode="enforce",reason="flip_flop",outcome="noted"}} 0
arpguard_frames_total{{device="eth0",policy="hide",mode="enforce",reason="leaking_request",outcome="rewritten"}} 0
arpguard_frames_total{{device="eth0",policy="hide",mode="enforce",reason="no_rip",outcome="dropped"}} 0
arpguard_frames_total{{device="eth0",policy="hide",mode="enforce",reason="leaking_announcement",outcome="dropped"}} 0
arpguard_frames_total{{device="eth0",policy="hide",mode="enforce",reason="leaking_reply",outcome="dropped"}} 0
arpguard_frames_total{{device="eth0",policy="hide",mode="enforce",reason="leaking_probe",outcome="dropped"}} 0
arpguard_frames_total{{device="eth0",policy="hide",mode="audit",reason="hidden_request",outcome="dropped"}} 0
arpguard_frames_total{{device="eth0",policy="hide",mode="audit",reason="hidden_probe",outcome="dropped"}} 0
arpguard_frames_total{{device="eth0",policy="hide",mode="audit",reason="shielded_claim",outcome="dropped"}} 0
arpguard_frames_total{{device="eth0",policy="hide",mode="audit",reason="martian_request",outcome="answered"}} 0
arpguard_frames_total{{device="eth0",policy="hide",mode="audit",reason="flip_flop",outcome="noted"}} 0
arpguard_frames_total{{device="eth0",policy="hide",mode="audit",reason="leaking_request",outcome="rewritten"}} 0
arpguard_frames_total{{device="eth0",policy="hide",mode="audit",reason="no_rip",outcome="dropped"}} 0
arpguard_frames_total{{device="eth0",policy="hide",mode="audit",reason="leaking_announcement",outcome="dropped"}} 0
arpguard_frames_total{{device="eth0",policy="hide",mode="audit",reason="leaking_reply",outcome="dropped"}} 0
arpguard_frames_total{{device="eth0",policy="hide",mode="audit",reason="leaking_probe",outcome="dropped"}} 0
arpguard_frames_total{{device="eth0",policy="pin",mode="enforce",reason="hidden_request",outcome="dropped"}} 0
arpguard_frames_total{{device="eth0",policy="pin",mode="enforce",reason="hidden_probe",outcome="dropped"}} 0
arpguard_frames_total{{device="eth0",policy="pin",mode="enforce",reason="martian_request",outcome="answered"}} 0
arpguard_frames_total{{device="eth0",policy="pin",mode="enforce",reason="flip_flop",outcome="noted"}} 0
arpguard_frames_total{{device="eth0",policy="pin",mode="enforce",reason="leaking_request",outcome="rewritten"}} 0
arpguard_frames_total{{device="eth0",policy="pin",mode="enforce",reason="no_rip",outcome="dropped"}} 0
arpguard_frames_total{{device="eth0",policy="pin",mode="enforce",reason="leaking_announcement",outcome="dropped"}} 0
arpguard_frames_total{{device="eth0",policy="pin",mode="enforce",reason="leaking_reply",outcome="dropped"}} 0
arpguard_frames_total{{device="eth0",policy="pin",mode="enforce",reason="leaking_probe",outcome="dropped"}} 0
arpguard_frames_total{{device="eth0",policy="pin",mode="audit",reason="hidden_request",outcome="dropped"}} 0
arpguard_frames_total{{device="eth0",policy="pin",mode="audit",reason="hidden_probe",outcome="dropped"}} 0
arpguard_frames_total{{device="eth0",policy="pin",mode="audit",reason="martian_request",outcome="answered"}} 0
arpguard_frames_total{{device="eth0",policy="pin",mode="audit",reason="flip_flop",outcome="noted"}} 0
arpguard_frames_total{{device="eth0",policy="pin",mode="audit",reason="leaking_request",outcome="rewritten"}} 0
arpguard_frames_total{{device="eth0",policy="pin",mode="audit",reason="no_rip",outcome="dropped"}} 0
arpguard_frames_total{{device="eth0",policy="pin",mode="audit",reason="leaking_announcement",outcome="dropped"}} 0
arpguard_frames_total{{device="eth0",policy="pin",mode="audit",reason="leaking_reply",outcome="dropped"}} 0
arpguard_frames_total{{device="eth0",policy="pin",mode="audit",reason="leaking_probe",outcome="dropped"}} 0
arpguard_frames_total{{device="eth0",policy="strict",mode="enforce",reason="foreign_request",outcome="dropped"}} 0
arpguard_frames_total{{device="eth0",policy="strict",mode="enforce",reason="foreign_probe",outcome="dropped"}} 0
arpguard_frames_total{{device="eth0",policy="strict",mode="enforce",reason="wrong_subnet",outcome="dropped"}} 0
arpguard_frames_total{{device="eth0",policy="strict",mode="enforce",reason="leaking_request",outcome="rewritten"}} 0
arpguard_frames_total{{device="eth0",policy="strict",mode="enforce",reason="no_rip",outcome="dropped"}} 0
arpguard_frames_total{{device="eth0",policy="strict",mode="enforce",reason="leaking_announcement",outcome="dropped"}} 0
arpguard_frames_total{{device="eth0",policy="strict",mode="enforce",reason="leaking_reply",outcome="dropped"}} 0
arpguard_frames_total{{device="eth0",policy="strict",mode="audit",reason="foreign_request",outcome="dropped"}} 0
arpguard_frames_total{{device="eth0",policy="strict",mode="audit",reason="foreign_probe",outcome="dropped"}} 0
arpguard_frames_total{{device="eth0",policy="strict",mode="audit",reason="wrong_subnet",outcome="dropped"}} 0
arpguard_frames_total{{device="eth0",policy="strict",mode="audit",reason="leaking_request",outcome="rewritten"}} 0
arpguard_frames_total{{device="eth0",policy="strict",mode="audit",reason="no_rip",outcome="dropped"}} 0
arpguard_frames_total{{device="eth0",policy="strict",mode="audit",reason="leaking_announcement",outcome="dropped"}} 0
arpguard_frames_total{{device="eth0",policy="strict",mode="audit",reason="leaking_reply",outcome="dropped"}} 0
arpguard_frames_total{{device="eth0",policy="answer",mode="enforce",reason="answered_request",outcome="answered"}} 0
arpguard_frames_total{{device="eth0",policy="answer",mode="enforce",reason="deferred_request",outcome="deferred"}} 0
arpguard_frames_total{{device="eth0",policy="answer",mode="enforce",reason="contested_request",outcome="dropped"}} 0
arpguard_frames_total{{device="eth0",policy="answer",mode="enforce",reason="flip_flop",outcome="noted"}} 0
arpguard_frames_total{{device="eth0",policy="answer",mode="audit",reason="answered_request",outcome="answered"}} 0
arpguard_frames_total{{device="eth0",policy="answer",mode="audit",reason="deferred_request",outcome="deferred"}} 0
arpguard_frames_total{{device="eth0",policy="answer",mode="audit",reason="contested_request",outcome="dropped"}} 0
arpguard_frames_total{{device="eth0",policy="answer",mode="audit",reason="flip_flop",outcome="noted"}} 0
arpguard_frames_total{{device="eth0",policy="bind",mode="enforce",reason="false_claim",outcome="dropped"}} 0
arpguard_frames_total{{device="eth0",policy="bind",mode="audit",reason="false_claim",outcome="dropped"}} 0
arpguard_frames_total{{device="eth0",policy="none",mode="none",reason="permitted",outcome="passed"}} 2
arpguard_frames_total{{device="eth0",policy="none",mode="none",reason="unparsed",outcome="passed"}} 0
# HELP arpguard_events_suppressed_total Events that `arpguard monitor` was not told, since they exceeded its rate.
# TYPE arpguard_events_suppressed_total counter
arpguard_events_suppressed_total{{device="eth0",policy="hide",mode="enforce"}} 0
arpguard_events_suppressed_total{{device="eth0",policy="hide",mode="audit"}} 0
arpguard_events_suppressed_total{{device="eth0",policy="pin",mode="enforce"}} 0
arpguard_events_suppressed_total{{device="eth0",policy="pin",mode="audit"}} 0
arpguard_events_suppressed_total{{device="eth0",policy="strict",mode="enforce"}} 0
arpguard_events_suppressed_total{{device="eth0",policy="strict",mode="audit"}} 0
arpguard_events_suppressed_total{{device="eth0",policy="answer",mode="enforce"}} 0
arpguard_events_suppressed_total{{device="eth0",policy="answer",mode="audit"}} 0
arpguard_events_suppressed_total{{device="eth0",policy="bind",mode="enforce"}} 0
arpguard_events_suppressed_total{{device="eth0",policy="bind",mode="audit"}} 0
arpguard_events_suppressed_total{{device="eth0",policy="none",mode="none"}} 0
# HELP arpguard_events_lost_total Events that `arpguard monitor` was not told, since it did not read them fast enough.
# TYPE arpguard_events_lost_total counter
arpguard_events_lost_total{{device="eth0",policy="hide",mode="enforce"}} 0
arpguard_events_lost_total{{device="eth0",policy="hide",mode="audit"}} 0
arpguard_events_lost_total{{device="eth0",policy="pin",mode="enforce"}} 0
arpguard_events_lost_total{{device="eth0",policy="pin",mode="audit"}} 0
arpguard_events_lost_total{{device="eth0",policy="strict",mode="enforce"}} 0
arpguard_events_lost_total{{device="eth0",policy="strict",mode="audit"}} 0
arpguard_events_lost_total{{device="eth0",policy="answer",mode="enforce"}} 0
arpguard_events_lost_total{{device="eth0",policy="answer",mode="audit"}} 0
arpguard_events_lost_total{{device="eth0",policy="bind",mode="enforce"}} 0
arpguard_events_lost_total{{device="eth0",policy="bind",mode="audit"}} 0
arpguard_events_lost_total{{device="eth0",policy="none",mode="none"}} 0
# HELP arpguard_device_info A guarded device, and the hooks where its received and sent frames are judged.
# TYPE arpguard_device_info gauge
arpguard_device_info{{device="eth0",ingress={ingress},egress={egress}}} 1
# HELP arpguard_rules Rules in the kernel, by what they are about and the devices they hold on.
# TYPE arpguard_rules gauge
arpguard_rules{{about="address",devices="every"}} 1
arpguard_rules{{about="address",devices="one"}} 0
arpguard_rules{{about="prefix",devices="every"}} 1
arpguard_rules{{about="prefix",devices="one"}} 0
# HELP arpguard_pins_moved Pins that are on their fallback, since their device has no carrier.
# TYPE arpguard_pins_moved gauge
# HELP arpguard_promoted_addresses Hidden addresses that this host is the director of for the time being.
# TYPE arpguard_promoted_addresses gauge
arpguard_promoted_addresses 0
# HELP arpguard_policy_in_force Whether the kernel has all of the declared policy.
# TYPE arpguard_policy_in_force gauge
arpguard_policy_in_force 1
# HELP arpguard_last_reload_successful Whether the policy could be read when it was last tried.
# TYPE arpguard_last_reload_successful gauge
arpguard_last_reload_successful 1
# HELP arpguard_last_reload_success_timestamp_seconds When the policy could be read last.
# TYPE arpguard_last_reload_success_timestamp_seconds gauge
arpguard_last_reload_success_timestamp_seconds {at}
# HELP arpguard_build_info The version of the agent.
# TYPE arpguard_build_info gauge
arpguard_build_info{{version="{version}"}} 1
"#
    );
    assert_eq!(body, expected);

    let page = include_str!("../../docs/agent.md");
    let rows = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `arpguard_"));
    let documented: Vec<_> = rows
        .filter_map(|row| Some(row.split_once("` | ")?.0))
        .collect();
    let heads = body
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE arpguard_"));
    let served: Vec<_> = heads
        .filter_map(|head| Some(head.split_once(' ')?.0))
        .collect();
    assert_eq!(documented, served);
}

#[test]
fn only_two_pages_are_served_and_only_to_be_read() {
    let (server, _peer) = real_server();
    let _agent = Agent::start(&server, &["--hide", "192.168.18.101", "--metrics", ":9817"]);
    eventually("the policy is in force", || is_well(&server));
    for path in ["/metrics", "/healthz"] {
        let head = ask(&server, "HEAD", path).unwrap();
        assert_eq!(
            (head.status.as_str(), head.body.as_str()),
            ("HTTP/1.1 200 OK", "")
        );
        let post = ask(&server, "POST", path).unwrap();
        assert_eq!(post.status, "HTTP/1.1 405 Method Not Allowed");
        assert!(post.headers.contains("allow: GET, HEAD"), "{post:?}");
    }
    for path in ["/", "/metrics/", "/healthz/x"] {
        assert_eq!(get(&server, path).status, "HTTP/1.1 404 Not Found");
    }
    // Nobody but this host is served unless told so.
    let listens = server.sh("ss -Hltn");
    let served: Vec<_> = listens.split_whitespace().nth(3).into_iter().collect();
    assert_eq!(served, ["127.0.0.1:9817"]);
}

/// Detaches what is attached to a device behind arpguard's back.
fn take_away(server: &Namespace, device: &str) {
    let links = pins(server).join("links");
    for link in fs::read_dir(links).unwrap() {
        fs::remove_file(link.unwrap().path()).unwrap();
    }
    // Before Linux 6.6 there is no link for the TC hook.
    let mut tc = server.command("tc");
    let qdisc = tc.args(["qdisc", "del", "dev", device, "clsact"]);
    qdisc.stderr(Stdio::null()).status().unwrap();
}

#[test]
fn health_is_that_of_the_kernel_and_of_the_last_reload() {
    let (server, _peer) = real_server();
    let directory = Directory::new("health");
    let policy = directory.write("arpguard.toml", POLICY);
    let agent = Agent::start(&server, &["--config", &policy, "--metrics", "9817"]);
    eventually("the policy is in force", || is_well(&server));

    let wanting = "1 rule is not as declared: first 192.168.18.101";
    let overruled =
        "192.168.19.0/24 is not treated as declared: a rule that is not declared says otherwise";
    for (command, why) in [
        ("unhide 192.168.18.101", wanting),
        ("hide 192.168.18.101 --audit", wanting),
        ("hide 192.168.19.7 --audit", overruled),
        ("flush", "2 rules are not as declared: first 192.168.18.101"),
        ("detach", "eth0 is not guarded as declared"),
    ] {
        // Until it has taken the last event that it had a part in, it may still put it right.
        eventually(command, || {
            server.arpguard(&command.split_whitespace().collect::<Vec<_>>());
            fault(&server).is_some_and(|told| told == why)
        });
        eventually("it is measured", || {
            value(&server, "arpguard_policy_in_force") == 0
        });
        assert_eq!(value(&server, "arpguard_last_reload_successful"), 1);
        agent.signal(Signal::SIGHUP);
        eventually("it is well again", || is_well(&server));
        eventually("it is measured", || {
            value(&server, "arpguard_policy_in_force") == 1
        });
    }

    // Hidden beside what is declared: nothing is missing.
    server.guard("hide 192.168.18.77");
    assert_eq!(fault(&server), None);

    // The programs of a device, taken away by hand.
    eventually("nothing is attached any more", || {
        take_away(&server, "eth0");
        let status: Value = serde_json::from_str(&server.guard("-o json status")).unwrap();
        let device = &status["devices"][0];
        // The kernel takes a link away some time after its last user has gone.
        device["ingress"].is_null() && device["egress"].is_null()
    });
    let told = fault(&server);
    assert_eq!(told.as_deref(), Some("eth0 is not guarded as declared"));
    agent.signal(Signal::SIGHUP);
    eventually("it is well again", || is_well(&server));

    let at = value(&server, "arpguard_last_reload_success_timestamp_seconds");
    directory.write("arpguard.toml", "[[hide]]\nip = \"192.168.18.1000\"\n");
    let why = format!("read the policy: {policy}:2:6: ");
    eventually("a file with an error is seen", || {
        fault(&server).is_some_and(|told| told.starts_with(&why))
    });
    assert_eq!(value(&server, "arpguard_policy_in_force"), 1);
    assert_eq!(value(&server, "arpguard_last_reload_successful"), 0);
    let last = value(&server, "arpguard_last_reload_success_timestamp_seconds");
    assert_eq!(last, at);
    directory.write("arpguard.toml", POLICY);
    eventually("it is well again", || is_well(&server));
    assert_eq!(value(&server, "arpguard_last_reload_successful"), 1);
}

#[test]
fn a_device_that_is_declared_and_not_there_is_a_fault_until_it_comes() {
    let (server, _peer) = real_server();
    let directory = Directory::new("absent");
    let text = "devices = [\"eth7\"]\n[[hide]]\nip = \"192.168.18.101\"\n";
    let policy = directory.write("arpguard.toml", text);
    let _agent = Agent::start(&server, &["--config", &policy, "--metrics", "9817"]);
    eventually("it serves", || connect(&server).is_some());
    let told = fault(&server).unwrap();
    assert!(told.contains("eth7"), "{told}");
    assert_eq!(value(&server, "arpguard_policy_in_force"), 0);
    server.sh("ip link add eth7 type veth peer name eth8");
    eventually("it is well", || is_well(&server));
}

/// A monitor whose output nobody reads, ended by hand.
fn monitor(server: &Namespace, rate: &str) -> Child {
    let mut command = server.command(arpguard());
    let child = command
        .args(["-o", "json", "monitor", "--rate", rate])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let listener = pins(server).join("monitor");
    eventually("somebody listens", || {
        let directory = File::open(&listener).unwrap();
        Flock::lock(directory, FlockArg::LockExclusiveNonblock).is_err()
    });
    child
}

#[test]
fn what_no_monitor_was_told_is_counted_for_good() {
    const FLOOD: u64 = 8000;
    let (server, peer) = real_server();
    let _agent = Agent::start(&server, &["--hide", "192.168.18.101", "--metrics", "9817"]);
    eventually("the policy is in force", || is_well(&server));
    let far = Port::open(&peer, "eth0");
    let frame = arp::request(CLIENT, CLIENT_IP, VIP).bytes();
    let of = r#"{device="eth0",policy="hide",mode="enforce"}"#;
    let dropped = r#"arpguard_frames_total{device="eth0",policy="hide",mode="enforce",reason="hidden_request",outcome="dropped"}"#;
    let flood = |frames: u64| {
        let before = value(&server, dropped);
        let mut sent = 0;
        // The queue of the device may be full.
        while sent < frames {
            sent += u64::from(far.try_send(&frame).is_ok());
        }
        eventually("all are judged", || {
            value(&server, dropped) == before + frames
        });
    };
    let now = || {
        ["suppressed", "lost"]
            .map(|word| value(&server, &format!("arpguard_events_{word}_total{of}")))
    };
    // At a low rate most are suppressed.
    let child = monitor(&server, "10");
    flood(FLOOD);
    let suppressed = left(child, "suppressed");
    assert_eq!(now(), [suppressed, 0]);
    // At a high one, those that find no room are lost. A line that is cut off is, too, but not by
    // the kernel.
    let child = monitor(&server, "1000000");
    flood(FLOOD);
    let lost = left(child, "lost");
    let [still_suppressed, lost_by_the_kernel] = now();
    assert_eq!(still_suppressed, suppressed);
    assert!(
        (1..=lost).contains(&lost_by_the_kernel),
        "{lost_by_the_kernel} of {lost}"
    );
    // Who listens next begins anew, and the totals do not.
    let child = monitor(&server, "1000000");
    assert_eq!(now(), [suppressed, lost_by_the_kernel]);
    left_nothing(child);
}

/// Ends a monitor, and gives how many events it says that it has not shown for this reason.
fn left(child: Child, reason: &str) -> u64 {
    let told = end(child);
    let number = told.split(&format!(" {reason}")).next().unwrap();
    let number = number.rsplit(' ').next().unwrap();
    number.parse().unwrap_or_else(|_| panic!("{told}"))
}

fn left_nothing(child: Child) {
    assert_eq!(end(child), "");
}

/// Ends a monitor; gives what it wrote to standard error.
fn end(mut child: Child) -> String {
    let out = child.stdout.take().unwrap();
    let reader = thread::spawn(move || BufReader::new(out).lines().count());
    let process = Pid::from_raw(child.id().try_into().unwrap());
    kill(process, Signal::SIGTERM).unwrap();
    child.wait().unwrap();
    reader.join().unwrap();
    let mut told = String::new();
    child.stderr.unwrap().read_to_string(&mut told).unwrap();
    told
}

#[test]
fn they_are_answered_while_a_command_holds_the_lock() {
    let (server, _peer) = real_server();
    let agent = Agent::start(&server, &["--hide", "192.168.18.101", "--metrics", "9817"]);
    eventually("the policy is in force", || is_well(&server));
    let home = pins(&server).parent().unwrap().to_owned();
    let lock = Flock::lock(File::open(home).unwrap(), FlockArg::LockExclusive).unwrap();
    server.sh("ip link add eth7 type veth peer name eth8");
    eventually("the new device is seen", || {
        fault(&server).is_some_and(|told| told.ends_with("is not guarded as declared"))
    });
    assert_eq!(value(&server, "arpguard_policy_in_force"), 0);
    agent.signal(Signal::SIGHUP);
    assert!(fault(&server).is_some());
    // It ends without the lock, too.
    assert!(agent.end(Signal::SIGTERM).success());
    drop(lock);
}

#[test]
fn clients_that_are_slow_or_ask_too_much_are_in_nobodys_way() {
    let (server, _peer) = real_server();
    let agent = Agent::start(&server, &["--hide", "192.168.18.101", "--metrics", "9817"]);
    eventually("the policy is in force", || is_well(&server));
    let mut silent: Vec<_> = (0..80).map(|_| connect(&server).unwrap()).collect();
    for stream in silent.iter_mut().step_by(2) {
        // It may have been cut off already.
        let _ = stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: ");
    }
    let open = agent.sockets();
    assert!(open < 60, "{open}");
    assert_eq!(fault(&server), None);
    drop(silent);

    let mut huge = connect(&server).unwrap();
    let mut head = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n".to_owned();
    for number in 0..1000 {
        write!(head, "X-{number}: {}\r\n", "x".repeat(100)).unwrap();
    }
    // It may be cut off before all is written.
    let _ = huge.write_all(head.as_bytes());
    let mut told = [0; 12];
    huge.read_exact(&mut told).unwrap();
    assert_eq!(&told, b"HTTP/1.1 431");
    let mut nonsense = connect(&server).unwrap();
    nonsense
        .write_all(b"\x16\x03\x01\x02\x00\x01\r\n\r\n")
        .unwrap();
    assert_eq!(answer(nonsense).status, "HTTP/1.1 400 Bad Request");
    assert_eq!(fault(&server), None);
}

#[test]
fn an_address_that_cannot_be_served_at_is_told_at_once() {
    let (server, _peer) = real_server();
    let start =
        |metrics: &str| server.arpguard(&["run", "--hide", "192.168.18.101", "--metrics", metrics]);
    let _taken = server.enter(|| TcpListener::bind((Ipv4Addr::LOCALHOST, PORT)).unwrap());
    for (metrics, told) in [
        (
            "9817",
            "arpguard: serve metrics: 127.0.0.1:9817: Address already in use; see who listens \
             there: ss -ltnp\n",
        ),
        (
            "192.0.2.1:9817",
            "arpguard: serve metrics: 192.0.2.1:9817: Cannot assign requested address; name an \
             address of this network namespace, or 0.0.0.0 for all\n",
        ),
    ] {
        let output = start(metrics);
        assert_eq!(
            (output.status.code(), output.stderr.as_str()),
            (Some(1), told)
        );
    }
    for metrics in ["localhost:9817", "192.168.18.10", "65536", ""] {
        let output = start(metrics);
        assert_eq!(output.status.code(), Some(2), "{output}");
        assert!(
            output.stderr.contains("neither IP:PORT nor a port"),
            "{output}"
        );
    }
    assert_eq!(server.guard("list"), "no policy is in force here\n");
}

#[test]
fn a_thousand_policies_take_little_memory() {
    let (server, _peer) = real_server();
    let directory = Directory::new("memory");
    let first = u32::from_be_bytes([10, 64, 0, 0]);
    let text = (first..first + 1000).fold(String::new(), |mut text, address| {
        let address = Ipv4Addr::from_bits(address);
        writeln!(
            text,
            "[[hide]]\nip = \"{address}\"\nrip = \"192.168.18.10\"\n"
        )
        .unwrap();
        text
    });
    let policy = directory.write("arpguard.toml", &text);
    let agent = Agent::start(&server, &["--config", &policy, "--metrics", "9817"]);
    eventually("the policy is in force", || is_well(&server));
    let every = r#"arpguard_rules{about="address",devices="every"}"#;
    assert_eq!(value(&server, every), 1000);
    let resident = agent.status("VmRSS");
    let kilobytes: u32 = resident.trim_end_matches(" kB").parse().unwrap();
    assert!(kilobytes < 15_000, "{resident}");
}
