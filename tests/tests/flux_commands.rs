//! `pin` and `strict`: what the commands and files say and do.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use arpguard_common::wire::Mac;
use arpguard_tests::{
    arp,
    lab::{Namespace, Port, Wire},
    running::{Agent, Directory, eventually},
};
use nix::net::if_::if_nametoindex;

const MACS: [Mac; 3] = [
    Mac([2, 0, 0, 0, 0, 0x10]),
    Mac([2, 0, 0, 0, 1, 0x10]),
    Mac([2, 0, 0, 0, 2, 0x10]),
];
const PEER: Mac = Mac([2, 0, 0, 0, 0, 0x81]);

/// A host with 192.168.18.10 on `eth0`, 10.0.0.10 on `eth1` and no address on `eth2`, and what is at
/// the other ends.
fn host() -> (Namespace, Namespace) {
    let (host, peer) = (Namespace::new("host"), Namespace::new("peer"));
    for (number, mac) in MACS.into_iter().enumerate() {
        let name = format!("eth{number}");
        Wire::between((&host, &name, mac), (&peer, &name, None));
    }
    host.sh("ip addr add 192.168.18.10/24 dev eth0");
    host.sh("ip addr add 10.0.0.10/24 dev eth1");
    (host, peer)
}

/// Each: the arguments, the exit status, and the one line on standard error.
const WRONG: &[(&str, i32, &str)] = &[
    (
        "pin 192.168.18.101",
        2,
        "read the arguments: --dev IF: it is required; see `arpguard pin --help`",
    ),
    (
        "pin 192.168.18.101/24 --dev eth0",
        2,
        "read the arguments: 192.168.18.101/24: it has host bits set; 192.168.18.0/24 or \
         192.168.18.101?; see `arpguard pin --help`",
    ),
    (
        "pin 127.0.0.1 --dev eth0",
        2,
        "pin: 127.0.0.1: loopback addresses are not on any LAN",
    ),
    (
        "pin 0.0.0.0/0 --dev eth0",
        2,
        "pin: 0.0.0.0/0: 0.0.0.0 is no host's address: probes have it as their sender",
    ),
    (
        "pin 192.168.18.255 --dev eth0",
        1,
        "pin: 192.168.18.255: it is the broadcast address of a subnet of eth0",
    ),
    (
        "pin 192.168.18.101 --dev eth7",
        1,
        "find the device: eth7: there is no such device; there are lo, eth0, eth1, eth2",
    ),
    (
        "pin 192.168.18.101 --dev lo",
        1,
        "guard: lo: it is the loopback device, which speaks no ARP",
    ),
    (
        "pin 192.168.18.10 --dev eth1",
        1,
        "pin: 192.168.18.10: it is the only address of eth0; that device would have no address to \
         speak with; use --force if that is meant",
    ),
    (
        "unpin 192.168.18.101",
        1,
        "unpin: 192.168.18.101: it is not pinned there; `arpguard list` shows what is",
    ),
    (
        "strict on --dev eth2",
        1,
        "strict on: eth2: it has no address, so it would neither answer nor ask; \
         give it one, or pin one to it, first",
    ),
    (
        "strict on --dev eth7",
        1,
        "find the device: eth7: there is no such device; there are lo, eth0, eth1, eth2",
    ),
    (
        "strict off --audit",
        2,
        "read the arguments: --audit: there is no such option; see `arpguard strict --help`",
    ),
    (
        "strict of",
        2,
        "read the arguments: of: there is no such command; did you mean off?",
    ),
    (
        "strict off",
        1,
        "strict off: this network namespace: it is not on for any device",
    ),
    (
        "strict off --dev eth0",
        1,
        "strict off: eth0: it is not on there; `arpguard list` shows where it is",
    ),
];

#[test]
fn what_makes_no_sense_is_told_in_one_line_and_changes_nothing() {
    let (host, _peer) = host();
    for (line, status, message) in WRONG {
        host.refuses(line, *status, message);
    }
    assert_eq!(
        host.guard("status"),
        "arpguard is not loaded in this network namespace\n"
    );
    host.guard("hide 192.168.18.102");
    let before = host.guard("list");
    for (line, status, message) in WRONG {
        host.refuses(line, *status, message);
        assert_eq!(host.guard("list"), before, "arpguard {line}");
    }
}

#[test]
fn what_is_said_in_other_words_is_not_replaced() {
    let (host, _peer) = host();
    host.guard("hide 192.168.18.101");
    host.guard("hide 192.168.18.102 --dev eth1");
    host.guard("pin 192.168.18.103 192.168.19.0/24 --dev eth0");
    host.guard("strict on");
    let before = host.guard("list");
    for (line, message) in [
        (
            "pin 192.168.18.104 192.168.18.101 --dev eth0",
            "pin: 192.168.18.101: it is hidden on every device; \
             `arpguard unhide 192.168.18.101` first",
        ),
        (
            "pin 192.168.18.102 --dev eth1",
            "pin: 192.168.18.102: it is hidden on eth1; `arpguard unhide 192.168.18.102` first",
        ),
        (
            "hide 192.168.18.103",
            "hide: 192.168.18.103: it is pinned to eth0; `arpguard unpin 192.168.18.103` first",
        ),
        (
            "hide 192.168.18.103 --dev eth0",
            "hide: 192.168.18.103: it is pinned to eth0; `arpguard unpin 192.168.18.103` first",
        ),
        (
            "hide 192.168.18.104 --rip 192.168.18.101",
            "use as RIP: 192.168.18.101: this host does not have the address; \
             it could be 192.168.18.10 (eth0), 10.0.0.10 (eth1)",
        ),
        (
            "unhide 192.168.18.103",
            "unhide: 192.168.18.103: it is not hidden there; `arpguard list` shows what is",
        ),
        (
            "unpin 192.168.18.101",
            "unpin: 192.168.18.101: it is not pinned there; `arpguard list` shows what is",
        ),
        (
            "unpin 192.168.19.1",
            "unpin: 192.168.19.1: it is not pinned there; it is one of 192.168.19.0/24, which is: \
             unpin that",
        ),
        (
            "strict off --dev eth0",
            "strict off: eth0: it is not on there; it is on for every device: \
             `arpguard strict off`, then on for those that shall be",
        ),
    ] {
        host.refuses(line, 1, message);
        assert_eq!(host.guard("list"), before, "arpguard {line}");
    }
    // What goes together, and what is only told anew.
    host.guard("hide 192.168.18.103 --dev eth1");
    host.guard("pin 192.168.18.102 --dev eth0");
    host.guard("pin 192.168.18.102 --dev eth2 --audit");
    host.guard("strict on --audit");
}

#[test]
fn list_shows_pins_and_what_is_strict() {
    let (host, _peer) = host();
    host.guard("pin 192.168.18.102 192.168.19.0/24 --dev eth1");
    host.guard("pin 192.168.18.101 --dev eth2 --audit");
    host.guard("hide 192.168.19.7 --dev eth1");
    host.guard("strict on --dev eth0 --same-subnet");
    host.guard("strict on --audit");
    let table = "\
POLICY  ADDRESS          DEVICE  SENDER  OPTIONS
strict  -                every   auto    audit
strict  -                eth0    auto    same-subnet
pin     192.168.18.101   eth2    auto    audit
pin     192.168.18.102   eth1    auto    -
pin     192.168.19.0/24  eth1    auto    -
hide    192.168.19.7     eth1    auto    -
";
    assert_eq!(host.guard("list"), table);
    let json = r#"[
  {"policy":"strict","address":null,"device":null,"rip":"auto","shield":false,"audit":true,"same_subnet":false,"promoted":false,"mac":null,"when":null,"forced":false},
  {"policy":"strict","address":null,"device":"eth0","rip":"auto","shield":false,"audit":false,"same_subnet":true,"promoted":false,"mac":null,"when":null,"forced":false},
  {"policy":"pin","address":"192.168.18.101/32","device":"eth2","rip":"auto","shield":false,"audit":true,"same_subnet":false,"promoted":false,"mac":null,"when":null,"forced":false},
  {"policy":"pin","address":"192.168.18.102/32","device":"eth1","rip":"auto","shield":false,"audit":false,"same_subnet":false,"promoted":false,"mac":null,"when":null,"forced":false},
  {"policy":"pin","address":"192.168.19.0/24","device":"eth1","rip":"auto","shield":false,"audit":false,"same_subnet":false,"promoted":false,"mac":null,"when":null,"forced":false},
  {"policy":"hide","address":"192.168.19.7/32","device":"eth1","rip":"auto","shield":false,"audit":false,"same_subnet":false,"promoted":false,"mac":null,"when":null,"forced":false}
]
"#;
    assert_eq!(host.guard("-o json list"), json);
    let status = host.guard("status");
    let first = "rules for 3 addresses and 1 prefix, 3 devices strict; pinned at ";
    assert!(status.starts_with(first), "{status}");
    let strict = host
        .guard("-o json status")
        .matches("\"strict\": true")
        .count();
    assert_eq!(strict, 3);

    host.guard("unpin 192.168.18.101 192.168.18.102 192.168.19.0/24");
    host.guard("strict off --dev eth0");
    let table = "\
POLICY  ADDRESS       DEVICE  SENDER  OPTIONS
strict  -             every   auto    audit
hide    192.168.19.7  eth1    auto    -
";
    assert_eq!(host.guard("list"), table);
    host.guard("strict on --dev eth1");
    host.guard("strict off");
    host.guard("unhide 192.168.19.7");
    assert_eq!(host.guard("list"), "no policy is in force here\n");
}

const POLICY: &str = "
[[pin]]
ip  = ['192.168.18.102', '192.168.18.96/28']
dev = 'eth0'

[[strict]]

[[strict]]
dev         = 'eth[1-9]'
same-subnet = true
";

#[test]
fn a_file_is_applied_and_saved() {
    let (host, _peer) = host();
    host.guard("pin 192.168.18.102 --dev eth1");
    host.guard("hide 192.168.18.103");
    let directory = Directory::new("applied");
    let file = directory.write("arpguard.toml", POLICY);
    let plan = "\
~ pin 192.168.18.102 sender auto dev eth0
+ pin 192.168.18.96/28 sender auto dev eth0
+ strict sender auto dev eth1 same-subnet
+ strict sender auto dev eth2 same-subnet
+ strict sender auto
- hide 192.168.18.103 sender auto
";
    let dry_run = host.guard(&format!("apply --dry-run {}", &file));
    let sorted = |text: &str| {
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        lines.sort_unstable();
        lines
    };
    assert_eq!(sorted(&dry_run), sorted(plan));
    assert!(dry_run.ends_with("- hide 192.168.18.103 sender auto\n"));
    host.guard(&format!("apply {}", &file));
    let table = "\
POLICY  ADDRESS           DEVICE  SENDER  OPTIONS
strict  -                 every   auto    -
strict  -                 eth1    auto    same-subnet
strict  -                 eth2    auto    same-subnet
pin     192.168.18.96/28  eth0    auto    -
pin     192.168.18.102    eth0    auto    -
";
    assert_eq!(host.guard("list"), table);
    let saved = host.guard("save");
    let blocks = "
[[pin]]
ip = [
  \"192.168.18.96/28\",
  \"192.168.18.102\",
]
dev = \"eth0\"

[[strict]]

[[strict]]
dev = [\"eth1\", \"eth2\"]
same-subnet = true
";
    assert!(saved.ends_with(blocks), "{saved}");
    let saved = directory.write("saved.toml", &saved);
    for path in [&file, &saved] {
        assert_eq!(host.guard(&format!("apply {path}")), "nothing to do\n");
    }
}

/// Whether `target` is answered on a device. The device's `own` address is asked for after it, and
/// has to be.
fn answers(port: &Port, target: &str, own: &str) -> bool {
    let ask = |address: &str| {
        let spa = address
            .rsplit_once('.')
            .map(|(net, _)| format!("{net}.129"));
        arp::request(
            PEER,
            spa.unwrap().parse().unwrap(),
            address.parse().unwrap(),
        )
    };
    let reply = |frame: &[u8], to: &arp::Frame| {
        arp::Frame::read(frame).is_some_and(|arp| arp.op == arp::REPLY && arp.spa == to.tpa)
    };
    let (asked, last) = (ask(target), ask(own));
    port.send(&asked.bytes());
    port.send(&last.bytes());
    let heard = port.until(|frame| reply(frame, &last));
    heard.iter().any(|frame| reply(frame, &asked))
}

#[test]
fn what_is_pinned_to_a_device_that_is_gone_is_hidden_on_all_others() {
    let (host, peer) = host();
    host.sh("ip addr add 192.168.18.101/32 dev lo");
    let (zero, one) = (Port::open(&peer, "eth0"), Port::open(&peer, "eth1"));
    assert!(answers(&zero, "192.168.18.101", "192.168.18.10"));
    host.guard("pin 192.168.18.101 --dev eth1");
    assert!(!answers(&zero, "192.168.18.101", "192.168.18.10"));
    assert!(answers(&one, "192.168.18.101", "10.0.0.10"));
    let index = host.enter(|| if_nametoindex("eth1").unwrap());
    let gone = format!("if{index} (gone)");
    host.sh("ip link del eth1");
    for _ in 0..2 {
        assert!(!answers(&zero, "192.168.18.101", "192.168.18.10"));
        let list = host.guard("list");
        assert!(list.contains(&format!("192.168.18.101  {gone}")), "{list}");
        let json = host.guard("-o json list");
        assert!(json.contains(&format!("\"device\":\"{gone}\"")), "{json}");
        assert!(!host.guard("save").contains("pin"));
        // The next command forgets the device, but not what was pinned to it.
        host.guard("hide 192.168.18.102");
    }
    host.guard("unpin 192.168.18.101");
    assert!(answers(&zero, "192.168.18.101", "192.168.18.10"));
}

#[test]
fn what_is_strict_holds_for_devices_that_come_later() {
    let (host, peer) = host();
    host.guard("strict on");
    let mac = Mac([2, 0, 0, 0, 9, 0x10]);
    Wire::between((&host, "eth9", mac), (&peer, "eth9", None));
    host.sh("ip addr add 10.9.0.10/24 dev eth9");
    let port = Port::open(&peer, "eth9");
    assert!(answers(&port, "192.168.18.10", "10.9.0.10"));
    host.guard("hide 192.168.18.101");
    assert!(!answers(&port, "192.168.18.10", "10.9.0.10"));
}

#[test]
fn what_a_device_owns_is_followed_by_commands_and_by_the_agent() {
    let (host, peer) = host();
    let port = Port::open(&peer, "eth0");
    host.guard("strict on");
    host.sh("ip addr add 192.168.18.11/24 dev eth0");
    assert!(!answers(&port, "192.168.18.11", "192.168.18.10"));
    host.guard("strict on");
    assert!(answers(&port, "192.168.18.11", "192.168.18.10"));

    let directory = Directory::new("follows");
    let file = directory.write("arpguard.toml", "[[strict]]\n");
    let _agent = Agent::start(&host, &["--config", &file]);
    host.sh("ip addr add 192.168.18.12/24 dev eth0");
    eventually("it answers", || {
        answers(&port, "192.168.18.12", "192.168.18.10")
    });
    host.sh("ip addr del 192.168.18.12/24 dev eth0");
    host.sh("ip addr add 192.168.18.12/32 dev lo");
    eventually("it is silent", || {
        !answers(&port, "192.168.18.12", "192.168.18.10")
    });
}
