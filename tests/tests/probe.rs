//! `arpguard probe`: who answers, in which form, and what that comes to.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on panics, also outside of #[test]"
)]

use std::{
    fs,
    net::Ipv4Addr,
    process::{Child, Command, Stdio},
};

use arpguard_common::wire::Mac;
use arpguard_tests::{
    arp::{self, AD, Frame, IEEE_802, Q},
    cluster::Cluster,
    lab::{Namespace, Output, Port, Segment, Wire, arpguard, patience},
    pins::Pins,
    running::{Directory, holding},
    server::real_server,
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

const VIP: Ipv4Addr = Ipv4Addr::new(192, 168, 18, 101);
const DIRECTOR: &str = "02:00:00:01:00:0a";

/// Runs it; gives its exit status and all that it wrote.
fn probe(host: &Namespace, line: &str) -> (Option<i32>, String, String) {
    let words: Vec<_> = line.split_whitespace().collect();
    let output = host.arpguard(&words);
    (output.status.code(), output.stdout, output.stderr)
}

fn told(status: i32, stdout: &str, stderr: &str) -> (Option<i32>, String, String) {
    (Some(status), stdout.to_owned(), stderr.to_owned())
}

#[test]
fn unguarded_real_servers_leak_in_every_form() {
    let cluster = Cluster::direct_routing();
    let line = format!("probe {VIP} 192.168.18.77 --dev eth0 --expect {DIRECTOR}");
    let table = "\
ADDRESS         MAC                RESULT    FORMS
192.168.18.77   -                  missing   no answer
192.168.18.101  02:00:00:01:00:0a  expected  every form
192.168.18.101  02:00:00:01:00:0b  leak      every form
192.168.18.101  02:00:00:01:00:0c  leak      every form
192.168.18.101  02:00:00:01:00:0d  leak      every form
";
    assert_eq!(probe(&cluster.asker.host, &line), told(3, table, ""));

    let line = format!("-o json probe {VIP} 192.168.18.77 --dev eth0");
    let claim = |last: &str| {
        let mac = format!("02:00:00:01:00:{last}");
        format!(
            "{{\"address\":\"{VIP}\",\"mac\":\"{mac}\",\"source\":\"{mac}\",\"vendor\":null,\
             \"result\":\"flux\",\"forms\":[\"broadcast\",\"unicast\",\"probe\",\"hardware-6\",\
             \"priority-tag\",\"nested-tags\",\"outside\"]}}\n"
        )
    };
    let silent = "{\"address\":\"192.168.18.77\",\"mac\":null,\"source\":null,\"vendor\":null,\
                  \"result\":null,\"forms\":[]}\n";
    let claims: String = ["0a", "0b", "0c", "0d"].map(claim).concat();
    assert_eq!(
        probe(&cluster.asker.host, &line),
        told(3, &format!("{silent}{claims}"), "")
    );
}

/// With the director, and without anybody who may answer.
fn no_leak(options: &str) {
    let cluster = Cluster::direct_routing();
    cluster.guard(options);
    let table = "\
ADDRESS         MAC                RESULT    FORMS
192.168.18.101  02:00:00:01:00:0a  expected  every form
";
    let director = format!("probe {VIP} --dev eth0 --expect {DIRECTOR}");
    assert_eq!(probe(&cluster.asker.host, &director), told(0, table, ""));

    let nobody = format!("probe {VIP}/32 192.168.18.96/28 --dev eth0 --expect none");
    let director = &cluster.stations[0].host;
    director.sh(&format!("ip addr del {VIP}/32 dev eth0"));
    let table = "\
ADDRESS         MAC  RESULT    FORMS
192.168.18.101  -    expected  no answer
";
    assert_eq!(probe(&cluster.asker.host, &nobody), told(0, table, ""));
}

#[test]
fn guarded_ones_are_silent_with_native_xdp() {
    no_leak("--attach native");
}

#[test]
fn guarded_ones_are_silent_with_generic_xdp() {
    no_leak("--attach generic");
}

#[test]
fn guarded_ones_are_silent_at_the_tc_hook() {
    no_leak("--attach tc");
}

#[test]
fn a_leak_by_unicast_alone_is_found() {
    let cluster = Cluster::direct_routing();
    cluster.guard("");
    // As the `hidden` patch did, one real server is silent to broadcasts only.
    let leaking = &cluster.stations[2];
    leaking.host.guard("detach");
    let answers = Port::open(&leaking.host, "eth0");
    leaking.host.sh("ip addr del 192.168.18.101/32 dev lo");
    let (mac, asker) = (leaking.mac, &cluster.asker);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let asked = arp::request(asker.mac, asker.ip, VIP).to(mac).bytes();
            for _ in 0..2 {
                answers.until(|frame| frame == asked);
                answers.send(&arp::reply(mac, VIP, asker.mac, asker.ip).bytes());
            }
        });
        // The kernel of the one who asks has it as a neighbour.
        asker.host.sh(&format!(
            "ip neigh replace {} lladdr {mac} nud permanent dev eth0",
            leaking.ip
        ));
        let line = format!("probe {VIP} --dev eth0 --expect {DIRECTOR}");
        let table = "\
ADDRESS         MAC                RESULT    FORMS
192.168.18.101  02:00:00:01:00:0a  expected  every form
192.168.18.101  02:00:00:01:00:0c  leak      unicast
";
        assert_eq!(probe(&asker.host, &line), told(3, table, ""));
    });
}

#[test]
fn the_questions_are_these_frames_whatever_the_host_itself_hides() {
    let (server, peer) = real_server();
    server.guard("hide 192.168.18.101 --rip 192.168.18.10");
    let station = Mac([2, 0, 0, 0, 0, 0x20]);
    server.sh(&format!(
        "ip neigh add 192.168.18.20 lladdr {station} nud permanent dev eth0"
    ));
    let port = Port::open(&peer, "eth0");
    let own = Mac([2, 0, 0, 0, 0, 0x10]);
    let rip = Ipv4Addr::new(192, 168, 18, 10);
    let line = format!("probe {VIP} --dev eth0 --timeout 20 --retry 1");
    let table = "ADDRESS         MAC  FORMS\n192.168.18.101  -    no answer\n";
    assert_eq!(probe(&server, &line), told(0, table, ""));
    let request = || arp::request(own, rip, VIP);
    let hardware_6 = Frame {
        htype: IEEE_802,
        ..request()
    };
    let questions = [
        request(),
        request().to(station),
        arp::probe(own, VIP),
        hardware_6,
        request().tagged(&[(Q, 0)]),
        request().tagged(&[(AD, 0), (Q, 0)]),
        request().from([192, 0, 2, 1].into()),
    ];
    assert_eq!(frames(&port), questions);

    // In another name, in one form; and for its own address in nobody's, which would announce it.
    server.sh("ip addr add 192.168.18.11/24 dev eth0");
    let line = format!("probe {VIP} 192.168.18.11 --dev eth0 --form broadcast --timeout 20");
    let (status, ..) = probe(&server, &format!("{line} --from 192.168.18.11"));
    assert_eq!(status, Some(0));
    let other = [
        arp::probe(own, [192, 168, 18, 11].into()),
        request().from([192, 168, 18, 11].into()),
    ];
    assert_eq!(frames(&port), [other.clone(), other].concat());
}

/// The ARP that has come, of whose frames none was cut.
fn frames(port: &Port) -> Vec<Frame> {
    let frames = port.drain();
    frames
        .iter()
        .map(|frame| Frame::read(frame).unwrap())
        .collect()
}

#[test]
fn flux_is_found_and_its_cure_too() {
    let segment = Segment::new();
    let (client, host) = (Namespace::new("client"), Namespace::new("host"));
    let mac = |last| Mac([2, 0, 0, 2, 0, last]);
    segment.attach(&client, "eth0", mac(7), &["10.211.55.7/24"]);
    segment.attach(&host, "eth0", mac(13), &["10.211.55.13/24"]);
    segment.attach(&host, "eth1", mac(14), &["10.211.55.14/24"]);
    let line = "probe --all-local --dev eth0";
    let table = "\
ADDRESS       MAC                RESULT  FORMS
10.211.55.13  02:00:00:02:00:0d  flux    broadcast
10.211.55.13  02:00:00:02:00:0e  flux    broadcast
10.211.55.14  02:00:00:02:00:0d  flux    broadcast
10.211.55.14  02:00:00:02:00:0e  flux    broadcast
";
    assert_eq!(probe(&client, line), told(3, table, ""));
    host.set("net/ipv4/conf/all/arp_ignore", "1");
    let none = "none of 256 addresses is answered by more than one station\n";
    assert_eq!(probe(&client, line), told(0, none, ""));
}

#[test]
fn a_prefix_shows_who_is_there() {
    let cluster = Cluster::direct_routing();
    cluster.guard("");
    let line = "probe 192.168.18.0/25 --dev eth0 --form broadcast --form probe";
    let table = "\
ADDRESS         MAC                FORMS
192.168.18.10   02:00:00:01:00:0a  every form
192.168.18.11   02:00:00:01:00:0b  every form
192.168.18.12   02:00:00:01:00:0c  every form
192.168.18.13   02:00:00:01:00:0d  every form
192.168.18.101  02:00:00:01:00:0a  every form
";
    assert_eq!(probe(&cluster.asker.host, line), told(0, table, ""));
    let line = "probe 192.168.18.128/26 --dev eth0 --form broadcast --timeout 20";
    let none = "none of 64 addresses is answered by anybody\n";
    assert_eq!(probe(&cluster.asker.host, line), told(0, none, ""));
}

#[test]
fn a_host_without_an_address_asks_in_nobodys_name() {
    let (_server, peer) = real_server();
    let line = "probe 192.168.18.10 --dev eth0 --form broadcast";
    let table = "\
ADDRESS        MAC                FORMS
192.168.18.10  02:00:00:00:00:10  broadcast
";
    let word = "arpguard: probe: eth0: it has no address, so questions are asked in the name of \
                0.0.0.0\n";
    assert_eq!(probe(&peer, line), told(0, table, word));
    let line = format!("{line} --from 0.0.0.0");
    assert_eq!(probe(&peer, &line), told(0, table, ""));
}

/// A probe that runs.
struct Running(Child);

impl Running {
    fn start(host: &Namespace, line: &str) -> Self {
        let mut command = host.command(arpguard());
        command.args(line.split_whitespace());
        command.stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Self(command.spawn().unwrap())
    }

    fn interrupt(&self) {
        let id = self.0.id().try_into().unwrap();
        kill(Pid::from_raw(id), Signal::SIGINT).unwrap();
    }

    fn end(self) -> (Option<i32>, String, String) {
        let output = self.0.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (
            output.status.code(),
            text(output.stdout),
            text(output.stderr),
        )
    }
}

#[test]
fn what_is_said_unasked_is_heard_too() {
    let (server, peer) = real_server();
    let port = Port::open(&peer, "eth0");
    let line = format!("probe {VIP} --dev eth0 --form broadcast --expect none --listen 5");
    let running = Running::start(&server, &line);
    port.receive(patience()).unwrap();
    let mac = |last| Mac([2, 0, 0, 0, 1, last]);
    let far = [192, 168, 18, 200].into();
    for frame in [
        arp::announcement(mac(1), VIP),
        arp::announcing_reply(mac(2), VIP),
        arp::request(mac(3), VIP, far),
        Frame {
            source: mac(5),
            ..arp::announcement(mac(4), VIP)
        },
        // None of these is a claim that this host hears.
        arp::probe(mac(6), VIP),
        arp::request(mac(7), far, VIP),
        arp::announcement(mac(8), VIP).tagged(&[(Q, 7)]),
        arp::reply(mac(9), VIP, mac(1), far),
    ] {
        port.send(&frame.bytes());
    }
    let table = "\
ADDRESS         MAC                RESULT  FORMS
192.168.18.101  02:00:00:00:01:01  leak    announcement
192.168.18.101  02:00:00:00:01:02  leak    announcement
192.168.18.101  02:00:00:00:01:03  leak    request
192.168.18.101  02:00:00:00:01:04  leak    announcement (from 02:00:00:00:01:05)
";
    assert_eq!(running.end(), told(3, table, ""));
}

#[test]
fn a_priority_tagged_answer_is_heard() {
    let (server, peer) = real_server();
    let port = Port::open(&peer, "eth0");
    let line = format!("probe {VIP} --dev eth0 --form broadcast");
    let running = Running::start(&server, &line);
    port.receive(patience()).unwrap();
    let (own, other) = (Mac([2, 0, 0, 0, 0, 0x10]), Mac([2, 0, 0, 0, 1, 1]));
    let reply = arp::reply(other, VIP, own, [192, 168, 18, 10].into());
    port.send(&reply.tagged(&[(Q, 0xe000)]).bytes());
    let table = "\
ADDRESS         MAC                FORMS
192.168.18.101  02:00:00:00:01:01  broadcast
";
    assert_eq!(running.end(), told(0, table, ""));
}

#[test]
fn interrupted_it_shows_what_it_knows_and_fails() {
    let (server, peer) = real_server();
    peer.sh("ip link set eth0 address 02:00:00:00:00:81");
    peer.sh("ip addr add 10.0.0.1/32 dev lo");
    let port = Port::open(&peer, "eth0");
    let running = Running::start(&server, "probe 10.0.0.0/17 10.9.9.9 --dev eth0");
    // The addresses are asked for in their order: this is long after the first was answered.
    port.until(|frame| {
        Frame::read(frame).is_some_and(|frame| frame.tpa == Ipv4Addr::new(10, 0, 3, 0))
    });
    running.interrupt();
    let table = "\
ADDRESS   MAC                FORMS
10.0.0.1  02:00:00:00:00:81  broadcast
";
    let why = "arpguard: probe: eth0: a signal asked arpguard to end while it asked in the form \
               broadcast, so not all was asked\n";
    assert_eq!(running.end(), told(1, table, why));
}

#[test]
fn it_takes_one_capability_and_no_bpf() {
    let (server, peer) = real_server();
    let run = |capabilities: &str| {
        let script = format!(
            "umount -l /sys/fs/bpf; exec setpriv --bounding-set {capabilities} \
             --inh-caps {capabilities} {} probe 192.168.18.10 --dev eth0 --form broadcast",
            arpguard().display()
        );
        let mut command = peer.command("unshare");
        Output::of(command.args(["-m", "sh", "-c", &script]))
    };
    peer.sh("ip addr add 192.168.18.1/24 dev eth0");
    let output = run("-all,+net_raw");
    let table = "\
ADDRESS        MAC                FORMS
192.168.18.10  02:00:00:00:00:10  broadcast
";
    assert_eq!(
        (output.status.code(), &*output.stdout, &*output.stderr),
        (Some(0), table, "")
    );
    let output = run("-all");
    let why = "arpguard: open a packet socket: eth0: Operation not permitted; run it as root, or \
               with CAP_NET_RAW\n";
    assert_eq!(
        (output.status.code(), &*output.stdout, &*output.stderr),
        (Some(1), "", why)
    );
    drop(server);
}

#[test]
fn what_this_host_cannot_hear_is_told() {
    let (server, _peer) = real_server();
    server.guard("hide 192.168.18.101 192.168.18.102 --shield");
    server.guard("hide 192.168.18.102 --shield --audit");
    let line = "probe 192.168.18.101 --dev eth0 --expect none";
    let why = "arpguard: probe: 192.168.18.101: this host shields it, and so does not hear who \
               claims it; probe from another host\n";
    assert_eq!(probe(&server, line), told(1, "", why));
    let line = "probe 192.168.18.102 192.168.18.10 --dev eth0 --form broadcast --timeout 20";
    let table = "\
ADDRESS         MAC  FORMS
192.168.18.10   -    no answer
192.168.18.102  -    no answer
";
    let why = "arpguard: probe: 192.168.18.10: this host has it, and no host hears itself\n";
    assert_eq!(probe(&server, line), told(0, table, why));
}

#[test]
fn nothing_is_expected_of_what_this_host_has_itself() {
    let (server, peer) = real_server();
    let port = Port::open(&peer, "eth0");
    let why = "arpguard: probe: 192.168.18.10: this host has it, and no host hears itself; probe \
               from another host\n";
    for expected in ["none", DIRECTOR] {
        let line = format!("probe 192.168.18.10 --dev eth0 --expect {expected}");
        assert_eq!(probe(&server, &line), told(1, "", why));
    }
    assert_eq!(port.drain(), [[0; 0]; 0]);
    // Of a prefix, the others are asked for.
    let line = "probe 192.168.18.8/30 --dev eth0 --expect none --form broadcast --timeout 20";
    let none = "none of 4 addresses is answered by anybody\n";
    assert_eq!(probe(&server, line), told(0, none, ""));
}

#[test]
fn an_agent_that_holds_the_state_is_asked_what_it_shields() {
    let (server, _peer) = real_server();
    let directory = Directory::new("probe-held");
    let socket = directory.file("sock");
    let _agent = holding(&server, &socket, "192.168.18.102");
    let ask = |line: &str| {
        let mut command = server.command(arpguard());
        command.args(["--socket", &socket]);
        Output::of(command.args(line.split_whitespace()))
    };
    assert!(ask("hide 192.168.18.101 192.168.18.103 --shield").success());
    assert!(ask("hide 192.168.18.103 --shield --audit").success());
    let output = ask("probe 192.168.18.101 --dev eth0 --expect none");
    let why = "arpguard: probe: 192.168.18.101: this host shields it, and so does not hear who \
               claims it; probe from another host\n";
    assert_eq!(output.told(), (Some(1), "", why));
    for free in ["192.168.18.102", "192.168.18.103"] {
        let line = format!("probe {free} --dev eth0 --expect none --timeout 20 --retry 1");
        assert_eq!(ask(&line).status.code(), Some(0));
    }
}

#[test]
fn nothing_is_mounted_or_waited_for() {
    let (server, _peer) = real_server();
    // Process 1 is this one's own, so there is no other file system to look at.
    let script = format!(
        "umount -l /sys/fs/bpf; {} probe {VIP} --dev eth0 --form broadcast --timeout 20; \
         stat -f -c %T /sys/fs/bpf",
        arpguard().display()
    );
    let mut command = server.command("unshare");
    let output = Output::of(command.args(["-m", "-p", "-f", "--mount-proc", "sh", "-c", &script]));
    assert!(!output.stdout.contains("bpf_fs"), "{output}");
    assert!(output.stdout.contains("no answer"), "{output}");
    // A change is under way, or its process has died.
    server.guard("hide 192.168.18.102 --shield");
    let journal = Pins::of(&server).directory().join("journal");
    fs::create_dir(&journal).unwrap();
    let line = "probe 192.168.18.102 --dev eth0 --expect none";
    let why = "arpguard: probe: 192.168.18.102: this host shields it, and so does not hear who \
               claims it; probe from another host\n";
    assert_eq!(probe(&server, line), told(1, "", why));
    assert!(journal.exists());
    fs::remove_dir(&journal).unwrap();
}

#[test]
fn every_address_is_asked_for_in_turn_as_often_as_is_told_at_any_rate() {
    let (server, peer) = real_server();
    let port = Port::open(&peer, "eth0");
    let line =
        "probe 192.168.18.96/28 --dev eth0 --form probe --form broadcast --retry 2 --timeout 20";
    let (own, rip) = (Mac([2, 0, 0, 0, 0, 0x10]), [192, 168, 18, 10].into());
    let targets = || (96..112).map(|last| Ipv4Addr::new(192, 168, 18, last));
    let probes: Vec<_> = targets().map(|target| arp::probe(own, target)).collect();
    let requests: Vec<_> = targets()
        .map(|target| arp::request(own, rip, target))
        .collect();
    let expected = [requests.clone(), requests, probes.clone(), probes].concat();
    for rate in ["200", "1000000"] {
        let (status, ..) = probe(&server, &format!("{line} --rate {rate}"));
        assert_eq!(status, Some(0));
        assert_eq!(frames(&port), expected, "{rate}");
    }
}

#[test]
fn vendors_are_shown_where_the_machine_has_a_list() {
    let (near, far) = (Namespace::new("near"), Namespace::new("far"));
    Wire::between(
        (&near, "eth0", Mac([2, 0, 0, 0, 0, 1])),
        (&far, "eth0", Mac([0, 0, 0x0c, 7, 0xac, 1])),
    );
    near.sh("ip addr add 192.168.18.1/24 dev eth0");
    far.sh("ip addr add 192.168.18.2/24 dev eth0");
    let run = |list: &str, format: &str| {
        let script = format!(
            "for at in /usr/lib/udev /lib/udev /usr/share; do \
             if [ -d $at ]; then mount -t tmpfs none $at; fi; done; \
             mkdir -p /usr/share/nmap; printf '{list}' > /usr/share/nmap/nmap-mac-prefixes; \
             exec {} {format} probe 192.168.18.2 --dev eth0 --form broadcast",
            arpguard().display()
        );
        let mut command = near.command("unshare");
        Output::of(command.args(["-m", "sh", "-c", &script])).stdout
    };
    let table = "\
ADDRESS       MAC                VENDOR         FORMS
192.168.18.2  00:00:0c:07:ac:01  Cisco Systems  broadcast
";
    assert_eq!(run("00000C Cisco Systems\\n", ""), table);
    let object = "{\"address\":\"192.168.18.2\",\"mac\":\"00:00:0c:07:ac:01\",\
                  \"source\":\"00:00:0c:07:ac:01\",\"vendor\":\"Cisco Systems\",\"result\":null,\
                  \"forms\":[\"broadcast\"]}\n";
    assert_eq!(run("00000C Cisco Systems\\n", "-o json"), object);
    let unknown = "\
ADDRESS       MAC                FORMS
192.168.18.2  00:00:0c:07:ac:01  broadcast
";
    assert_eq!(run("00000D Other\\n", ""), unknown);
}

/// Each: the arguments, the exit status, and the one line on standard error.
const WRONG: &[(&str, i32, &str)] = &[
    (
        "probe --dev eth0",
        2,
        "read the arguments: IP: it is required; see `arpguard probe --help`",
    ),
    (
        "probe 192.168.18.101",
        2,
        "read the arguments: --dev IF: it is required; see `arpguard probe --help`",
    ),
    (
        "probe 192.168.18.101 --all-local --dev eth0",
        2,
        "read the arguments: IP: it does not go with --all-local; see `arpguard probe --help`",
    ),
    (
        "probe --all-local --expect none --dev eth0",
        2,
        "read the arguments: --all-local: it does not go with --expect; \
         see `arpguard probe --help`",
    ),
    (
        "probe 192.168.18.101 --dev eth0 --expect nobody",
        2,
        "read the arguments: --expect nobody: neither a MAC address nor none; \
         see `arpguard probe --help`",
    ),
    (
        "probe 192.168.18.101 --dev eth0 --form arp",
        2,
        "read the arguments: --form arp: it can be broadcast, unicast, probe, hardware-6, \
         priority-tag, nested-tags, outside; see `arpguard probe --help`",
    ),
    (
        "probe 192.168.18.101 --dev eth0 --rate 0",
        2,
        "read the arguments: --rate 0: 0 is not in 1..=1000000; see `arpguard probe --help`",
    ),
    (
        "probe 127.0.0.1 --dev eth0",
        2,
        "probe: 127.0.0.1: loopback addresses are not on any LAN",
    ),
    (
        "probe 192.168.0.0/17 10.0.0.0/15 --dev eth0",
        2,
        "probe: 10.0.0.0/15: more than 65536 addresses are too many at a time",
    ),
    (
        "probe 192.168.18.101 --dev eth7",
        1,
        "find the device: eth7: there is no such device; there are lo, eth0, eth1, br0, eth2",
    ),
    (
        "probe 192.168.18.101 --dev lo",
        1,
        "probe on: lo: it is the loopback device, which speaks no ARP",
    ),
    (
        "probe 192.168.18.101 --dev eth1",
        1,
        "probe on: eth1: it is a port of a bridge or bond, which speaks ARP in its place; \
         use br0 instead",
    ),
    (
        "probe 192.168.18.101 --dev br0",
        1,
        "probe on: br0: it is down; bring it up: ip link set br0 up",
    ),
    (
        "probe 192.168.18.101 --dev eth2",
        1,
        "probe on: eth2: it has no carrier, so nobody would hear",
    ),
    (
        "probe 192.168.18.101 --dev eth0 --from 192.168.18.2",
        1,
        "ask in the name of: 192.168.18.2: this host does not have the address, and whoever is \
         asked would believe it has; name one that it has, or 0.0.0.0",
    ),
];

#[test]
fn wrong_input_is_told_in_one_line_and_nothing_is_sent() {
    let (server, peer) = real_server();
    Wire::between(
        (&server, "eth1", Mac([2, 0, 0, 0, 1, 0x10])),
        (&peer, "eth1", None),
    );
    server.sh("ip link add br0 type bridge");
    server.sh("ip link set eth1 master br0");
    Wire::between(
        (&server, "eth2", Mac([2, 0, 0, 0, 2, 0x10])),
        (&peer, "eth2", None),
    );
    peer.sh("ip link set eth2 down");
    let port = Port::open(&peer, "eth0");
    for (line, status, message) in WRONG {
        let expected = told(*status, "", &format!("arpguard: {message}\n"));
        assert_eq!(probe(&server, line), expected, "arpguard {line}");
    }
    assert_eq!(port.drain(), [[0; 0]; 0]);
    let help = Output::of(Command::new(arpguard()).args(["probe", "--help"]));
    assert!(help.stdout.contains("arpguard probe --all-local"), "{help}");
}
