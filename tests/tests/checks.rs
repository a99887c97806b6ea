//! `answer --when`: how the agent makes checks, and whom it answers by them.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on panics, also outside of #[test]"
)]

use std::{fs, net::Ipv4Addr};

use arpguard_common::wire::Mac;
use arpguard_tests::{
    arp::{self, Frame},
    lab::Port,
    lan::{CLIENT, Lan, OTHER, SERVER, VIP},
    running::{Agent, Directory, eventually},
};
use nix::sys::signal::Signal;

const ASKER: Ipv4Addr = Ipv4Addr::new(192, 168, 18, 129);
/// An address whose check always holds.
const READY: Ipv4Addr = Ipv4Addr::new(192, 168, 18, 102);

/// Answers for an address by a check.
fn answer(lan: &Lan, address: Ipv4Addr, check: &str) {
    let address = address.to_string();
    let words = ["answer", &address, "--dev", "eth0", "--when", check];
    let output = lan.server.arpguard(&words);
    assert!(output.success(), "{output}");
}

fn ask(port: &Port, sender: Ipv4Addr, target: Ipv4Addr) {
    port.send(&arp::request(CLIENT, sender, target).bytes());
}

/// Asks for [`READY`] until that is answered: all replies that were heard by then.
fn heard_until_ready(port: &Port) -> Vec<Frame> {
    let mut heard = Vec::new();
    let ready = arp::reply(SERVER, READY, CLIENT, ASKER);
    eventually("the agent has answered", || {
        ask(port, ASKER, READY);
        heard.extend(port.drain().iter().filter_map(|frame| Frame::read(frame)));
        heard.contains(&ready)
    });
    heard
}

/// Whether somebody has answered for the VIP.
fn is_answered(heard: &[Frame]) -> bool {
    let mut replies = heard.iter().filter(|frame| frame.op == arp::REPLY);
    replies.any(|frame| frame.spa == VIP)
}

fn lines(path: &str) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// Whether a process has ended. Who should wait for it may never do so.
fn has_ended(id: &str) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{id}/stat")) else {
        return true;
    };
    stat.rsplit_once(") ")
        .is_some_and(|(_, rest)| rest.starts_with('Z'))
}

#[test]
fn what_a_check_has_started_ends_with_it() {
    let lan = Lan::new();
    let directory = Directory::new("check-children");
    let file = directory.file("started");
    answer(&lan, VIP, &format!("sleep 60 & echo $! >>{file}; wait"));
    let agent = Agent::start(&lan.server, &[]);
    let port = Port::open(&lan.client, "eth0");
    let started = |count: usize| {
        eventually("the check is made", || {
            ask(&port, ASKER, VIP);
            lines(&file).len() == count
        });
        lines(&file).swap_remove(count - 1)
    };
    let first = started(1);
    eventually("what took too long is ended", || has_ended(&first));
    let second = started(2);
    assert_eq!(agent.end(Signal::SIGTERM).code(), Some(0));
    eventually("the agent leaves nothing behind", || has_ended(&second));
}

#[test]
fn a_check_that_hangs_keeps_nobody_else_waiting() {
    let lan = Lan::new();
    let directory = Directory::new("check-hangs");
    let file = directory.file("made");
    answer(&lan, VIP, &format!("echo >>{file}; sleep 60"));
    answer(&lan, READY, "true");
    let _agent = Agent::start(&lan.server, &[]);
    let port = Port::open(&lan.client, "eth0");
    let mut heard = Vec::new();
    eventually("it has been made again", || {
        ask(&port, ASKER, VIP);
        heard.extend(heard_until_ready(&port));
        lines(&file).len() > 1
    });
    assert!(!is_answered(&heard), "{heard:?}");
}

#[test]
fn what_was_asked_before_the_agent_came_is_not_answered() {
    let lan = Lan::new();
    for address in [VIP, READY] {
        answer(&lan, address, "true");
    }
    let port = Port::open(&lan.client, "eth0");
    ask(&port, ASKER, VIP);
    eventually("it is left to nobody", || {
        let status = lan.server.guard("status");
        let line = status
            .lines()
            .find(|line| line.contains("deferred_request"));
        line.is_some_and(|line| line.split_whitespace().last() == Some("1"))
    });
    let _agent = Agent::start(&lan.server, &[]);
    let heard = heard_until_ready(&port);
    assert!(!is_answered(&heard), "{heard:?}");
    // Nor is anything lost once it has come.
    eventually("it is answered", || {
        ask(&port, ASKER, VIP);
        let reply = arp::reply(SERVER, VIP, CLIENT, ASKER).bytes();
        port.drain().contains(&reply)
    });
}

#[test]
fn nobody_is_answered_by_a_rule_that_has_gone_or_is_contested_meanwhile() {
    let lan = Lan::new();
    answer(&lan, READY, "true");
    let _agent = Agent::start(&lan.server, &[]);
    let port = Port::open(&lan.client, "eth0");
    heard_until_ready(&port);
    let other = Port::open(&lan.other, "eth0");
    let goes: &dyn Fn() = &|| {
        lan.server.guard("unanswer 192.168.18.101");
    };
    let is_contested: &dyn Fn() = &|| {
        other.send(&arp::announcement(OTHER, VIP).bytes());
        eventually("the claim is heard", || {
            let shown = format!("192.168.18.101  {OTHER}");
            lan.server.guard("status").contains(&shown)
        });
    };
    let is_another: &dyn Fn() = &|| answer_with(&lan, Mac([2, 0, 0, 0, 9, 9]));
    for (number, happens) in [goes, is_another, is_contested].into_iter().enumerate() {
        let directory = Directory::new(&format!("check-meanwhile-{number}"));
        let [started, go] = ["started", "go"].map(|name| directory.file(name));
        let check = format!("echo $$ >{started}; while [ ! -e {go} ]; do sleep 0.01; done");
        answer(&lan, VIP, &check);
        eventually("the check is made", || {
            ask(&port, ASKER, VIP);
            lines(&started).len() == 1
        });
        happens();
        directory.write("go", "");
        // In vain where the machine is so slow that it has failed by then.
        eventually("the check has come to its end", || {
            has_ended(&lines(&started)[0])
        });
        let heard = heard_until_ready(&port);
        assert!(!is_answered(&heard), "{number}: {heard:?}");
    }
}

/// Answers for the VIP by the same check, with another hardware address.
fn answer_with(lan: &Lan, mac: Mac) {
    let list = lan.server.guard("-o json list");
    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
    let mut rules = list.as_array().unwrap().iter();
    let when = rules.find_map(|rule| {
        let is_it = rule["address"] == "192.168.18.101/32";
        is_it.then(|| rule["when"].as_str().unwrap().to_owned())
    });
    let (mac, when) = (mac.to_string(), when.unwrap());
    let words = [
        "answer",
        "192.168.18.101",
        "--dev",
        "eth0",
        "--force",
        "--mac",
        &mac,
        "--when",
        &when,
    ];
    assert!(lan.server.arpguard(&words).success());
}

#[test]
fn devices_that_are_gone_leave_nothing_open() {
    let lan = Lan::new();
    answer(&lan, READY, "true");
    let agent = Agent::start(&lan.server, &[]);
    let port = Port::open(&lan.client, "eth0");
    heard_until_ready(&port);
    let before = agent.sockets();
    for _ in 0..3 {
        let client = lan.client.name();
        lan.server.sh(&format!(
            "ip link add eth1 type veth peer name eth1 netns {client}"
        ));
        for host in [&lan.server, &lan.client] {
            host.sh("ip link set eth1 up");
        }
        lan.server
            .guard("answer 192.168.18.103 --dev eth1 --when true --force");
        let beside = Port::open(&lan.client, "eth1");
        eventually("it is answered there", || {
            ask(&beside, ASKER, [192, 168, 18, 103].into());
            let mut frames = beside.drain().into_iter();
            frames.any(|frame| Frame::read(&frame).is_some_and(|arp| arp.op == arp::REPLY))
        });
        drop(beside);
        lan.server.sh("ip link del eth1");
    }
    eventually("their sockets are closed", || {
        heard_until_ready(&port);
        agent.sockets() <= before
    });
}
