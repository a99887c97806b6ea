//! `arpguard doctor`: each finding is provoked, and gone once its own command was run.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on panics, also outside of #[test]"
)]

use std::{
    env, fs,
    os::unix::fs::symlink,
    path::PathBuf,
    process::{Child, Command},
    sync::{Mutex, MutexGuard, PoisonError},
};

use arpguard_common::wire::Mac;
use arpguard_tests::{
    arp,
    bpf::{Kind, Program, TC_NEXT, XDP_PASS},
    former::lay_out,
    kernel::{Feature, has, lacks, tc_hook, veth_hooks},
    lab::{Namespace, Output, Port, Wire, arpguard, faulty, skip},
    programs::xdp,
    running::{Agent, Directory, eventually, holding},
    server::{pins, real_server},
};
use nix::sys::signal::Signal;
use serde_json::Value;

const VIP: &str = "192.168.18.101";

/// What was found: exit status and findings.
fn examine(server: &Namespace) -> (i32, Vec<Value>) {
    let mut command = server.command(arpguard());
    diagnosis(&Output::of(command.args(["-o", "json", "doctor"])))
}

fn diagnosis(output: &Output) -> (i32, Vec<Value>) {
    assert_eq!(output.stderr, "");
    let all: Value = serde_json::from_str(&output.stdout).unwrap();
    let findings = all["findings"].as_array().unwrap().clone();
    (output.status.code().unwrap(), findings)
}

/// What is told of `eth0` before it is guarded, and that it all is.
fn veth_ending(summary: &str) -> String {
    let (hooks, tc) = (veth_hooks(), tc_hook());
    format!(
        "\
device   eth0 (veth, MTU 1500): {hooks}
         by itself arpguard takes {tc}: on veth XDP would copy every packet

{summary}
"
    )
}

/// The checks that have found something, with their severities and subjects.
fn checks(findings: &[Value]) -> Vec<(&str, &str, &str)> {
    fn text<'a>(finding: &'a Value, key: &str) -> &'a str {
        finding[key].as_str().unwrap()
    }
    findings
        .iter()
        .map(|one| {
            (
                text(one, "check"),
                text(one, "severity"),
                text(one, "subject"),
            )
        })
        .collect()
}

/// Runs a command of a finding in the namespace, by a shell in which `arpguard` is the one under test.
fn mend(server: &Namespace, finding: &Value) {
    let line = finding["command"].as_str().unwrap();
    let mut command = server.command("sh");
    let directory = arpguard().parent().unwrap().to_owned();
    let path = env::join_paths(
        std::iter::once(directory).chain(env::split_paths(&env::var_os("PATH").unwrap())),
    );
    let output = Output::of(command.args(["-ec", line]).env("PATH", path.unwrap()));
    assert!(output.success(), "{line}: {output}");
}

/// One finding of this check is there, with the exit status that what was found has; its command
/// takes it away, and leaves `rest`, of which nothing is serious.
fn cured(server: &Namespace, check: &str, severity: &str, rest: &[&str]) {
    let (status, findings) = examine(server);
    let found: Vec<_> = findings
        .iter()
        .filter(|one| one["check"] == check)
        .collect();
    let [found] = found.as_slice() else {
        panic!("not one {check}: {findings:#?}");
    };
    assert_eq!(found["severity"], severity, "{found}");
    let is_serious = findings.iter().any(|one| one["severity"] == "serious");
    assert_eq!(status, if is_serious { 3 } else { 0 }, "{findings:#?}");
    mend(server, found);
    let (status, findings) = examine(server);
    let names: Vec<_> = checks(&findings)
        .into_iter()
        .map(|(name, ..)| name)
        .collect();
    assert_eq!(names, rest, "{findings:#?}");
    assert_eq!(status, 0, "{findings:#?}");
}

/// A second device of the server, on a wire of its own.
fn second(server: &Namespace, peer: &Namespace, name: &str) {
    Wire::between(
        (server, name, Mac([2, 0, 0, 0, 1, 0x10])),
        (peer, name, None),
    );
}

#[test]
fn a_healthy_real_server_has_nothing() {
    let (server, _peer) = real_server();
    assert_eq!(
        server.guard("doctor"),
        veth_ending("0 serious, 0 warnings, 0 notes")
    );
    server.guard("hide 192.168.18.101 --rip 192.168.18.10 --add-to lo");
    assert_eq!(examine(&server), (0, Vec::new()));
}

/// What is told of the hooks of a device.
fn hooks(server: &Namespace, device: &str) -> Value {
    let output = server.guard(&format!("-o json doctor --dev {device}"));
    let all: Value = serde_json::from_str(&output).unwrap();
    let [hooks] = &all["devices"].as_array().unwrap()[..] else {
        panic!("{all:#}");
    };
    hooks.clone()
}

fn texts(hooks: &Value, field: &str) -> Vec<String> {
    let texts = hooks[field].as_array().unwrap().iter();
    texts
        .map(|text| text.as_str().unwrap().to_owned())
        .collect()
}

/// The hook that received frames are judged at, of all there are.
const HOOKS: [(&str, &[&str]); 3] = [
    ("native", &["xdp-native"]),
    ("generic", &["xdp-generic"]),
    ("tc", &["tcx", "clsact"]),
];

#[test]
fn what_can_be_attached_is_told_before_it_is() {
    let (server, _peer) = real_server();
    // With fewer queues than its peer, a veth device has no native XDP.
    server.sh("ip link add narrow numrxqueues 1 numtxqueues 1 type veth peer name wide numrxqueues 2 numtxqueues 2");
    server.sh("ip link add mv0 link eth0 type macvlan mode bridge");
    for (tap, mtu) in [("tap0", 1500), ("tap1", 9000)] {
        server.sh(&format!("ip tuntap add dev {tap} mode tap"));
        server.sh(&format!("ip link set {tap} mtu {mtu}"));
    }
    // Device, what its driver says of native XDP, what `--attach auto` begins with.
    let told = [
        ("eth0", "multi-buffer", "tc"),
        ("narrow", "none", "tc"),
        ("tap0", "one-buffer", "native"),
        ("tap1", "one-buffer", "native"),
        ("mv0", "none", "tc"),
    ];
    for (device, native, auto) in told {
        let told = hooks(&server, device);
        let (can, may, tried) = (
            texts(&told, "can"),
            texts(&told, "may"),
            texts(&told, "auto"),
        );
        let is = |word: &str, hook: &str| {
            let own = HOOKS.iter().find(|(name, _)| *name == word);
            own.is_some_and(|(_, names)| names.contains(&hook))
        };
        if has(Feature::DriverFeatures) {
            assert_eq!(told["native"], native, "{told:#}");
            assert!(is(auto, &tried[0]), "{auto}: {told:#}");
        } else {
            assert_eq!(told["native"], Value::Null, "{told:#}");
            assert_eq!(may, ["xdp-native"], "{told:#}");
        }
        assert_eq!(told["guarded"], Value::Null);
        // What was told is what then is.
        let hide = |mode: &str| {
            let words = [
                "hide",
                VIP,
                "--rip",
                "192.168.18.10",
                "--dev",
                device,
                "--attach",
                mode,
            ];
            server.arpguard(&words).success()
        };
        assert!(hide("auto"));
        let guarded = hooks(&server, device);
        let hook = guarded["guarded"].as_str().unwrap().to_owned();
        assert!(tried.contains(&hook), "{hook}: {told:#}");
        assert_eq!(texts(&guarded, "auto"), [""; 0]);
        assert_eq!(texts(&guarded, "can"), can);
        for (mode, names) in HOOKS {
            let is_among = |all: &[String]| all.iter().any(|hook| names.contains(&hook.as_str()));
            let had = hide(mode);
            assert!(had || !is_among(&can), "{mode}: {told:#}");
            assert!(!had || is_among(&can) || is_among(&may), "{mode}: {told:#}");
        }
        server.guard("detach");
    }
    // The whole of it, for people.
    if has(Feature::DriverFeatures) {
        let tc = tc_hook();
        let mut command = server.command(arpguard());
        let output =
            Output::of(command.args(["doctor", "--dev", "tap0", "--dev", "tap1", "--dev", "mv0"]));
        let text = format!(
            "\
device   mv0 (macvlan, MTU 1500): xdp-generic and {tc} can attach
         by itself arpguard takes {tc}: its driver has no native XDP; generic XDP would get its frames without their VLAN tags

device   tap0 (tun, MTU 1500): xdp-native (one buffer), xdp-generic and {tc} can attach
         by itself arpguard takes xdp-native

device   tap1 (tun, MTU 9000): xdp-generic and {tc} can attach; whether xdp-native can, only trying tells: its driver has one buffer for a frame
         by itself arpguard tries xdp-native, then xdp-generic

0 serious, 0 warnings, 0 notes
"
        );
        assert_eq!(output.stdout, text);
    }
}

#[test]
fn beside_another_xdp_program_the_tc_hook_alone_can_be_had() {
    let (server, _peer) = real_server();
    let xdp = Program::returning(Kind::Xdp, XDP_PASS).attach(&server, "eth0");
    let told = hooks(&server, "eth0");
    for field in ["can", "auto"] {
        assert_eq!(texts(&told, field), [tc_hook()], "{told:#}");
    }
    assert_eq!(texts(&told, "may"), [""; 0]);
    let why = told["why"].as_str().unwrap();
    assert!(
        why.starts_with("the XDP program \"somebody_elses\" (id "),
        "{why}"
    );
    for (mode, is_had) in [("native", false), ("generic", false), ("auto", true)] {
        let output = server.arpguard(&["hide", VIP, "--attach", mode]);
        assert_eq!(output.success(), is_had, "{output}");
    }
    let guarded = hooks(&server, "eth0");
    assert_eq!(
        (&guarded["guarded"], &guarded["why"]),
        (&told["auto"][0], &told["why"])
    );
    drop(xdp);
}

#[test]
fn a_vip_that_is_answered_is_told_whole() {
    let (server, _peer) = real_server();
    server.sh("ip addr add 192.168.18.101/32 dev lo");
    server.set("net/ipv4/conf/lo/arp_ignore", "1");
    let output = Output::of(server.command(arpguard()).arg("doctor"));
    let text = "\
serious  192.168.18.101: on lo, and answered for on eth0
         Linux answers for each address of the host, and takes the traffic of the VIP away from the director
         $ arpguard hide 192.168.18.101 --rip auto

note     lo: net.ipv4.conf.lo.arp_ignore=1 does nothing
         no ARP comes or goes by it: what counts is the device that does, and the larger of its value and that of all
         $ sysctl -w net.ipv4.conf.lo.arp_ignore=0

";
    let text = text.to_owned() + &veth_ending("1 serious, 0 warnings, 1 note");
    assert_eq!((output.status.code(), output.stdout), (Some(3), text));
    let output = Output::of(server.command(arpguard()).args(["doctor", "-o", "json"]));
    let json = r#"{
  "findings": [
    {
      "check": "vip_answered",
      "severity": "serious",
      "subject": "192.168.18.101",
      "what": "on lo, and answered for on eth0",
      "why": "Linux answers for each address of the host, and takes the traffic of the VIP away from the director",
      "command": "arpguard hide 192.168.18.101 --rip auto"
    },
    {
      "check": "loopback_setting",
      "severity": "note",
      "subject": "lo",
      "what": "net.ipv4.conf.lo.arp_ignore=1 does nothing",
      "why": "no ARP comes or goes by it: what counts is the device that does, and the larger of its value and that of all",
      "command": "sysctl -w net.ipv4.conf.lo.arp_ignore=0"
    }
  ],
  "unseen": [],
  "devices": [
    {
      "device": "eth0",
      "driver": "veth",
      "mtu": 1500,
      "native": "multi-buffer",
      "can": [
        "xdp-native",
        "xdp-generic",
        "tcx"
      ],
      "may": [],
      "guarded": null,
      "auto": [
        "tcx"
      ],
      "why": "on veth XDP would copy every packet"
    }
  ]
}
"#;
    let mut json = json.replace("\"tcx\"", &format!("{:?}", tc_hook()));
    if !has(Feature::DriverFeatures) {
        let native = "\"xdp-native\"";
        json = json
            .replace("\"multi-buffer\"", "null")
            .replace(&format!("        {native},\n"), "")
            .replace(
                "[],\n      \"guarded",
                &format!("[\n        {native}\n      ],\n      \"guarded"),
            );
    }
    assert_eq!((output.status.code(), output.stdout), (Some(3), json));
    // Looking has loaded nothing.
    let status = server.guard("status");
    assert_eq!(status, "arpguard is not loaded in this network namespace\n");
    // From another namespace, the commands say where.
    let found = diagnosis(&server.arpguard(&["-o", "json", "doctor"])).1;
    let name = server.name();
    let commands: Vec<_> = found
        .iter()
        .map(|one| one["command"].as_str().unwrap())
        .collect();
    assert_eq!(
        commands,
        [
            format!("arpguard --netns {name} hide {VIP} --rip auto"),
            format!("nsenter --net=/run/netns/{name} sysctl -w net.ipv4.conf.lo.arp_ignore=0"),
        ]
    );
    cured(&server, "vip_answered", "serious", &["loopback_setting"]);
    cured(&server, "loopback_setting", "note", &[]);
}

#[test]
fn a_vip_is_seen_by_another_device_and_through_an_audit() {
    let (server, peer) = real_server();
    server.guard("hide 192.168.18.101 --rip 192.168.18.10 --shield --audit --add-to lo");
    cured(&server, "vip_answered", "serious", &[]);
    assert!(
        server
            .guard("list")
            .ends_with("every   192.168.18.10  shield\n")
    );
    server.guard("hide 192.168.18.101 --dev eth0 --audit");
    cured(&server, "vip_answered", "serious", &[]);
    server.guard("unhide 192.168.18.101 --dev eth0");
    second(&server, &peer, "eth1");
    server.sh("ip addr add 10.9.0.10/24 dev eth1");
    let (_, found) = examine(&server);
    assert_eq!(
        checks(&found),
        [
            ("vip_answered", "serious", VIP),
            ("unguarded", "warning", "eth1")
        ]
    );
    assert_eq!(found[0]["what"], "on lo, and answered for on eth1");
    let only = Output::of(
        server
            .command(arpguard())
            .args(["-o", "json", "doctor", "--dev", "eth0"]),
    );
    assert_eq!(diagnosis(&only), (0, Vec::new()));
    cured(&server, "vip_answered", "serious", &[]);
}

#[test]
fn vips_that_are_seen_alike_are_told_together() {
    let (server, _peer) = real_server();
    for last in 101..=106 {
        server.sh(&format!("ip addr add 192.168.18.{last}/32 dev lo"));
    }
    server.guard("hide 192.168.18.106 --shield --audit");
    let (_, found) = examine(&server);
    let rows = [
        (
            "vip_answered",
            "serious",
            "5 addresses, 192.168.18.101 to 192.168.18.105",
        ),
        ("vip_answered", "serious", "192.168.18.106"),
    ];
    assert_eq!(checks(&found), rows);
    mend(&server, &found[0]);
    cured(&server, "vip_answered", "serious", &[]);
}

#[test]
fn sysctls_cure_only_both_together_and_only_what_the_kernel_sends() {
    let (server, peer) = real_server();
    server.sh("ip addr add 192.168.18.101/32 dev lo");
    server.set("net/ipv4/conf/eth0/arp_ignore", "1");
    server.set("net/ipv4/conf/all/arp_announce", "1");
    let (status, found) = examine(&server);
    assert_eq!(
        (status, checks(&found)),
        (3, vec![("vip_announced", "serious", VIP)])
    );
    server.set("net/ipv4/conf/all/arp_announce", "0");
    cured(&server, "vip_announced", "serious", &[]);
    server.guard("detach");
    server.set("net/ipv4/conf/all/arp_announce", "2");
    // They do not hold for what a program sends.
    let (status, found) = examine(&server);
    assert_eq!(
        (status, checks(&found)),
        (0, vec![("vip_by_sysctl", "note", VIP)])
    );
    let what = "on lo, and kept back on eth0 by arp_ignore and arp_announce alone";
    assert_eq!(found[0]["what"], what);
    let wire = Port::open(&peer, "eth0");
    let announced = || {
        let mut arping = server.command("arping");
        arping.args(["-U", "-c", "1", "-w", "1", "-I", "eth0", "-s", VIP, VIP]);
        // Where it is kept from sending, it may fail.
        let _ = Output::of(&mut arping);
        let frames = wire.drain();
        frames
            .iter()
            .filter_map(|frame| arp::Frame::read(frame))
            .any(|arp| arp.spa.to_string() == VIP)
    };
    assert!(announced());
    cured(&server, "vip_by_sysctl", "note", &[]);
    assert!(!announced());
}

/// Whether a neighbour who asks for each of these addresses is answered.
fn heard(peer: &Namespace, addresses: &[[u8; 4]]) -> Vec<bool> {
    let asker = Port::open(peer, "eth0");
    let heard = addresses.iter();
    heard
        .map(|address| answers(&asker, *address, [192, 168, 18, 10]))
        .collect()
}

#[test]
fn a_prefix_on_lo_is_the_hosts_as_a_whole() {
    let (server, peer) = real_server();
    let asked = [
        [192, 168, 19, 1],
        [192, 168, 19, 7],
        [192, 168, 20, 1],
        [192, 168, 20, 7],
    ];
    server.sh("ip addr add 192.168.19.1/24 dev lo");
    server.sh("ip route add local 192.168.20.0/24 dev lo");
    // What only some packets are looked up in, as for a transparent proxy, is not.
    server.sh("ip route add local 192.168.21.0/24 dev lo table 100");
    assert_eq!(heard(&peer, &asked), [true; 4]);
    server.guard("hide 192.168.19.1");
    let (_, found) = examine(&server);
    let subject = "192.168.19.0/24, 192.168.20.0/24";
    assert_eq!(checks(&found), [("vip_answered", "serious", subject)]);
    cured(&server, "vip_answered", "serious", &[]);
    assert_eq!(heard(&peer, &asked), [false; 4]);
}

#[test]
fn the_cure_of_a_pin_that_does_not_hold_everywhere_is_the_pin() {
    for pinned in ["192.168.18.96/28", VIP] {
        let (server, peer) = real_server();
        server.guard(&format!("pin {pinned} --dev eth0"));
        server.sh("ip addr add 192.168.18.101/32 dev lo");
        second(&server, &peer, "eth1");
        server.sh("ip addr add 10.9.0.10/24 dev eth1");
        let before = server.guard("list");
        cured(&server, "vip_answered", "serious", &[]);
        assert_eq!(server.guard("list"), before);
        assert_eq!(heard(&peer, &[[192, 168, 18, 101]]), [true]);
    }
}

#[test]
fn what_arpguard_answers_for_is_no_leak() {
    let (server, peer) = real_server();
    server.guard("answer 192.168.18.101 --dev eth0 --force");
    server.sh("ip addr add 192.168.18.101/32 dev lo");
    assert_eq!(examine(&server), (0, Vec::new()));
    // By another device it is.
    second(&server, &peer, "eth1");
    server.sh("ip addr add 10.9.0.10/24 dev eth1");
    cured(&server, "vip_answered", "serious", &[]);
    assert_eq!(heard(&peer, &[[192, 168, 18, 101]]), [true]);
}

#[test]
fn proxies_are_found() {
    let (server, _peer) = real_server();
    for device in ["all", "eth0"] {
        server.set(&format!("net/ipv4/conf/{device}/proxy_arp"), "1");
    }
    // Without forwarding nothing is proxied.
    server.set("net/ipv4/conf/eth0/forwarding", "0");
    assert_eq!(examine(&server), (0, Vec::new()));
    server.set("net/ipv4/conf/eth0/forwarding", "1");
    cured(&server, "proxy_arp", "warning", &[]);
}

#[test]
fn single_addresses_that_are_proxied_for_are_found() {
    let (server, peer) = real_server();
    second(&server, &peer, "eth1");
    server.sh("ip addr add 10.9.0.10/24 dev eth1");
    for address in ["10.9.0.1", "10.9.0.2", VIP] {
        server.sh(&format!("ip neigh add proxy {address} dev eth0"));
    }
    // Without forwarding nothing is proxied, nor is what is behind the device itself.
    server.set("net/ipv4/conf/eth0/forwarding", "0");
    assert_eq!(examine(&server), (0, Vec::new()));
    server.set("net/ipv4/conf/eth0/forwarding", "1");
    let (status, found) = examine(&server);
    assert_eq!(
        (status, checks(&found)),
        (0, vec![("proxy_entry", "warning", "eth0")])
    );
    let what = "it answers for 10.9.0.1, 10.9.0.2 (ip neigh proxy)";
    assert_eq!(found[0]["what"], what);
    let asker = Port::open(&peer, "eth0");
    let answers = |address| answers(&asker, address, [192, 168, 18, 10]);
    // A proxy may take its time (proxy_delay).
    server.sh("sysctl -qw net.ipv4.neigh.eth0.proxy_delay=0");
    assert!(answers([10, 9, 0, 1]));
    // What arpguard hides is not answered for.
    server.guard("hide 10.9.0.1 --dev eth0");
    assert!(!answers([10, 9, 0, 1]));
    let (_, found) = examine(&server);
    assert_eq!(found[0]["what"], "it answers for 10.9.0.2 (ip neigh proxy)");
    cured(&server, "proxy_entry", "warning", &[]);
    server.guard("detach");
    cured(&server, "proxy_entry", "warning", &[]);
    assert!(!answers([10, 9, 0, 1]));
}

#[test]
fn one_subnet_on_two_devices_is_found() {
    let (server, peer) = real_server();
    second(&server, &peer, "eth1.7");
    server.sh("ip addr add 192.168.18.11/24 dev eth1.7");
    cured(&server, "flux", "warning", &[]);
    server.set("net/ipv4/conf/all/rp_filter", "1");
    let (_, found) = examine(&server);
    assert_eq!(
        found[0]["what"],
        "eth0, eth1.7 are in it, and rp_filter=1 counts on eth1.7"
    );
    cured(&server, "rp_filter", "warning", &[]);
    // By which one the way back is, routes say.
    server.sh("sysctl -qw net/ipv4/conf/eth1.7/rp_filter=1");
    server.sh("ip route add 192.168.18.0/24 dev eth0 metric 5");
    server.sh("ip route del 192.168.18.0/24 dev eth0 metric 0");
    let (_, found) = examine(&server);
    assert_eq!(
        found[0]["what"],
        "eth0, eth1.7 are in it, and rp_filter=1 counts on eth0"
    );
    cured(&server, "rp_filter", "warning", &[]);
}

#[test]
fn one_that_asks_in_the_name_of_the_other_is_found() {
    let (server, peer) = real_server();
    second(&server, &peer, "eth1");
    server.sh("ip addr add 192.168.18.139/25 dev eth1");
    server.set("net/ipv4/conf/all/arp_ignore", "1");
    let (_, found) = examine(&server);
    assert_eq!(checks(&found), [("flux", "warning", "192.168.18.0/24")]);
    let what = "eth0, eth1 are in it, and eth0, eth1 ask in the name of the others' addresses";
    assert_eq!(found[0]["what"], what);
    cured(&server, "flux", "warning", &[]);
}

#[test]
fn a_hidden_primary_address_is_found() {
    let (server, _peer) = real_server();
    server.guard("hide 192.168.18.10 --force");
    cured(&server, "hidden_primary", "serious", &[]);
    server.sh("ip addr add 192.168.18.11/24 dev eth0");
    server.guard("hide 192.168.18.10 --force");
    cured(&server, "hidden_primary", "warning", &[]);
    let addresses = server.sh("ip -4 -o addr show dev eth0");
    assert!(addresses.contains("192.168.18.11/24"), "{addresses}");
}

#[test]
fn the_vip_may_be_on_lo_too_and_in_a_second_subnet() {
    let (server, _peer) = real_server();
    server.sh("ip addr flush dev eth0");
    for address in ["10.0.0.5/24", "192.168.18.101/24", "192.168.18.10/24"] {
        server.sh(&format!("ip addr add {address} dev eth0"));
    }
    server.sh("ip addr add 192.168.18.101/32 dev lo");
    server.guard("hide 192.168.18.101 --rip 192.168.18.10 --dev eth0");
    cured(&server, "hidden_primary", "warning", &[]);
    let addresses = server.sh("ip -4 -o addr show dev eth0");
    assert!(addresses.contains("192.168.18.10/24"), "{addresses}");
}

#[test]
fn of_a_prefix_only_the_address_that_is_needed_is_taken_out() {
    let (server, peer) = real_server();
    server.sh("ip addr add 192.168.18.101/32 dev lo");
    server.guard("hide 192.168.18.0/24 --force");
    cured(&server, "hidden_primary", "serious", &[]);
    assert_eq!(heard(&peer, &[[192, 168, 18, 101]]), [false]);
}

#[test]
fn guarded_devices_are_examined() {
    let (server, peer) = real_server();
    server.guard("hide 192.168.18.101 --attach generic --add-to lo");
    cured(&server, "hook", "note", &[]);
    // What native XDP on veth answers, a peer without XDP does not get.
    server.guard("hide 192.168.18.101 --attach native");
    cured(&server, "hook", "warning", &[]);
    second(&server, &peer, "eth1");
    cured(&server, "unguarded", "warning", &["no_rip"]);
    cured(&server, "no_rip", "note", &[]);
}

#[test]
fn vlan_tags_that_xdp_does_not_see_are_found() {
    let (server, _peer) = real_server();
    server.sh("ethtool -K eth0 rxvlan on");
    server.guard("hide 192.168.18.101 --dev eth0 --attach tc");
    assert_eq!(examine(&server), (0, Vec::new()));
    server.guard("hide 192.168.18.101 --dev eth0 --attach native");
    cured(&server, "stripped_vlan", "note", &["hook"]);
}

/// Whether somebody answers on the LAN for an address, before the answer for `last`, which comes.
fn answers(asker: &Port, address: [u8; 4], last: [u8; 4]) -> bool {
    let (mac, ip) = (Mac([2, 0, 0, 0, 0, 0x81]), [192, 168, 18, 129].into());
    for target in [address, last] {
        asker.send(&arp::request(mac, ip, target.into()).bytes());
    }
    let reply = |frame: &[u8], spa: [u8; 4]| {
        arp::Frame::read(frame).is_some_and(|arp| arp.op == arp::REPLY && arp.spa.octets() == spa)
    };
    let heard = asker.until(|frame| reply(frame, last));
    heard.iter().any(|frame| reply(frame, address))
}

/// A process in a network namespace of its own, without a name; killed when dropped.
struct Unnamed(Child);

impl Unnamed {
    fn start() -> Self {
        let own = fs::read_link("/proc/self/ns/net").unwrap();
        let child = Command::new("unshare")
            .args(["--net", "sleep", "600"])
            .spawn()
            .unwrap();
        let path = format!("/proc/{}/ns/net", child.id());
        eventually("it has its namespace", || {
            fs::read_link(&path).is_ok_and(|namespace| namespace != own)
        });
        Self(child)
    }

    fn sh(&self, line: &str) {
        let mut command = Command::new("nsenter");
        let net = format!("--net=/proc/{}/ns/net", self.0.id());
        let output = Output::of(command.arg(net).args(line.split(' ')));
        assert!(output.success(), "{line}: {output}");
    }
}

impl Drop for Unnamed {
    fn drop(&mut self) {
        // It is there until then.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_macvlan_device_that_has_what_is_hidden_below_it_is_found() {
    let (server, peer) = real_server();
    let asker = Port::open(&peer, "eth0");
    let (named, unnamed) = (Namespace::new("container"), Unnamed::start());
    for (number, place) in [named.name(), &unnamed.0.id().to_string()]
        .iter()
        .enumerate()
    {
        server.sh(&format!(
            "ip link add mv{number} link eth0 type macvlan mode bridge"
        ));
        server.sh(&format!("ip link set mv{number} netns {place}"));
    }
    named.sh("ip link set mv0 up");
    unnamed.sh("ip link set mv1 up");
    for address in ["192.168.18.101/24", "10.8.0.101/24"] {
        named.sh(&format!("ip addr add {address} dev mv0"));
    }
    for address in ["192.168.18.106/24", "10.8.0.106/24"] {
        unnamed.sh(&format!("ip addr add {address} dev mv1"));
    }
    // One on a device of another namespace, with the same index, is another's.
    let (other, _wire) = real_server();
    other.sh("ip link add mv3 link eth0 type macvlan mode bridge");
    other.sh("ip addr add 192.168.18.103/24 dev mv3");
    server.guard("hide 192.168.18.103 --dev eth0");
    assert_eq!(examine(&server), (0, Vec::new()));

    let places = [
        format!("/run/netns/{}", named.name()),
        format!("/proc/{}/ns/net", unnamed.0.id()),
    ];
    for (number, place) in places.iter().enumerate() {
        let last = [101, 106][number];
        // macvlan hands broadcasts on later, one after another.
        let is_answered = || answers(&asker, [192, 168, 18, last], [10, 8, 0, last]);
        let subject = format!("192.168.18.{last}");
        let what = format!("hidden on eth0, and mv{number} in network namespace {place} has it");
        assert!(is_answered());
        for hide in [subject.clone(), format!("192.168.18.{}/31", last & !1)] {
            server.guard(&format!("hide {hide} --dev eth0"));
            assert!(!is_answered());
            let (_, found) = examine(&server);
            assert_eq!(
                checks(&found)[0],
                ("macvlan_child", "warning", subject.as_str())
            );
            assert_eq!(found[0]["what"], what);
            cured(&server, "macvlan_child", "warning", &[]);
            assert!(is_answered());
            server.guard("flush");
        }
    }
    server.sh("ip link add mv2 link eth0 type macvlan mode bridge");
    server.sh("ip link set mv2 up");
    server.sh("ip addr add 10.7.0.1/24 dev mv2");
    server.guard("hide 10.7.0.1 --dev eth0");
    assert_eq!(
        examine(&server).1[0]["what"],
        "hidden on eth0, and mv2 has it"
    );
    // This host has it, so it is to stay hidden there.
    assert_eq!(examine(&server).1[0]["command"], Value::Null);
    server.sh("ip addr del 10.7.0.1/24 dev mv2");
    assert_eq!(examine(&server), (0, Vec::new()));
}

#[test]
fn what_had_to_be_forced_is_forced_again() {
    let (server, peer) = real_server();
    server.sh("ip addr add 192.168.18.11/24 dev eth0");
    server.guard("hide 192.168.18.10 --force");
    second(&server, &peer, "eth1");
    let rest = ["hidden_primary", "no_rip"];
    cured(&server, "unguarded", "warning", &rest);
    cured(&server, "no_rip", "note", &["hidden_primary"]);
}

#[test]
fn what_is_pinned_and_what_is_strict_is_taken_for_that() {
    let (server, peer) = real_server();
    server.guard("pin 192.168.18.96/28 --dev eth0");
    // It is to be answered for where it is pinned to.
    server.sh("ip addr add 192.168.18.101/32 dev lo");
    assert_eq!(examine(&server), (0, Vec::new()));
    second(&server, &peer, "eth1");
    server.sh("ip addr add 10.9.0.10/24 dev eth1");
    let pinned = server.guard("list");
    let (_, found) = examine(&server);
    let all = [
        ("vip_answered", "serious", VIP),
        ("unguarded", "warning", "eth1"),
    ];
    assert_eq!(checks(&found), all);
    mend(&server, &found[1]);
    assert_eq!(examine(&server), (0, Vec::new()));
    assert_eq!(server.guard("list"), pinned);

    server.guard("strict on --same-subnet");
    let strict = server.guard("list");
    second(&server, &peer, "eth2");
    server.sh("ip addr add 10.8.0.10/24 dev eth2");
    let (_, found) = examine(&server);
    let all = [
        ("vip_answered", "serious", VIP),
        ("unguarded", "warning", "eth2"),
    ];
    assert_eq!(checks(&found), all);
    mend(&server, &found[1]);
    assert_eq!(examine(&server), (0, Vec::new()));
    assert_eq!(server.guard("list"), strict);
}

#[test]
fn what_is_promoted_is_told() {
    let (server, _peer) = real_server();
    server.guard("hide 192.168.18.101 --rip 192.168.18.10 --add-to lo");
    server.guard("promote 192.168.18.101 --dev eth0 --count 0");
    cured(&server, "promoted", "note", &[]);
}

#[test]
fn pins_that_have_moved_or_have_nowhere_to_go_are_told() {
    let (server, peer) = real_server();
    second(&server, &peer, "eth1");
    server.sh("ip addr add 10.9.0.10/24 dev eth1");
    server.guard("pin 192.168.18.104 --dev eth0 --fallback eth1 --hold 0");
    let agent = Agent::start(&server, &[]);
    eventually("the agent is there", || {
        server.guard("status").contains("eth1 ") && examine(&server).1.is_empty()
    });
    server.sh("ip link set eth0 down");
    let mut found = Vec::new();
    eventually("the pin has moved", || {
        found = examine(&server).1;
        !found.is_empty()
    });
    assert_eq!(checks(&found), [("pin_moved", "warning", "192.168.18.104")]);
    mend(&server, &found[0]);
    eventually("it is back", || examine(&server).1.is_empty());
    assert!(agent.end(Signal::SIGTERM).success());
    server.sh("ip link del eth1");
    let (_, found) = examine(&server);
    assert_eq!(
        checks(&found),
        [("fallback_gone", "note", "192.168.18.104")]
    );
    assert_eq!(found[0]["command"], Value::Null);
    second(&server, &peer, "eth1");
    cured(&server, "unguarded", "warning", &[]);
}

#[test]
fn another_xdp_program_is_told_without_a_command() {
    let ((other, _wire), (server, _peer)) = (real_server(), real_server());
    other.guard("hide 192.168.18.99");
    let program = pins(&other).join("programs").join(xdp());
    server.sh(&format!(
        "ip link set dev eth0 xdpgeneric pinned {}",
        program.display()
    ));
    server.guard("hide 192.168.18.101");
    let (status, found) = examine(&server);
    assert_eq!(
        (status, checks(&found)),
        (0, vec![("other_xdp", "note", "eth0")])
    );
    assert_eq!(found[0]["command"], Value::Null);
    let what = found[0]["what"].as_str().unwrap();
    assert!(
        what.starts_with(&format!("the XDP program \"{}\" (id ", xdp())),
        "{what}"
    );
    server.sh("ip link set dev eth0 xdpgeneric off");
    assert_eq!(examine(&server), (0, Vec::new()));
}

#[test]
fn what_others_have_attached_is_told_before_arpguard_is_loaded() {
    let (server, _peer) = real_server();
    // A program that is not BPF's is told by its kind.
    for qdisc in ["clsact", "ingress"] {
        server.sh(&format!("tc qdisc add dev eth0 {qdisc}"));
        let mut tc = server.command("tc");
        let filter = "filter add dev eth0 ingress bpf direct-action bytecode";
        tc.args(filter.split(' ')).arg("1,6 0 0 0");
        assert!(Output::of(&mut tc).success());
        let (status, found) = examine(&server);
        let found: Vec<_> = found
            .into_iter()
            .filter(|one| one["check"] != "ingress_qdisc")
            .collect();
        assert_eq!(
            (status, checks(&found)),
            (0, vec![("other_tc", "note", "eth0")])
        );
        let what = format!("TC programs of others are attached: \"bpf\" ({qdisc}, received)");
        assert_eq!(found[0]["what"], what);
        server.sh(&format!("tc qdisc del dev eth0 {qdisc}"));
    }
    let xdp = Program::returning(Kind::Xdp, XDP_PASS).attach(&server, "eth0");
    let told = |found: &[Value]| found[0]["what"].as_str().unwrap().to_owned();
    let (_, found) = examine(&server);
    assert_eq!(checks(&found), [("other_xdp", "note", "eth0")]);
    let what = told(&found);
    let name = "the XDP program \"somebody_elses\" (id ";
    assert!(what.starts_with(name), "{what}");
    // With arpguard's own beside it, which are not told.
    server.guard("hide 192.168.18.101");
    let (_, found) = examine(&server);
    assert_eq!(checks(&found), [("other_xdp", "note", "eth0")]);
    assert_eq!(told(&found), what);
    drop(xdp);
    assert_eq!(examine(&server), (0, Vec::new()));
    if lacks(Feature::Tcx) {
        return;
    }
    let tcx = Program::returning(Kind::Tc, TC_NEXT).attach_tcx(&server, "eth0");
    let (_, found) = examine(&server);
    assert_eq!(checks(&found), [("other_tc", "note", "eth0")]);
    let what = told(&found);
    let name = "TC programs of others are attached: \"somebody_elses\" (id ";
    assert!(
        what.starts_with(name) && what.ends_with(", tcx, sent)"),
        "{what}"
    );
    drop(tcx);
}

#[test]
fn an_ingress_qdisc_is_found_where_clsact_would_have_its_place() {
    let (server, _peer) = real_server();
    server.sh("tc qdisc add dev eth0 ingress");
    let told = hooks(&server, "eth0");
    if has(Feature::Tcx) {
        // It is in nobody's way.
        assert_eq!(examine(&server), (0, Vec::new()));
        assert_eq!(texts(&told, "auto"), ["tcx"]);
        return;
    }
    for field in ["can", "may", "auto"] {
        assert_eq!(texts(&told, field), [""; 0], "{told:#}");
    }
    let hide = || server.arpguard(&["hide", VIP]).success();
    assert!(!hide());
    cured(&server, "ingress_qdisc", "warning", &[]);
    assert!(hide());
}

#[test]
fn what_a_driver_has_refused_for_its_mtu_it_takes_after_the_command() {
    let (server, _peer) = real_server();
    server.sh("ip tuntap add dev tap0 mode tap");
    server.sh("ip link set tap0 mtu 9000 up");
    server.sh("ip addr add 10.9.0.10/24 dev tap0");
    let hide = |errno: &str| {
        let mut command = server.command(faulty());
        command.env("ARPGUARD_FAULT", format!("link/xdp fail {errno}"));
        let line = "hide 192.168.18.101 --rip 192.168.18.10 --dev tap0";
        let output = Output::of(command.args(line.split(' ')));
        assert!(output.success(), "{output}");
    };
    // One that takes none at all is not asked to.
    hide("95");
    assert_eq!(checks(&examine(&server).1), [("hook", "note", "tap0")]);
    server.guard("detach");
    hide("22");
    let (_, found) = examine(&server);
    let all = [("hook", "note", "tap0"), ("mtu", "note", "tap0")];
    assert_eq!(checks(&found), all);
    mend(&server, &found[1]);
    assert_eq!(examine(&server), (0, Vec::new()));
    let status = server.guard("status");
    assert!(status.contains("xdp-native"), "{status}");
    assert!(server.sh("ip link show tap0").contains("mtu 1500 "));
}

#[test]
fn tags_that_are_taken_out_before_generic_xdp_are_seen_at_the_tc_hook() {
    let (server, _peer) = real_server();
    server.sh("ip link add mv0 link eth0 type macvlan mode bridge");
    server.sh("ip link set mv0 up");
    server.sh("ip addr add 10.9.0.10/24 dev mv0");
    server.guard("hide 192.168.18.101 --dev mv0 --attach generic");
    cured(&server, "stripped_vlan", "note", &["hook"]);
    let status = server.guard("status");
    assert!(!status.contains("xdp"), "{status}");
}

#[test]
fn a_macvtap_or_ipvlan_device_is_found_likewise() {
    let (server, _peer) = real_server();
    let container = Namespace::new("container");
    for (kind, article) in [("macvtap", "a"), ("ipvlan", "an")] {
        let add = format!("link add child0 link eth0 type {kind}");
        if !Output::of(server.command("ip").args(add.split(' '))).success() {
            skip(&format!("this kernel has no {kind}"));
            continue;
        }
        server.sh(&format!("ip link set child0 netns {}", container.name()));
        container.sh("ip link set child0 up");
        container.sh("ip addr add 192.168.18.101/24 dev child0");
        server.guard("hide 192.168.18.101 --dev eth0");
        let (_, found) = examine(&server);
        let why = format!(
            "{article} {kind} device hears and speaks by eth0, so nobody learns where the address is"
        );
        assert_eq!(found[0]["why"], why);
        cured(&server, "macvlan_child", "warning", &[]);
        container.sh("ip link del child0");
    }
}

#[test]
fn rules_of_another_time_are_found() {
    let (server, peer) = real_server();
    server.sh("ip addr add 192.168.18.11/24 dev eth0");
    server.guard("hide 192.168.18.101 --rip 192.168.18.11 --shield");
    server.sh("ip addr del 192.168.18.11/24 dev eth0");
    cured(&server, "lost_rip", "warning", &[]);
    assert!(server.guard("list").ends_with("every   auto    shield\n"));
    // Of several rules, all that else they say stays.
    server.sh("ip addr add 192.168.18.11/24 dev eth0");
    server.sh("ip addr add 192.168.18.12/24 dev eth0");
    server.guard("hide 192.168.18.101 192.168.19.0/24 --rip 192.168.18.11 --shield");
    server.guard("hide 192.168.18.102 --rip 192.168.18.12 --dev eth0");
    server.guard("hide 192.168.18.103 --rip 192.168.18.10");
    server.sh("ip addr del 192.168.18.11/24 dev eth0");
    server.sh("ip addr del 192.168.18.12/24 dev eth0");
    cured(&server, "lost_rip", "warning", &[]);
    let table = "\
POLICY  ADDRESS          DEVICE  SENDER         OPTIONS
hide    192.168.18.101   every   auto           shield
hide    192.168.18.102   eth0    auto           -
hide    192.168.18.103   every   192.168.18.10  -
hide    192.168.19.0/24  every   auto           shield
";
    assert_eq!(server.guard("list"), table);
    second(&server, &peer, "eth1");
    server.guard("hide 10.9.0.0/16 --dev eth1");
    server.sh("ip link del eth1");
    cured(&server, "device_gone", "note", &[]);
    assert!(server.guard("list").contains(VIP));
}

#[test]
fn another_versions_state_is_told_and_left_alone() {
    let (server, _peer) = real_server();
    server.guard("hide 192.168.18.101 --add-to lo");
    let own = pins(&server);
    let older = own.with_file_name("v1");
    fs::rename(&own, &older).unwrap();
    lay_out(&older, &older);
    assert_eq!(
        checks(&examine(&server).1),
        [("older_version", "warning", "arpguard")]
    );
    assert!(older.is_dir() && !own.exists());
    cured(&server, "older_version", "warning", &[]);
    assert!(!older.exists());

    let newer = own.with_file_name("v99");
    fs::rename(&own, &newer).unwrap();
    let output = Output::of(server.command(arpguard()).arg("doctor"));
    let unseen = "unseen   what is hidden: open the state in the kernel: ";
    assert!(output.stdout.contains(unseen), "{output}");
    assert!(
        output.stdout.ends_with("\n0 serious, 1 warning, 0 notes\n"),
        "{output}"
    );
    assert!(newer.is_dir());
    fs::rename(&newer, &own).unwrap();
    assert_eq!(examine(&server), (0, Vec::new()));
}

#[test]
fn a_missing_bpf_file_system_is_found_and_not_mounted() {
    let (server, _peer) = real_server();
    // Process 1 is this one's own, so there is no other file system to look at.
    let arpguard = arpguard();
    let arpguard = arpguard.display();
    let script = format!(
        "umount -l /sys/fs/bpf; {arpguard} doctor; \
         {arpguard} -o json doctor | sed -n 's/.*\"command\": \"\\(.*\\)\".*/\\1/p' | sh -e; \
         {arpguard} doctor"
    );
    let mut command = server.command("unshare");
    let output = Output::of(command.args(["-m", "-p", "-f", "--mount-proc", "sh", "-c", &script]));
    let text = "\
note     /sys/fs/bpf: no BPF file system is mounted there
         arpguard mounts one where it may; else only an agent can hide, and for as long as it runs
         $ mount -t bpf bpf /sys/fs/bpf

";
    let text = text.to_owned()
        + &veth_ending("0 serious, 0 warnings, 1 note")
        + &veth_ending("0 serious, 0 warnings, 0 notes");
    assert_eq!((output.stdout, output.stderr.as_str()), (text, ""));
}

/// Held by who starts processes that others would find, and who must find none.
static DAEMONS: Mutex<()> = Mutex::new(());

fn alone_with_daemons() -> MutexGuard<'static, ()> {
    DAEMONS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A process with another name; killed when dropped.
struct Named(Child, PathBuf);

impl Named {
    fn start(server: &Namespace, directory: &Directory, name: &str) -> Self {
        let path = directory.path().join(name);
        // A copy could still be open for writing in a process that another test has just forked.
        symlink("/bin/sleep", &path).unwrap();
        let child = server.command(&path).arg("600").spawn().unwrap();
        let comm = format!("/proc/{}/comm", child.id());
        let cut = name.get(..15).unwrap_or(name);
        eventually("it has its name", || {
            fs::read_to_string(&comm).unwrap().trim_end() == cut
        });
        Self(child, path)
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        // It is there until then.
        let _ = self.0.kill();
        let _ = self.0.wait();
        let _ = fs::remove_file(&self.1);
    }
}

#[test]
fn daemons_here_are_told_and_those_elsewhere_are_not() {
    let _alone = alone_with_daemons();
    let ((server, _peer), (other, _wire)) = (real_server(), real_server());
    let directory = Directory::new("daemons");
    for host in [&server, &other] {
        host.guard("hide 192.168.18.101 --add-to lo");
    }
    for name in ["NetworkManager", "systemd-networkd", "dhcpcd", "connmand"] {
        server.guard("hide 192.168.18.101");
        let _daemon = Named::start(&server, &directory, name);
        assert_eq!(examine(&other), (0, Vec::new()));
        cured(&server, "unshielded", "note", &[]);
    }
    for name in ["keepalived", "kube-vip", "speaker", "cilium-agent"] {
        let daemon = Named::start(&server, &directory, name);
        let (status, found) = examine(&server);
        assert_eq!(
            (status, checks(&found)),
            (0, vec![("silenced_daemon", "note", name)])
        );
        drop(daemon);
    }
    assert_eq!(examine(&server), (0, Vec::new()));
    for name in ["avahi-autoipd", "zcip"] {
        server.guard("hide 169.254.7.0/24");
        let _daemon = Named::start(&server, &directory, name);
        cured(&server, "silenced_daemon", "note", &[]);
    }
}

#[test]
fn an_agent_that_holds_the_state_is_asked() {
    let (server, _peer) = real_server();
    server.sh("ip addr add 192.168.18.101/32 dev lo");
    let directory = Directory::new("doctor-held");
    let socket = directory.file("sock");
    let _agent = holding(&server, &socket, "192.168.18.102");
    let ask = |verb: &[&str]| {
        let mut command = server.command(arpguard());
        Output::of(command.args(["--socket", &socket, "-o", "json"]).args(verb))
    };
    let (status, found) = diagnosis(&ask(&["doctor"]));
    assert_eq!(
        (status, checks(&found)),
        (3, vec![("vip_answered", "serious", VIP)])
    );
    assert_eq!(
        found[0]["command"],
        format!("arpguard --socket {socket} hide {VIP} --rip auto")
    );
    mend(&server, &found[0]);
    assert_eq!(diagnosis(&ask(&["doctor"])), (0, Vec::new()));
}

#[test]
fn without_privileges_it_says_what_it_could_not_see() {
    let _alone = alone_with_daemons();
    let (server, _peer) = real_server();
    server.guard("hide 192.168.18.101 --add-to lo");
    let copy = Directory::new("doctor-copy");
    let binary = copy.path().join("arpguard");
    fs::copy(arpguard(), &binary).unwrap();
    let mut command = server.command("setpriv");
    let command = command
        .args(["--reuid", "65534", "--clear-groups"])
        .arg(binary);
    let output = Output::of(command.arg("doctor"));
    let text = "\
warning  192.168.18.101: on lo, and answered for on eth0, unless arpguard hides it
         Linux answers for each address of the host, and takes the traffic of the VIP away from the director
         $ arpguard hide 192.168.18.101 --rip auto

unseen   read the TCX programs: eth0: Operation not permitted; run it as root, or with CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON and CAP_SYS_ADMIN

unseen   what is hidden: use BPF: this process: it lacks CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN; run it as root, or with CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON and CAP_SYS_ADMIN

";
    // Which TC hook the kernel has it does not tell either.
    let tc = tc_hook();
    let ending = veth_ending("0 serious, 1 warning, 0 notes")
        .replace(&format!("{tc} can"), "tc can")
        .replace(&format!("takes {tc}"), "takes tc");
    assert_eq!(
        (output.status.code(), output.stderr.as_str()),
        (Some(0), "")
    );
    assert_eq!(output.stdout, text.to_owned() + &ending);
}

#[test]
fn help_and_errors_are_told() {
    let (server, _peer) = real_server();
    let help = Output::of(Command::new(arpguard()).args(["doctor", "--help"]));
    assert!(
        help.stdout.contains("Exit status: 0 nothing serious"),
        "{help}"
    );
    for (line, message) in [
        (
            "doctor --dev eth7",
            "find the device: eth7: there is no such device; there are lo, eth0",
        ),
        (
            "doctor --dev lo",
            "guard: lo: it is the loopback device, which speaks no ARP",
        ),
    ] {
        let words: Vec<_> = line.split(' ').collect();
        let output = server.arpguard(&words);
        assert_eq!(output.stderr, format!("arpguard: {message}\n"));
        assert_eq!(output.status.code(), Some(1));
    }
}
