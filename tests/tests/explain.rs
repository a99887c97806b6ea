//! `arpguard explain`: it says what happens, and changes nothing.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on panics, also outside of #[test]"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::Ipv4Addr,
};

use arpguard_common::{
    abi::program::{TC_EGRESS, TC_INGRESS},
    wire::Mac,
};
use arpguard_tests::{
    arp,
    cases::{Case, Direction, Judged, cases, is_reply},
    fixture::{Device, RIP, RealServer, VIP},
    kernel::tc_hook,
    lab::{Namespace, Output, Passer, Port, Wire, arpguard, find_faulty, patience, skip},
    pair::Pair,
    pins::Pins,
    running::Directory,
    server::real_server,
};
use serde_json::Value;

/// Link types of captures.
const ETHERNET: u32 = 1;
const COOKED: u32 = 113;

/// A capture of these frames, as tcpdump writes it.
fn pcap<'a>(link: u32, frames: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let header = [0xa1b2_c3d4, 4 << 16 | 2, 0, 0, 262_144, link];
    let mut bytes: Vec<u8> = Vec::new();
    for (number, word) in header.iter().enumerate() {
        // The version is two numbers of 16 bits, the larger one first.
        let word = if number == 1 {
            u32::rotate_left(*word, 16)
        } else {
            *word
        };
        bytes.extend(word.to_le_bytes());
    }
    for (number, frame) in (0_u32..).zip(frames) {
        let length = u32::try_from(frame.len()).unwrap();
        for word in [number, 0, length, length] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(frame);
    }
    bytes
}

/// The same in pcapng: a section, an interface, and enhanced packets.
fn pcapng<'a>(link: u32, frames: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut block = |kind: u32, body: &[u8]| {
        let length = u32::try_from(12 + body.len()).unwrap();
        bytes.extend(kind.to_le_bytes());
        bytes.extend(length.to_le_bytes());
        bytes.extend(body);
        bytes.extend(length.to_le_bytes());
    };
    let words = |words: &[u32]| {
        words
            .iter()
            .flat_map(|word| word.to_le_bytes())
            .collect::<Vec<_>>()
    };
    block(0x0a0d_0d0a, &words(&[0x1a2b_3c4d, 1, u32::MAX, u32::MAX]));
    block(1, &words(&[link, 262_144]));
    for frame in frames {
        let length = u32::try_from(frame.len()).unwrap();
        let mut body = words(&[0, 0, 0, length, length]);
        body.extend(frame);
        body.resize(body.len().next_multiple_of(4), 0);
        block(6, &body);
    }
    bytes
}

fn write(directory: &Directory, name: &str, bytes: &[u8]) -> String {
    let path = directory.file(name);
    fs::write(&path, bytes).unwrap();
    path
}

/// Exit status and output of `arpguard explain`, which has nothing to complain of.
fn explain(host: &Namespace, line: &str) -> (i32, String) {
    let words = format!("explain {line}");
    let output = host.arpguard(&words.split_whitespace().collect::<Vec<_>>());
    assert_eq!(output.stderr, "", "{line}: {output}");
    (output.status.code().unwrap(), output.stdout)
}

/// What it refuses, with the exit status.
fn refused(host: &Namespace, line: &str) -> (i32, String) {
    let words = format!("explain {line}");
    let output = host.arpguard(&words.split_whitespace().collect::<Vec<_>>());
    assert_eq!(output.stdout, "", "{line}: {output}");
    (output.status.code().unwrap(), output.stderr)
}

/// The objects that it prints.
fn objects(text: &str) -> Vec<Value> {
    let lines = text.lines().map(serde_json::from_str);
    lines.collect::<Result<_, _>>().unwrap()
}

fn bytes(hexadecimal: &Value) -> Option<Vec<u8>> {
    let digits = hexadecimal.as_str()?.as_bytes();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    Some(digits.chunks(2).map(byte).collect())
}

/// What is said of a verdict, in the words of the table.
fn judged(object: &Value) -> (Option<&str>, Option<&str>, bool) {
    let text = |key: &str| object[key].as_str();
    (text("reason"), text("policy"), object["audit"] == true)
}

fn expected(judged: Judged) -> (Option<&'static str>, Option<&'static str>, bool) {
    match judged {
        Judged::Uncounted => (None, None, false),
        Judged::Undecided(reason) => (Some(reason.name()), None, false),
        Judged::By(policy, reason) => (Some(reason.name()), Some(policy.name()), false),
        Judged::Audited(policy, reason) => (Some(reason.name()), Some(policy.name()), true),
    }
}

/// What the other end of the wire gets back for a frame.
fn comes_back(pair: &Pair, case: &Case, expects_any: bool) -> Vec<Vec<u8>> {
    let (_, mut back) = pair.receive(&case.frame);
    // An answer of the program may be overtaken by the mark that follows.
    if expects_any && back.is_empty() {
        back.extend(pair.peer.receive(patience()));
    }
    back
}

/// Where what is explained is not what the table says and the wire shows.
fn compare(pair: &Pair, case: &Case, told: Option<&Value>, at_tc: bool) -> Result<(), String> {
    let (expects, out) = match &case.untagged_once {
        Some((judged, out)) if at_tc => (*judged, out.clone()),
        _ => (case.judged, case.out.clone()),
    };
    // What is no ARP is left out, and goes on.
    let Some(told) = told else {
        let is_none = expects == Judged::Uncounted && out.as_ref() == Some(&case.frame);
        return is_none
            .then_some(())
            .ok_or_else(|| "it was left out".to_owned());
    };
    if judged(told) != expected(expects) {
        return Err(format!(
            "judged {:?}, not {expects:?}: {told}",
            judged(told)
        ));
    }
    let (passes, answer) = (bytes(&told["out"]), bytes(&told["answer"]));
    let seen = match case.direction {
        Direction::Sent => {
            let (seen, _) = pair.send(&case.frame);
            let same = seen.iter().eq(&passes) && passes == out;
            same.then_some(()).ok_or(seen)
        }
        Direction::Received => {
            let back = comes_back(pair, case, answer.is_some());
            let same = back.len() == answer.iter().len()
                && back
                    .iter()
                    .zip(&answer)
                    .all(|(got, told)| is_reply(got, told) || is_reply(told, got));
            same.then_some(()).ok_or(back)
        }
    };
    seen.map_err(|seen| format!("on the wire was {seen:02x?}, and told was {told}"))
}

/// Compares what `ask` explains with what a pair does, and gives what it was judged by: the program,
/// and whether that is the one that is attached.
fn every_row(
    name: &str,
    attach: &str,
    ask: impl Fn(&Namespace, &str) -> (i32, String),
) -> BTreeSet<(String, bool)> {
    let server = RealServer::new();
    server.guard(&format!("--attach {attach}"));
    let counters = Pins::of(&server.host).counters();
    // Without one, the other end gets no answer of native XDP.
    let native = Device::ALL.iter().filter(|_| attach == "native");
    let _passers: Vec<_> = native
        .map(|device| Passer::attach(&server.peer, device.name()))
        .collect();
    let directory = Directory::new(name);
    let pairs: BTreeMap<Device, Pair> = Device::ALL
        .into_iter()
        .map(|device| (device, Pair::open(&server, device)))
        .collect();
    let (mut wrong, mut compared, mut by) = (Vec::new(), 0, BTreeSet::new());
    for (device, pair) in &pairs {
        for (direction, option) in [(Direction::Received, ""), (Direction::Sent, "--sent")] {
            let rows = cases().into_iter();
            let rows: Vec<_> = rows
                .filter(|case| (case.device, case.direction) == (*device, direction))
                .collect();
            let frames = rows.iter().map(|case| case.frame.as_slice());
            let name = format!("{}{option}", device.name());
            let path = write(&directory, &name, &pcap(ETHERNET, frames));
            let before = counters.read(pair.index);
            let line = format!("--pcap {path} --dev {} {option} -o json", device.name());
            let (status, text) = ask(&server.host, &line);
            assert!(counters.read(pair.index) == before, "explain has counted");
            let told = objects(&text);
            let leaks = told.iter().any(|object| !object["leak"].is_null());
            assert_eq!(status, if leaks { 3 } else { 0 }, "{line}");
            by.extend(told.iter().map(|object| {
                let program = object["program"].as_str().unwrap().to_owned();
                (program, object["attached"].as_bool().unwrap())
            }));
            let told: BTreeMap<_, _> = told
                .iter()
                .map(|object| (object["frame"].as_u64().unwrap(), object))
                .collect();
            for (number, case) in (1_u64..).zip(&rows) {
                let told = told.get(&number).copied();
                if let Err(why) = compare(pair, case, told, attach == "tc") {
                    wrong.push(format!("{}\n  {why}", case.name));
                }
                compared += 1;
            }
        }
    }
    let count = wrong.len();
    wrong.truncate(5);
    assert!(wrong.is_empty(), "{count} are wrong:\n{}", wrong.join("\n"));
    assert_eq!(compared, cases().len());
    by
}

#[test]
fn it_agrees_with_a_veth_pair_on_every_row_of_the_table_at_the_tc_hook() {
    every_row("rows-tc", "tc", explain);
}

#[test]
fn it_agrees_with_a_veth_pair_on_every_row_of_the_table_at_native_xdp() {
    every_row("rows-native", "native", explain);
}

#[test]
fn it_says_that_nobody_may_get_what_native_xdp_answers_on_veth() {
    let (server, peer) = hiding("--attach native");
    let line = "192.168.18.10 --from 192.168.18.101 --unicast";
    let (_, text) = explain(&server, line);
    let then = "then     the answer of the program leaves: reply 192.168.18.10 is-at \
                02:00:00:00:00:10 (02:00:00:00:00:10 > 02:00:00:00:00:01); answers are lost unless \
                the peer has an XDP program too\n";
    assert!(text.ends_with(then), "{text}");
    let (_, json) = explain(&server, &format!("{line} -o json"));
    let note = "answers are lost unless the peer has an XDP program too";
    assert_eq!(objects(&json)[0]["note"], note);
    // It is so.
    let asker = Port::open(&peer, "eth0");
    let (mac, own) = (Mac([2, 0, 0, 0, 0, 1]), Mac([2, 0, 0, 0, 0, 0x10]));
    let (vip, rip) = ([192, 168, 18, 101].into(), [192, 168, 18, 10].into());
    let last = [192, 168, 18, 129].into();
    let asks = || {
        asker.send(&arp::request(mac, vip, rip).to(own).bytes());
        asker.send(&arp::request(mac, last, rip).bytes());
        let to = |frame: &[u8], tpa: Ipv4Addr| {
            arp::Frame::read(frame).is_some_and(|arp| arp.op == arp::REPLY && arp.tpa == tpa)
        };
        let heard = asker.until(|frame| to(frame, last));
        heard.iter().any(|frame| to(frame, vip))
    };
    assert!(!asks());
    // To others than veth's driver it says nothing.
    server.guard("hide 192.168.18.101 --rip 192.168.18.10 --attach tc");
    assert!(asks());
    assert!(!explain(&server, line).1.contains("answers are lost"));
}

#[test]
fn it_agrees_with_a_veth_pair_on_every_row_of_the_table_at_generic_xdp() {
    every_row("rows-generic", "generic", explain);
}

/// Before Linux 5.15 XDP is run on no frame that is told its device.
#[test]
fn it_agrees_with_it_at_generic_xdp_by_the_tc_hook_s_program_where_xdp_is_not_run() {
    let Some(faulty) = find_faulty() else {
        skip("there is no build with faults here");
        return;
    };
    let by = every_row("rows-old", "generic", |host, line| {
        let mut command = host.command(&faulty);
        command.env("ARPGUARD_FAULT", "every run/xdp fail 22");
        let words = line.split_whitespace();
        let output = Output::of(command.arg("explain").args(words));
        assert_eq!(output.stderr, "", "{line}: {output}");
        (output.status.code().unwrap(), output.stdout)
    });
    let by: Vec<_> = by
        .iter()
        .map(|(program, same)| (&**program, *same))
        .collect();
    assert_eq!(by.len(), 2, "{by:?}");
    assert_eq!(by[0], (TC_INGRESS, false));
    assert_eq!(by[1].0, TC_EGRESS);
}

/// Settings of the kernel, and what a neighbour asks for under each: explained, then asked.
#[test]
fn it_knows_what_the_kernel_answers_under_each_setting() {
    let server = RealServer::new();
    let pair = Pair::open(&server, Device::Eth0);
    let host = &server.host;
    let directory = Directory::new("settings");
    host.sh("ip addr add 192.168.18.120/32 dev lo scope host");
    // What is behind eth1, and proxied on eth0 by an entry of its own.
    host.sh("ip neigh add proxy 10.0.0.77 dev eth0");
    host.sh("ip neigh add proxy 192.168.18.78 dev eth0");
    let near = Device::Eth0.peer();
    let (far, behind) = ([172, 16, 9, 1].into(), [10, 0, 0, 50].into());
    let asked = [
        (near, RIP),
        (near, VIP),
        (near, [192, 168, 18, 120].into()),
        (near, [192, 168, 18, 50].into()),
        (near, behind),
        (near, [10, 0, 0, 77].into()),
        (near, [192, 168, 18, 78].into()),
        (near, [10, 0, 0, 10].into()),
        (near, [224, 0, 0, 9].into()),
        (near, [127, 0, 0, 1].into()),
        (far, RIP),
        (far, VIP),
        (behind, RIP),
        (VIP, RIP),
        (RIP, RIP),
        (arp::NOBODY, VIP),
        (arp::NOBODY, RIP),
        (arp::NOBODY, behind),
        ([224, 0, 0, 9].into(), RIP),
    ];
    let frames: Vec<_> = asked
        .into_iter()
        .map(|(spa, tpa)| arp::request(Device::Eth0.peer_mac(), spa, tpa).bytes())
        .collect();
    let path = write(
        &directory,
        "asked",
        &pcap(ETHERNET, frames.iter().map(Vec::as_slice)),
    );
    let mut answered = Vec::new();
    for settings in [
        "",
        "arp_ignore=1",
        "arp_ignore=2",
        "arp_ignore=3",
        "arp_ignore=4",
        "arp_ignore=8",
        "arp_filter=1",
        "rp_filter=1",
        "rp_filter=2",
        "accept_local=1",
        "forwarding=1 proxy_delay=0",
        "forwarding=1 proxy_arp=1 proxy_delay=0",
        "forwarding=1 proxy_arp_pvlan=1 proxy_delay=0",
        "proxy_arp=1",
    ] {
        let set = |on: bool| {
            for (name, value) in settings.split(' ').filter_map(|one| one.split_once('=')) {
                let value = if on { value } else { "0" };
                match name {
                    "proxy_delay" => host.set("net/ipv4/neigh/eth0/proxy_delay", value),
                    _ => host.set(&format!("net/ipv4/conf/eth0/{name}"), value),
                }
            }
        };
        set(true);
        let (status, text) = explain(host, &format!("--pcap {path} --dev eth0 -o json"));
        assert_eq!(status, 0);
        let told = objects(&text);
        assert_eq!(told.len(), frames.len());
        let mut count = 0;
        for (frame, told) in frames.iter().zip(told) {
            let (_, back) = pair.receive(frame);
            let answer: Vec<_> = bytes(&told["answer"]).into_iter().collect();
            assert_eq!(back, answer, "{settings}: {told}");
            count += back.len();
        }
        answered.push(count);
        set(false);
    }
    // The settings make a difference.
    answered.sort_unstable();
    answered.dedup();
    assert!(answered.len() > 4, "{answered:?}");
}

/// A server with a VIP that it hides, and a second device.
fn hiding(options: &str) -> (Namespace, Namespace) {
    let (server, peer) = real_server();
    server.sh("ip addr add 192.168.18.101/32 dev lo");
    server.guard(&format!(
        "hide 192.168.18.101 --rip 192.168.18.10 {options}"
    ));
    (server, peer)
}

#[test]
fn what_becomes_of_a_frame_is_told_whole() {
    let (server, peer) = hiding("");
    assert_eq!(
        explain(&server, "192.168.18.101"),
        (
            0,
            "\
eth0 received: who-has 192.168.18.101 tell 192.168.18.1 (02:00:00:00:00:01 > ff:ff:ff:ff:ff:ff)
verdict  dropped, hidden_request: it asks for an address that is hidden here
rule     hide 192.168.18.101 on every device, sender 192.168.18.10
program  arpguard_in (tcx), the one that is attached
then     the kernel never gets it, and nothing is answered
"
            .replace("tcx", tc_hook())
        )
    );
    assert_eq!(
        explain(&server, "192.168.18.101 --sent --to 192.168.18.129"),
        (
            0,
            "\
eth0 sent: who-has 192.168.18.129 tell 192.168.18.101 (02:00:00:00:00:10 > ff:ff:ff:ff:ff:ff)
verdict  rewritten to 192.168.18.10, leaking_request: its sender is to be kept out of the device's ARP
rule     hide 192.168.18.101 on every device, sender 192.168.18.10
program  arpguard_out (tcx), the one that is attached
then     it leaves by eth0 as who-has 192.168.18.129 tell 192.168.18.10 (02:00:00:00:00:10 > ff:ff:ff:ff:ff:ff)
kernel   the kernel itself would ask as 192.168.18.101: arp_announce is 0 on eth0
"
            .replace("tcx", tc_hook())
        )
    );
    assert_eq!(
        explain(&server, "192.168.18.10 --from 192.168.18.101 --unicast"),
        (
            0,
            "\
eth0 received: who-has 192.168.18.10 tell 192.168.18.101 (02:00:00:00:00:01 > 02:00:00:00:00:10)
verdict  answered, martian_request: a director asks in the name of a hidden address, which the kernel would discard
rule     hide 192.168.18.101 on every device, sender 192.168.18.10
program  arpguard_in (tcx), the one that is attached
then     the answer of the program leaves: reply 192.168.18.10 is-at 02:00:00:00:00:10 (02:00:00:00:00:10 > 02:00:00:00:00:01)
"
            .replace("tcx", tc_hook())
        )
    );
    server.set("net/ipv4/conf/eth0/arp_ignore", "1");
    server.sh("ip addr add 192.168.18.103/32 dev lo");
    assert_eq!(
        explain(&server, "192.168.18.103 --kind probe --dev eth0"),
        (
            0,
            "\
eth0 received: probe who-has 192.168.18.103 (02:00:00:00:00:01 > ff:ff:ff:ff:ff:ff)
verdict  passed, permitted: no rule says otherwise
rule     none decides
program  arpguard_in (tcx), the one that is attached
then     the kernel answers nothing: arp_ignore is 1 on eth0, and 192.168.18.103 is lo's
"
            .replace("tcx", tc_hook())
        )
    );
    let (status, json) = explain(&server, "192.168.18.101 --kind announcement --sent -o json");
    let index = server.enter(|| nix::net::if_::if_nametoindex("eth0").unwrap());
    let hook = tc_hook();
    assert_eq!(
        (status, json),
        (
            0,
            format!(
                r#"{{"frame":null,"device":"eth0","index":{index},"direction":"sent","kind":"announcement","operation":1,"sha":"02:00:00:00:00:10","spa":"192.168.18.101","tha":"00:00:00:00:00:00","tpa":"192.168.18.101","source":"02:00:00:00:00:10","destination":"ff:ff:ff:ff:ff:ff","hook":"{hook}","program":"arpguard_out","attached":true,"reason":"leaking_announcement","outcome":"dropped","policy":"hide","audit":false,"rule":{{"policy":"hide","address":"192.168.18.101/32","device":null,"rip":"192.168.18.10","shield":false,"audit":false,"same_subnet":false,"promoted":false,"mac":null,"when":null,"forced":false}},"rip":null,"out":null,"kernel":null,"reply":null,"answer":null,"note":null,"sender":null,"leak":null}}
"#
            )
        )
    );
    // Nothing of all that was counted, and each device is told of in turn.
    assert!(server.guard("status").ends_with("no ARP was seen yet\n"));
    Wire::between(
        (&server, "eth1", Mac([2, 0, 0, 0, 1, 0x10])),
        (&peer, "eth1", None),
    );
    let (status, text) = explain(&server, "192.168.18.101");
    assert_eq!(status, 3);
    let second = "
eth1 received: who-has 192.168.18.101 tell 192.0.2.1 (02:00:00:00:00:01 > ff:ff:ff:ff:ff:ff)
verdict  none: nothing is attached to eth1 for what is received
then     the kernel answers on eth1, and the reply leaves: reply 192.168.18.101 is-at 02:00:00:00:01:10 (02:00:00:00:01:10 > 02:00:00:00:00:01)
leak     the LAN learns it by eth1: the rule (hide 192.168.18.101 on every device, sender 192.168.18.10) does not hold, as nothing is attached to eth1
";
    let (first, told) = text.split_at(text.find("\n\n").unwrap() + 1);
    assert!(first.starts_with("eth0 received: "), "{text}");
    assert_eq!(told, second);
}

#[test]
fn a_rule_that_only_counts_leaks_and_pins_and_strict_devices_are_told() {
    let (server, peer) = hiding("--audit");
    Wire::between(
        (&server, "eth1", Mac([2, 0, 0, 0, 1, 0x10])),
        (&peer, "eth1", None),
    );
    server.sh("ip addr add 10.0.0.10/24 dev eth1");
    assert_eq!(
        explain(&server, "192.168.18.101 --sent --kind reply --dev eth0"),
        (
            3,
            "\
eth0 sent: reply 192.168.18.101 is-at 02:00:00:00:00:10 (02:00:00:00:00:10 > 02:00:00:00:00:01)
verdict  passed (audit: dropped), leaking_reply: it answers for what is to be kept out of the device's ARP; the rule only counts
rule     hide 192.168.18.101 on every device, sender 192.168.18.10, audit
program  arpguard_out (tcx), the one that is attached
then     it leaves by eth0
leak     the LAN learns it by eth0: the rule (hide 192.168.18.101 on every device, sender 192.168.18.10, audit) only counts
"
            .replace("tcx", tc_hook())
        )
    );
    let (status, text) = explain(&server, "192.168.18.101 --dev eth0");
    assert_eq!((status, text.lines().count()), (3, 6), "{text}");
    server.guard("unhide 192.168.18.101");
    server.guard("pin 192.168.18.101 --dev eth1");
    server.guard("strict on --dev eth1 --same-subnet");
    let rule = |line: &str| {
        let (status, text) = explain(&server, line);
        let rows = text
            .lines()
            .filter(|line| line.starts_with("verdict") || line.starts_with("rule"));
        (status, rows.map(str::to_owned).collect::<Vec<_>>())
    };
    for (line, verdict, told) in [
        (
            "192.168.18.101 --dev eth0",
            "dropped, hidden_request: it asks for an address that is hidden here",
            "pin 192.168.18.101 to eth1",
        ),
        (
            "192.168.18.101 --dev eth1",
            "passed, permitted: no rule says otherwise",
            "none decides",
        ),
        (
            "192.168.18.10 --dev eth1",
            "dropped, foreign_request: it asks a strict device for what that does not own",
            "strict on eth1, same-subnet",
        ),
        (
            "10.0.0.10 --from 172.16.0.1 --dev eth1",
            "dropped, wrong_subnet: it comes from outside of the subnets of a strict device",
            "strict on eth1, same-subnet",
        ),
        (
            "192.168.18.10 --dev eth1 --sent",
            "rewritten to 10.0.0.10, leaking_request: its sender is to be kept out of the device's ARP",
            "strict on eth1, same-subnet",
        ),
    ] {
        let rows = vec![format!("verdict  {verdict}"), format!("rule     {told}")];
        assert_eq!(rule(line), (0, rows), "{line}");
    }
}

#[test]
fn the_rule_is_told_as_list_tells_it_with_its_fallback_and_its_check() {
    let (server, peer) = real_server();
    Wire::between(
        (&server, "eth1", Mac([2, 0, 0, 0, 1, 0x10])),
        (&peer, "eth1", None),
    );
    server.sh("ip addr add 10.0.0.10/24 dev eth1");
    for (command, question, told) in [
        (
            "pin 192.168.18.101 --dev eth1 --fallback eth0 --hold 7",
            "192.168.18.101 --dev eth0",
            "rule     pin 192.168.18.101 to eth1, fallback eth0 hold 7\n",
        ),
        (
            "answer 192.168.18.102 --dev eth0 --when tcp:80 --force",
            "192.168.18.102 --dev eth0",
            "rule     answer 192.168.18.102 on eth0, force, when tcp:80\n",
        ),
    ] {
        server.guard(command);
        let (status, text) = explain(&server, question);
        assert_eq!(status, 0, "{text}");
        assert!(text.contains(told), "{text}");
        let list: Value = serde_json::from_str(&server.guard("-o json list")).unwrap();
        let (_, text) = explain(&server, &format!("{question} -o json"));
        assert_eq!(objects(&text)[0]["rule"], list[0], "{text}");
        server.guard("flush");
    }
}

#[test]
fn a_capture_is_told_frame_by_frame() {
    let (server, _peer) = hiding("--audit");
    let client = Mac([2, 0, 0, 0, 0, 0x81]);
    let near = [192, 168, 18, 129].into();
    let frames = [
        arp::request(client, near, RIP).bytes(),
        arp::request(client, near, VIP).bytes(),
        [&[0xff; 12][..], &[0x08, 0x00], &[0; 46]].concat(),
        arp::request(client, near, VIP)
            .tagged(&[(arp::Q, 0); 7])
            .bytes(),
        arp::Frame {
            htype: 7,
            ..arp::request(client, near, VIP)
        }
        .bytes(),
    ];
    let directory = Directory::new("captures");
    let frames = || frames.iter().map(Vec::as_slice);
    let text = "\
1 eth0 received permitted passed: who-has 192.168.18.10 tell 192.168.18.129 (02:00:00:00:00:81 > ff:ff:ff:ff:ff:ff); the kernel answers on eth0, and the reply leaves: reply 192.168.18.10 is-at 02:00:00:00:00:10 (02:00:00:00:00:10 > 02:00:00:00:00:81)
2 eth0 received hidden_request passed (audit: dropped): who-has 192.168.18.101 tell 192.168.18.129 (02:00:00:00:00:81 > ff:ff:ff:ff:ff:ff); the kernel answers on eth0, and the reply leaves: reply 192.168.18.101 is-at 02:00:00:00:00:10 (02:00:00:00:00:10 > 02:00:00:00:00:81) [leak]
4 eth0 received passed: who-has 192.168.18.101 tell 192.168.18.129 (02:00:00:00:00:81 > ff:ff:ff:ff:ff:ff); the kernel answers on eth0, and the reply leaves: reply 192.168.18.101 is-at 02:00:00:00:00:10 (02:00:00:00:00:10 > 02:00:00:00:00:81) [leak]
5 eth0 received unparsed passed: operation 1, hardware type 7 of 6 bytes, protocol 0x0800 of 4 bytes (02:00:00:00:00:81 > ff:ff:ff:ff:ff:ff); the kernel answers nothing: it takes no such packet
4 frames on eth0, 2 leaks; 1 left out, which carry no ARP
";
    for (name, bytes) in [
        ("pcap", pcap(ETHERNET, frames())),
        ("pcapng", pcapng(ETHERNET, frames())),
    ] {
        let path = write(&directory, name, &bytes);
        assert_eq!(
            explain(&server, &format!("--pcap {path}")),
            (3, text.to_owned())
        );
    }
    let whole = pcap(ETHERNET, frames());
    let cooked = "frame 1 is Linux cooked, without the Ethernet header that it came in; \
                  capture on the device itself, not on any: tcpdump -i eth0 -w FILE arp";
    for (name, bytes, why) in [
        ("cut", &whole[..whole.len() - 1], "it ends within a frame"),
        ("empty", &[], "it is empty"),
        ("text", &[b'x'; 100], "it is neither pcap nor pcapng"),
        ("cooked", &pcap(COOKED, frames()), cooked),
        ("cooked-ng", &pcapng(COOKED, frames()), cooked),
    ] {
        let path = write(&directory, name, bytes);
        let (status, told) = refused(&server, &format!("--pcap {path}"));
        assert_eq!(
            (status, told),
            (1, format!("arpguard: read the capture: {path}: {why}\n"))
        );
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    let (server, peer) = real_server();
    for (line, status, told) in [
        (
            "",
            2,
            "read the arguments: IP: it is required; see `arpguard explain --help`",
        ),
        (
            "192.168.18.101 --kind probe --from 192.168.18.1",
            2,
            "explain: --from: a probe has no sender, and asks for the address itself",
        ),
        (
            "192.168.18.101 --kind announcement --sent --to 192.168.18.1",
            2,
            "explain: --to: an announcement is about its sender alone",
        ),
        (
            "192.168.18.101 --dev eth7",
            1,
            "find the device: eth7: there is no such device; there are lo, eth0",
        ),
    ] {
        assert_eq!(
            refused(&server, line),
            (status, format!("arpguard: {told}\n"))
        );
    }
    Wire::between(
        (&server, "eth1", Mac([2, 0, 0, 0, 1, 0x10])),
        (&peer, "eth1", None),
    );
    let told = "arpguard: explain: --pcap: a capture does not tell which device it is of; \
                name one with --dev: eth0, eth1\n";
    assert_eq!(refused(&server, "--pcap /dev/null"), (2, told.to_owned()));
    // Nothing is loaded, and nothing was by being asked.
    let (status, text) = explain(&server, "192.168.18.10 --dev eth0");
    assert!(
        text.contains("verdict  none: nothing is attached to eth0"),
        "{text}"
    );
    assert_eq!(status, 0);
    let loaded = server.guard("status");
    assert_eq!(loaded, "arpguard is not loaded in this network namespace\n");
    let mut unprivileged = server.command("setpriv");
    unprivileged
        .args([
            "--reuid",
            "65534",
            "--clear-groups",
            "--bounding-set",
            "-all",
        ])
        .arg(arpguard())
        .args(["explain", "192.168.18.10"]);
    let output = Output::of(&mut unprivileged);
    assert_eq!(output.status.code(), Some(1), "{output}");
    assert!(
        output
            .stderr
            .starts_with("arpguard: use BPF: this process: it lacks CAP_"),
        "{output}"
    );
}
