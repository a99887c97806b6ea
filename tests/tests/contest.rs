//! Who answers for what another machine has.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on panics, also outside of #[test]"
)]

use std::{fs, process::Stdio};

use arpguard_common::wire::Mac;

use arpguard_tests::{
    arp,
    flux::{self, Flux},
    http,
    lab::{self, Port},
    lan::{CLIENT, Lan, NOBODY, OTHER, SERVER, VIP, only},
    running::{Agent, Directory, eventually, logging},
};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

const ANSWER: &str = "[[answer]]\nip = '192.168.18.101'\ndev = 'eth0'\n";

/// The other machine has the VIP, and has said nothing of it.
fn lan() -> Lan {
    let lan = Lan::new();
    lan.other.sh("ip addr add 192.168.18.101/32 dev lo");
    lan
}

#[test]
fn apply_asks_before_it_answers_and_changes_nothing_where_another_has_it() {
    let lan = lan();
    let directory = Directory::new("contest-apply");
    let policy = directory.write(
        "arpguard.toml",
        &format!("[[hide]]\nip = '192.168.18.102'\n{ANSWER}"),
    );
    let why = "answer: 192.168.18.101: 02:00:00:00:00:11 has it, on eth0; set `force = true` if \
               arpguard is to answer all the same";
    lan.server.refuses(&format!("apply {policy}"), 1, why);
    assert_eq!(lan.answers("192.168.18.101"), only(OTHER));
    assert_eq!(
        lan.server.guard("status"),
        "arpguard is not loaded in this network namespace\n"
    );
    // A plan is made of what is here.
    let plan = lan.server.guard(&format!("apply --dry-run {policy}"));
    assert!(plan.contains("+ answer 192.168.18.101 "), "{plan}");

    let forced = directory.write("forced.toml", &format!("{ANSWER}force = true\n"));
    lan.server.guard(&format!("apply {forced}"));
    let both = [SERVER, OTHER].map(|mac| mac.to_string());
    assert_eq!(lan.answers("192.168.18.101"), both);
    // What is in force is not asked for again, and what is new is.
    lan.server.refuses(&format!("apply {policy}"), 1, why);
    lan.other.sh("ip addr del 192.168.18.101/32 dev lo");
    lan.server.guard(&format!("apply {policy}"));
    assert_eq!(lan.answers("192.168.18.101"), only(SERVER));
    lan.other.sh("ip addr add 192.168.18.101/32 dev lo");
    assert_eq!(
        lan.server.guard(&format!("apply {policy}")),
        "nothing to do\n"
    );
}

#[test]
fn the_agent_leaves_to_another_what_it_has_and_says_so() {
    let lan = lan();
    let directory = Directory::new("contest-agent");
    let text = format!(
        "{ANSWER}[[answer]]\nip = '192.168.18.112/28'\ndev = 'eth0'\n\
         [[hide]]\nip = '192.168.18.102'\n"
    );
    let policy = directory.write("arpguard.toml", &text);
    let log = directory.file("log");
    let agent = logging(&lan.server, &["--config", &policy], &log);
    eventually("the rest is in force", || {
        lan.answers("192.168.18.113") == only(SERVER)
    });
    eventually("the other has it alone", || {
        lan.answers("192.168.18.101") == only(OTHER)
    });
    let line = "WARN answer: 192.168.18.101: 02:00:00:00:00:11 has it, on eth0: arpguard does not \
                answer for it; use --force, or `force = true` in a file, if it is to answer all the same\n";
    eventually("it is logged", || {
        fs::read_to_string(&log).unwrap().contains(line)
    });
    assert!(lan.server.guard("list").contains("192.168.18.102"));

    // What is said anew is asked for anew, when the file is read as when an agent begins.
    lan.other.sh("ip addr del 192.168.18.101/32 dev lo");
    assert_eq!(lan.answers("192.168.18.101"), NOBODY);
    directory.write("arpguard.toml", "[[hide]]\nip = '192.168.18.102'\n");
    eventually("it is not to be answered", || {
        !lan.server.guard("list").contains("192.168.18.101")
    });
    directory.write("arpguard.toml", &text);
    eventually("the server has it", || {
        lan.answers("192.168.18.101") == only(SERVER)
    });
    assert_eq!(agent.end(Signal::SIGTERM).code(), Some(0));
    lan.other.sh("ip addr add 192.168.18.101/32 dev lo");
    let _agent = Agent::start(&lan.server, &["--config", &policy]);
    eventually("the other has it alone again", || {
        lan.answers("192.168.18.101") == only(OTHER)
    });
}

#[test]
fn what_was_heard_before_a_rule_was_made_does_not_count() {
    let lan = Lan::new();
    let directory = Directory::new("contest-old");
    let policy = directory.write("arpguard.toml", ANSWER);
    for forget in ["flush", "unanswer 192.168.18.101"] {
        lan.server.guard("answer 192.168.18.101 --dev eth0");
        lan.other.sh("ip addr add 192.168.18.101/24 dev eth0");
        lan.other
            .guard("announce 192.168.18.101 --dev eth0 --count 1");
        eventually("the server is silent", || {
            lan.answers("192.168.18.101") == only(OTHER)
        });
        lan.server.guard(forget);
        lan.other.sh("ip addr del 192.168.18.101/24 dev eth0");
        lan.server.guard(&format!("apply {policy}"));
        assert_eq!(lan.answers("192.168.18.101"), only(SERVER), "{forget}");
        lan.server.guard("flush");
    }
}

/// With several devices on one LAN a host hears itself, and is no other machine.
#[test]
fn what_this_host_has_on_another_device_is_not_left_to_it() {
    let flux = Flux::container_host();
    flux.host.sh("ip addr add 192.168.18.100/32 dev eth0");
    let directory = Directory::new("contest-self");
    let text = format!(
        "[[answer]]\nip = ['192.168.18.100', '{}']\ndev = 'eth3'\n",
        flux.client
    );
    let policy = directory.write("arpguard.toml", &text);
    let log = directory.file("log");
    let _agent = logging(&flux.host, &["--config", &policy], &log);
    let line = format!(
        "WARN answer: {}: {} has it, on eth3: ",
        flux.client,
        flux::CLIENT
    );
    eventually("the LAN was asked", || {
        fs::read_to_string(&log).unwrap().contains(&line)
    });
    assert!(!flux.host.guard("status").contains("192.168.18.100"));
    let asked = arp::request(flux::CLIENT, flux.client, [192, 168, 18, 100].into());
    let mac = flux.nics[1].mac;
    let reply = arp::reply(mac, asked.tpa, flux::CLIENT, flux.client).bytes();
    flux.ears.send(&asked.bytes());
    flux.ears.until(|frame| frame == reply);
}

/// What a program says of the server that answers for the VIP, in the JSON of `status`.
fn claim(lan: &Lan) -> Value {
    let status: Value = serde_json::from_str(&lan.server.guard("-o json status")).unwrap();
    let mut devices = status["devices"].as_array().unwrap().iter();
    let device = devices.find(|device| device["name"] == "eth0").unwrap();
    device["claims"][0].clone()
}

#[test]
fn a_conflict_is_an_event_and_counted_and_told_with_its_time() {
    let lan = Lan::new();
    lan.server.guard("answer 192.168.18.101 --dev eth0");
    let _agent = Agent::start(&lan.server, &["--metrics", "9817"]);
    let series = |reason: &str, outcome: &str, count: u32| {
        let line = format!(
            "arpguard_frames_total{{device=\"eth0\",policy=\"answer\",mode=\"enforce\",\
             reason=\"{reason}\",outcome=\"{outcome}\"}} {count}\n"
        );
        http::get(&lan.server, "/metrics").body.contains(&line)
    };
    let now = || {
        lan.server
            .sh("date -u +%Y-%m-%dT%H:%M:%S.%6NZ")
            .trim()
            .to_owned()
    };
    let (client, other) = (
        Port::open(&lan.client, "eth0"),
        Port::open(&lan.other, "eth0"),
    );
    let claims = |port: &Port, mac: Mac| {
        port.send(&arp::announcement(mac, VIP).bytes());
        eventually("it is heard", || claim(&lan)["mac"] == mac.to_string());
    };
    eventually("the agent serves", || http::connect(&lan.server).is_some());
    claims(&other, OTHER);
    assert!(series("flip_flop", "noted", 0));
    // Since when, is since it was another.
    let before = now();
    claims(&client, CLIENT);
    let after = now();
    let is_since = || {
        let since = claim(&lan)["since"].as_str().unwrap().to_owned();
        assert!(
            before <= since && since <= after,
            "{before} {since} {after}"
        );
    };
    is_since();
    assert!(series("flip_flop", "noted", 1));
    let seen = claim(&lan)["seen"].clone();
    eventually("it is heard once more", || {
        claims(&client, CLIENT);
        claim(&lan)["seen"] != seen
    });
    is_since();
    assert!(series("flip_flop", "noted", 1));

    let mut monitor = lan.server.command(lab::arpguard());
    monitor.args([
        "-o",
        "json",
        "monitor",
        "--reason",
        "contested_request",
        "--count",
        "1",
    ]);
    let mut monitor = monitor.stdout(Stdio::piped()).spawn().unwrap();
    // Until the monitor has begun, nobody hears of a request.
    eventually("the monitor has told", || {
        client.send(&arp::request(CLIENT, [192, 168, 18, 129].into(), VIP).bytes());
        monitor.try_wait().unwrap().is_some()
    });
    let output = monitor.wait_with_output().unwrap();
    let mut event: Value = serde_json::from_slice(&output.stdout).unwrap();
    for key in ["time", "index"] {
        assert!(event.as_object_mut().unwrap().remove(key).is_some());
    }
    let expected = json!({
        "device": "eth0", "direction": "received", "reason": "contested_request",
        "outcome": "dropped", "policy": "answer", "audit": false, "kind": "request",
        "operation": 1, "destination": "ff:ff:ff:ff:ff:ff", "source": CLIENT.to_string(),
        "sha": CLIENT.to_string(), "spa": "192.168.18.129",
        "tha": "00:00:00:00:00:00", "tpa": "192.168.18.101",
        "rip": null, "suppressed": 0, "lost": 0,
    });
    assert_eq!(event, expected);
    assert!(!series("contested_request", "dropped", 0));
}
