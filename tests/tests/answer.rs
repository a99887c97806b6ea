//! `answer` and `bind`, and who is seen to claim what: what the commands say and do.

use std::{thread::sleep, time::Duration};

use arpguard_common::wire::Mac;
use arpguard_tests::{
    arp,
    kernel::tc_hook,
    lab::{self, Passer, Port},
    lan::{CLIENT, Lan, NOBODY, OTHER, SERVER, VIP, only},
    running::eventually,
};

const GIVEN: Mac = Mac([2, 0, 0, 0, 9, 9]);
const VRRP: Mac = Mac([0, 0, 0x5e, 0, 1, 51]);

#[test]
fn what_nobody_has_is_answered_on_the_device_and_with_the_address_that_is_named() {
    let lan = Lan::new();
    for address in ["192.168.18.101", "192.168.18.102", "192.168.18.113"] {
        assert_eq!(lan.answers(address), NOBODY);
    }
    lan.server.guard("answer 192.168.18.101 --dev eth0");
    lan.server
        .guard("answer 192.168.18.102 --dev eth0 --mac vrrp:51");
    lan.server
        .guard("answer 192.168.18.112/28 --dev eth0 --mac 02:00:00:00:09:09");
    assert_eq!(lan.answers("192.168.18.101"), only(SERVER));
    assert_eq!(lan.answers("192.168.18.102"), only(VRRP));
    assert_eq!(lan.answers("192.168.18.113"), only(GIVEN));
    // A host that is about to take it is told that it is in use.
    lan.client.sh("ip addr add 192.168.18.130/24 dev eth0");
    let duplicate = lan
        .client
        .command("arping")
        .args(["-D", "-c", "2", "-w", "2", "-I", "eth0", "192.168.18.101"])
        .output()
        .expect("arping");
    assert_eq!(duplicate.status.code(), Some(1));
    lan.server.guard("unanswer 192.168.18.101");
    assert_eq!(lan.answers("192.168.18.101"), NOBODY);
    // Under audit the kernel decides, and it has no such address.
    lan.server.guard("answer 192.168.18.101 --dev eth0 --audit");
    assert_eq!(lan.answers("192.168.18.101"), NOBODY);
    let status = lan.server.guard("status");
    let counted = "eth0    answer  answered_request  passed (audit: answered)";
    assert!(status.contains(counted), "{status}");
}

#[test]
fn each_engine_answers_on_the_wire() {
    for (mode, hook) in [
        ("native", "xdp-native"),
        ("generic", "xdp-generic"),
        ("tc", tc_hook()),
    ] {
        let lan = Lan::new();
        // As a network card would, the segment takes what a native program sends.
        let _passer = (mode == "native").then(|| Passer::attach(lan.segment.namespace(), "p0"));
        lan.server
            .guard(&format!("hide 192.168.18.102 --attach {mode}"));
        lan.server.guard("answer 192.168.18.101 --dev eth0");
        lan.server
            .guard("answer 192.168.18.103 --dev eth0 --mac vrrp:51");
        let status = lan.server.guard("status");
        let mut lines = status.lines();
        let line = lines.find(|line| line.starts_with("eth0 ")).unwrap();
        assert_eq!(line.split_whitespace().nth(1), Some(hook), "{status}");
        assert_eq!(lan.answers("192.168.18.101"), only(SERVER), "{mode}");
        assert_eq!(lan.answers("192.168.18.103"), only(VRRP), "{mode}");
        assert_eq!(lan.answers("192.168.18.102"), NOBODY, "{mode}");
    }
}

#[test]
fn what_another_machine_has_is_not_answered_unless_by_force() {
    let lan = Lan::new();
    lan.other.sh("ip addr add 192.168.18.101/24 dev eth0");
    let why = "answer: 192.168.18.101: 02:00:00:00:00:11 has it, on eth0; use --force if arpguard is \
               to answer all the same";
    lan.server
        .refuses("answer 192.168.18.101 --dev eth0", 1, why);
    assert_eq!(
        lan.server.guard("status"),
        "arpguard is not loaded in this network namespace\n"
    );
    lan.server.guard("answer 192.168.18.101 --dev eth0 --force");
    let both = [SERVER, OTHER].map(|mac| mac.to_string());
    assert_eq!(lan.answers("192.168.18.101"), both);

    // One that turns up later makes it silent.
    lan.server.guard("unanswer 192.168.18.101");
    lan.other.sh("ip addr del 192.168.18.101/24 dev eth0");
    lan.server.guard("answer 192.168.18.101 --dev eth0");
    assert_eq!(lan.answers("192.168.18.101"), only(SERVER));
    lan.other.sh("ip addr add 192.168.18.101/24 dev eth0");
    lan.other
        .guard("announce 192.168.18.101 --dev eth0 --count 1");
    eventually("the server is silent", || {
        lan.answers("192.168.18.101") == only(OTHER)
    });
    let status = lan.server.guard("status");
    let shown = "eth0    192.168.18.101  02:00:00:00:00:11  ";
    assert!(status.contains(shown), "{status}");
    assert!(status.contains("contested_request  dropped"), "{status}");
    // It goes, and it is said again.
    lan.other.sh("ip addr del 192.168.18.101/24 dev eth0");
    assert_eq!(lan.answers("192.168.18.101"), NOBODY);
    lan.server.guard("answer 192.168.18.101 --dev eth0");
    assert_eq!(lan.answers("192.168.18.101"), only(SERVER));
}

#[test]
fn what_is_under_a_check_is_answered_by_the_agent_while_the_check_holds() {
    let lan = Lan::new();
    lan.server.sh("ip addr add 192.168.18.101/32 dev lo");
    lan.server
        .guard("answer 192.168.18.101 --dev eth0 --when tcp:8080");
    lan.server
        .guard("answer 192.168.18.112/28 --dev eth0 --mac vrrp:51 --when false");
    let table = "\
POLICY  ADDRESS            DEVICE  SENDER             OPTIONS
answer  192.168.18.101     eth0    auto               when tcp:8080
answer  192.168.18.112/28  eth0    00:00:5e:00:01:33  when false
";
    assert_eq!(lan.server.guard("list"), table);
    assert!(lan.server.guard("save").contains("when = \"tcp:8080\"\n"));
    // The kernel has the address, and nobody has made the check.
    assert_eq!(lan.answers("192.168.18.101"), NOBODY);
    let mut agent = lan
        .server
        .command(lab::arpguard())
        .arg("run")
        .spawn()
        .expect("agent");
    assert_eq!(lan.answers("192.168.18.101"), NOBODY);
    let address = (VIP, 8080);
    let listener = lan
        .server
        .enter(|| std::net::TcpListener::bind(address).expect("listen"));
    eventually("it is answered", || {
        lan.answers("192.168.18.101") == only(SERVER)
    });
    drop(listener);
    eventually("it is silent", || lan.answers("192.168.18.101") == NOBODY);
    // Another check is another policy, for the agent that runs.
    assert_eq!(lan.answers("192.168.18.113"), NOBODY);
    lan.server
        .guard("answer 192.168.18.112/28 --dev eth0 --mac vrrp:51 --when $ARPGUARD_ADDRESS");
    lan.server
        .guard("answer 192.168.18.112/28 --dev eth0 --mac vrrp:51 --when true");
    eventually("the prefix is answered", || {
        lan.answers("192.168.18.113") == only(VRRP)
    });
    lan.server.guard("answer 192.168.18.101 --dev eth0");
    assert_eq!(lan.answers("192.168.18.101"), only(SERVER));
    assert!(!lan.server.guard("list").contains("tcp:8080"));
    agent.kill().expect("kill");
    agent.wait().expect("wait");
    assert_eq!(lan.answers("192.168.18.113"), NOBODY);
}

#[test]
fn a_false_claim_reaches_no_neighbour_table() {
    let lan = Lan::new();
    let (right, wrong) = (
        Port::open(&lan.server, "eth0"),
        Port::open(&lan.other, "eth0"),
    );
    let client = Port::open(&lan.client, "eth0");
    let says = |mac| arp::reply(mac, VIP, CLIENT, [192, 168, 18, 129].into());
    let hears = |port: &Port, frame: Vec<u8>| {
        port.send(&frame);
        client.until(|heard| heard == frame);
    };
    lan.client
        .sh("ip neigh replace 192.168.18.101 lladdr 02:00:00:00:00:10 nud stale dev eth0");
    // For a second after a change the kernel keeps its entry (`locktime`).
    eventually("the client believes it", || {
        hears(&wrong, says(OTHER).bytes());
        lan.entry("192.168.18.101") == OTHER.to_string()
    });
    lan.client
        .guard("bind 192.168.18.101 02:00:00:00:00:10 --dev eth0");
    eventually("the client believes the one that may claim it", || {
        hears(&right, says(SERVER).bytes());
        lan.entry("192.168.18.101") == SERVER.to_string()
    });
    for frame in [
        says(OTHER),
        arp::announcement(OTHER, VIP),
        arp::announcing_reply(OTHER, VIP),
        arp::request(OTHER, VIP, [192, 168, 18, 129].into()),
    ] {
        wrong.send(&frame.bytes());
    }
    // What comes after them has been heard, so they have.
    let last = arp::reply(
        OTHER,
        [192, 168, 18, 11].into(),
        CLIENT,
        [192, 168, 18, 129].into(),
    );
    hears(&wrong, last.bytes());
    eventually("all four are counted", || {
        let status = lan.client.guard("status");
        let line = status.lines().find(|line| line.contains("false_claim"));
        line.is_some_and(|line| line.split_whitespace().last() == Some("4"))
    });
    assert_eq!(lan.entry("192.168.18.101"), SERVER.to_string());
    lan.client.guard("unbind 192.168.18.101");
    eventually("the client believes it again", || {
        hears(&wrong, says(OTHER).bytes());
        lan.entry("192.168.18.101") == OTHER.to_string()
    });
}

#[test]
fn status_shows_who_claims_what_is_hidden_and_monitor_when_it_changes() {
    let lan = Lan::new();
    lan.server.sh("ip addr add 192.168.18.101/32 dev lo");
    lan.server.guard("hide 192.168.18.101 --attach tc");
    let (client, other) = (
        Port::open(&lan.client, "eth0"),
        Port::open(&lan.other, "eth0"),
    );
    let server = Port::open(&lan.server, "eth0");
    let claims = |port: &Port, mac| {
        let claim = arp::announcement(mac, VIP).bytes();
        port.send(&claim);
        server.until(|heard| heard == claim);
    };
    claims(&client, CLIENT);
    claims(&client, CLIENT);
    let shown = |lan: &Lan| {
        let json = lan.server.guard("-o json status");
        let begin = json.find("\"claims\"").expect("claims");
        let end = begin + json[begin..].find("\"counters\"").expect("counters");
        let since = |line: &&str| !line.contains("since") && !line.contains("seen");
        let lines = json[begin..end].lines().map(str::trim).filter(since);
        lines.collect::<Vec<_>>().join(" ").trim_end().to_owned()
    };
    let of = |mac: Mac, changes: u32| {
        format!(
            "\"claims\": [ {{ \"address\": \"192.168.18.101\", \"mac\": \"{mac}\", \"here\": null, \
             \"changes\": {changes} }} ],"
        )
    };
    assert_eq!(shown(&lan), of(CLIENT, 0));
    let mut monitor = lan
        .server
        .command(lab::arpguard())
        .args(["monitor", "--reason", "flip_flop", "--count", "2"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("monitor");
    let mut changes = 0;
    // Until the monitor has begun, nobody hears of a change.
    eventually("the monitor has told of two", || {
        claims(&other, OTHER);
        claims(&client, CLIENT);
        changes += 2;
        sleep(Duration::from_millis(20));
        monitor.try_wait().expect("monitor").is_some()
    });
    let output = monitor.wait_with_output().expect("monitor");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let told: Vec<_> = text
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(_, told)| told)
        .collect();
    let line = |mac: Mac| {
        format!(
            "eth0 received flip_flop noted: announcement 192.168.18.101 is-at {mac} ({mac} > ff:ff:ff:ff:ff:ff)"
        )
    };
    let (one, two) = (line(OTHER), line(CLIENT));
    assert!(told == [&*one, &*two] || told == [&*two, &*one], "{text}");
    assert_eq!(shown(&lan), of(CLIENT, changes));
}

/// Each: the arguments, the exit status, and the one line on standard error.
const WRONG: &[(&str, i32, &str)] = &[
    (
        "answer 192.168.18.101",
        2,
        "read the arguments: --dev IF: it is required; see `arpguard answer --help`",
    ),
    (
        "answer 192.168.18.101 --dev eth7",
        1,
        "find the device: eth7: there is no such device; there are lo, eth0",
    ),
    (
        "answer 10.0.0.0/8 --dev eth0",
        1,
        "answer: 10.0.0.0/8: more than 4096 addresses are too many to ask the LAN for; use --force \
         if no other machine has one of them",
    ),
    (
        "answer 192.168.18.255 --dev eth0",
        1,
        "answer: 192.168.18.255: it is the broadcast address of a subnet of eth0",
    ),
    (
        "answer 192.168.18.101 --dev eth0 --mac vrrp:0",
        2,
        "read the arguments: --mac vrrp:0: virtual routers have numbers from 1 to 255; see \
         `arpguard answer --help`",
    ),
    (
        "answer 192.168.18.101 --dev eth0 --when tcp:0",
        2,
        "read the arguments: --when tcp:0: TCP has ports from 1 to 65535; see `arpguard answer --help`",
    ),
    (
        "unanswer 192.168.18.101",
        1,
        "unanswer: 192.168.18.101: it is not answered there; `arpguard list` shows what is",
    ),
    (
        "bind 192.168.18.101",
        2,
        "read the arguments: 192.168.18.101: not a MAC address; see `arpguard bind --help`",
    ),
    (
        "bind 192.168.18.101 ff:ff:ff:ff:ff:ff",
        2,
        "read the arguments: ff:ff:ff:ff:ff:ff: it is no station's address; see \
         `arpguard bind --help`",
    ),
    (
        "bind 224.0.0.1 02:00:00:00:00:02",
        2,
        "bind: 224.0.0.1: multicast addresses are not resolved by ARP",
    ),
    (
        "unbind 192.168.18.101",
        1,
        "unbind: 192.168.18.101: it is not bound there; `arpguard list` shows what is",
    ),
];

#[test]
fn what_makes_no_sense_is_told_in_one_line_and_changes_nothing() {
    let lan = Lan::new();
    for (line, status, message) in WRONG {
        lan.server.refuses(line, *status, message);
    }
    lan.server.guard("hide 192.168.18.102 --dev eth0");
    lan.server.guard("bind 192.168.18.0/24 vrrp:51");
    lan.server.refuses(
        "answer 192.168.18.102 --dev eth0",
        1,
        "answer: 192.168.18.102: it is hidden on eth0; `arpguard unhide 192.168.18.102` first",
    );
    lan.server.refuses(
        "unbind 192.168.18.102",
        1,
        "unbind: 192.168.18.102: it is not bound there; it is one of 192.168.18.0/24, which is: \
         unbind that",
    );
}

#[test]
fn list_shows_them_and_a_file_keeps_them() {
    let lan = Lan::new();
    let host = &lan.server;
    host.guard("answer 192.168.18.101 --dev eth0 --force");
    host.guard("answer 192.168.18.112/28 --dev eth0 --mac 02:00:00:00:09:09 --audit");
    host.guard("bind 192.168.18.1 vrrp:51");
    host.guard("bind 192.168.18.101 02:00:00:00:00:11 --dev eth0 --audit");
    host.guard("hide 192.168.18.101");
    let table = "\
POLICY  ADDRESS            DEVICE  SENDER             OPTIONS
bind    192.168.18.1       every   00:00:5e:00:01:33  -
hide    192.168.18.101     every   auto               -
answer  192.168.18.101     eth0    auto               force
bind    192.168.18.101     eth0    02:00:00:00:00:11  audit
answer  192.168.18.112/28  eth0    02:00:00:00:09:09  audit
";
    assert_eq!(host.guard("list"), table);
    let status = host.guard("status");
    let first = "rules for 4 addresses and 1 prefix; pinned at ";
    assert!(status.starts_with(first), "{status}");
    let saved = "\
# A policy of arpguard, printed by `arpguard save`. To make it the one in force:
# arpguard apply FILE

[[hide]]
ip = \"192.168.18.101\"
rip = \"auto\"

[[answer]]
ip = \"192.168.18.112/28\"
mac = \"02:00:00:00:09:09\"
dev = [\"eth0\"]
audit = true

[[answer]]
ip = \"192.168.18.101\"
dev = [\"eth0\"]
force = true

[[bind]]
ip = \"192.168.18.1\"
mac = \"00:00:5e:00:01:33\"

[[bind]]
ip = \"192.168.18.101\"
mac = \"02:00:00:00:00:11\"
dev = [\"eth0\"]
audit = true
";
    let text = host.guard("save");
    assert_eq!(
        text.split_once("[[answer]]").map(|(head, _)| head),
        saved.split_once("[[answer]]").map(|(head, _)| head),
    );
    let blocks = |text: &str| {
        let mut blocks: Vec<_> = text
            .split("\n\n")
            .map(|block| block.trim().to_owned())
            .collect();
        blocks.sort_unstable();
        blocks
    };
    assert_eq!(blocks(&text), blocks(saved));
    let json = host.guard("-o json list");
    let line = r#"{"policy":"bind","address":"192.168.18.1/32","device":null,"rip":"auto","shield":false,"audit":false,"same_subnet":false,"promoted":false,"mac":"00:00:5e:00:01:33","when":null,"forced":false}"#;
    assert!(json.contains(line), "{json}");

    let file = std::env::temp_dir().join(format!("arpguard-answer-{}.toml", std::process::id()));
    std::fs::write(&file, &text).expect("write");
    let path = file.display();
    assert_eq!(host.guard(&format!("apply {path}")), "nothing to do\n");
    host.guard("flush");
    assert_eq!(host.guard("list"), "no policy is in force here\n");
    let steps = host.guard(&format!("apply --dry-run {path}"));
    let mut steps: Vec<_> = steps.lines().collect();
    steps.sort_unstable();
    assert_eq!(
        steps,
        [
            "+ answer 192.168.18.101 sender auto dev eth0 force",
            "+ answer 192.168.18.112/28 mac 02:00:00:00:09:09 dev eth0 audit",
            "+ bind 192.168.18.1 mac 00:00:5e:00:01:33",
            "+ bind 192.168.18.101 mac 02:00:00:00:00:11 dev eth0 audit",
            "+ hide 192.168.18.101 sender auto",
        ]
    );
    host.guard(&format!("apply {path}"));
    std::fs::remove_file(&file).expect("remove");
    assert_eq!(host.guard("list"), table);
    host.guard("unbind 192.168.18.1");
    host.guard("unbind 192.168.18.101 --dev eth0");
    host.guard("unanswer 192.168.18.112/28 192.168.18.101");
    host.guard("unhide 192.168.18.101");
    assert_eq!(host.guard("list"), "no policy is in force here\n");
}
