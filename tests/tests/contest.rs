//! Who answers for what another machine has.

use std::fs;

use arpguard_tests::{
    arp,
    flux::{CLIENT, Flux},
    lan::{Lan, NOBODY, OTHER, SERVER, only},
    running::{Agent, Directory, eventually, logging},
};
use nix::sys::signal::Signal;

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
    let line = format!("WARN answer: {}: {CLIENT} has it, on eth3: ", flux.client);
    eventually("the LAN was asked", || {
        fs::read_to_string(&log).unwrap().contains(&line)
    });
    assert!(!flux.host.guard("status").contains("192.168.18.100"));
    let asked = arp::request(CLIENT, flux.client, [192, 168, 18, 100].into());
    let mac = flux.nics[1].mac;
    let reply = arp::reply(mac, asked.tpa, CLIENT, flux.client).bytes();
    flux.ears.send(&asked.bytes());
    flux.ears.until(|frame| frame == reply);
}
