//! Other people's programs, qdiscs and filters stay; so do arpguard's own, through everything but
//! `detach`, which leaves no trace.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on panics, also outside of #[test]"
)]

use std::{
    fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
};

use arpguard_common::{
    abi::counter,
    verdict::{Mode, Policy, Reason},
    wire::Mac,
};
use arpguard_tests::{
    arp::{self, Frame},
    lab::{Namespace, Output, Port, faulty},
    pins::Pins,
    programs::xdp,
    server::{pins, real_server},
};
use aya::programs::{SchedClassifier, TcAttachType};
use nix::net::if_::if_nametoindex;
use serde_json::Value;

/// Programs that are somebody else's, to the arpguard in another namespace.
fn somebody_else() -> (Namespace, Namespace, PathBuf) {
    let (other, peer) = real_server();
    other.guard("hide 192.168.18.99");
    let pins = pins(&other).join("programs");
    (other, peer, pins)
}

fn hooks(server: &Namespace) -> String {
    let status = server.guard("status");
    status
        .lines()
        .find(|line| line.starts_with("eth0"))
        .unwrap_or_default()
        .to_owned()
}

fn everything(server: &Namespace) -> String {
    let words = ["link show", "addr show", "route show"].map(|what| format!("ip -d {what}"));
    let mut state: String = words.iter().map(|line| server.sh(line)).collect();
    state += &server.sh("tc qdisc show");
    for hook in ["ingress", "egress"] {
        state += &server.sh(&format!("tc filter show dev eth0 {hook}"));
    }
    server.enter(|| {
        for hook in [TcAttachType::Ingress, TcAttachType::Egress] {
            // A kernel without TCX has nothing there.
            let programs = SchedClassifier::query_tcx("eth0", hook).map(|(_, found)| found.len());
            state += &format!("tcx {hook:?}: {}\n", programs.unwrap_or(0));
        }
    });
    state
}

#[test]
fn detach_leaves_no_trace() {
    let (server, _peer) = real_server();
    let before = everything(&server);
    for mode in ["auto", "native", "generic", "tc"] {
        server.guard(&format!("hide 192.168.18.101 --add-to lo --attach {mode}"));
        let pins = pins(&server);
        assert!(pins.exists());
        assert_ne!(everything(&server), before, "{mode}");
        server.guard("unhide 192.168.18.101 --del-from lo");
        server.guard("detach");
        assert_eq!(everything(&server), before, "{mode}");
        assert!(!pins.parent().unwrap().exists(), "{mode}");
    }
}

#[test]
fn another_xdp_program_keeps_its_place_and_is_named() {
    let (_other, _peer, theirs) = somebody_else();
    for (how, mode) in [("xdpdrv", "native"), ("xdpgeneric", "generic")] {
        let (server, _peer) = real_server();
        let program = theirs.join(xdp());
        server.sh(&format!(
            "ip link set dev eth0 {how} pinned {}",
            program.display()
        ));
        let shown = server.sh("ip -d link show dev eth0");
        let id = shown
            .split("prog/xdp id ")
            .nth(1)
            .unwrap()
            .split(' ')
            .next()
            .unwrap();

        let refused = server.arpguard(&["hide", "192.168.18.101", "--attach", mode]);
        assert_eq!(
            (refused.status.code(), refused.stderr),
            (
                Some(1),
                format!(
                    "arpguard: attach by XDP: eth0: the XDP program \"{}\" (id {id}) is \
                     attached already; use --attach tc, or --attach auto, which takes the TC hook \
                     then\n",
                    xdp()
                )
            )
        );
        // A command that fails has changed nothing.
        assert_eq!(
            server.guard("status"),
            "arpguard is not loaded in this network namespace\n"
        );

        server.guard("hide 192.168.18.101");
        let hooks = hooks(&server);
        assert!(
            hooks.ends_with(&format!(
                "the XDP program \"{}\" (id {id}) is attached",
                xdp()
            )),
            "{hooks}"
        );
        assert!(!hooks.contains("xdp-"), "{hooks}");
        server.guard("detach");
        assert!(
            server
                .sh("ip -d link show dev eth0")
                .contains(&format!("prog/xdp id {id} "))
        );
    }
}

/// An ingress qdisc takes filters for any hook, and runs them all on what is received.
#[test]
fn an_ingress_qdisc_in_the_place_of_clsact_is_told_and_stays() {
    let (server, _peer) = real_server();
    server.sh("tc qdisc add dev eth0 ingress");
    let before = everything(&server);
    for mode in ["auto", "tc", "native"] {
        let mut command = server.command(faulty());
        // As on a kernel without TCX.
        command.env("ARPGUARD_FAULT", "every link/tcx fail 22");
        let output = Output::of(command.args(["hide", "192.168.18.101", "--attach", mode]));
        assert_eq!(
            output.stderr,
            "arpguard: add a clsact qdisc: eth0: an ingress qdisc is in its place, which has no hook \
             for sent frames; move its filters: tc qdisc del dev IF ingress, tc qdisc add dev IF \
             clsact, tc filter add dev IF ingress ...\n"
        );
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(everything(&server), before, "{mode}");
    }
    // One that comes to where clsact was is not taken for that.
    server.sh("tc qdisc del dev eth0 ingress");
    let mut command = server.command(faulty());
    command.env("ARPGUARD_FAULT", "every link/tcx fail 22");
    let output = Output::of(command.args(["hide", "192.168.18.101"]));
    assert!(output.success(), "{output}");
    server.sh("tc qdisc del dev eth0 clsact");
    server.sh("tc qdisc add dev eth0 ingress");
    assert!(hooks(&server).contains("not guarded"), "{}", hooks(&server));
    server.guard("detach");
    assert_eq!(everything(&server), before);
}

#[test]
fn other_peoples_clsact_filters_stay() {
    let (_other, _peer, theirs) = somebody_else();
    let (server, _peer) = real_server();
    server.sh("tc qdisc add dev eth0 clsact");
    for (hook, name) in [("ingress", "arpguard_in"), ("egress", "arpguard_out")] {
        let program = theirs.join(name);
        server.sh(&format!(
            "tc filter add dev eth0 {hook} bpf direct-action object-pinned {}",
            program.display()
        ));
    }
    let before = everything(&server);
    server.guard("hide 192.168.18.101 --attach tc");
    server.guard("detach");
    assert_eq!(everything(&server), before);
}

#[test]
fn modes_can_be_changed_while_it_guards() {
    let (server, _peer) = real_server();
    for mode in [
        "native", "generic", "tc", "native", "tc", "generic", "native",
    ] {
        server.guard(&format!("hide 192.168.18.101 --attach {mode}"));
        let hooks = hooks(&server);
        let hook = match mode {
            "tc" => ["tcx", "clsact"],
            "native" => ["xdp-native"; 2],
            _ => ["xdp-generic"; 2],
        };
        let ingress = hooks.split_whitespace().nth(1).unwrap();
        assert!(hook.contains(&ingress), "{mode}: {hooks}");
    }
    // Without a mode, what is attached stays.
    server.guard("hide 192.168.18.102");
    assert!(hooks(&server).contains("xdp-native"));
}

#[test]
fn pins_are_for_root_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let (server, _peer) = real_server();
    server.guard("hide 192.168.18.101");
    let pins = pins(&server);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for directory in pins.ancestors().take(3) {
        assert_eq!(mode(directory), 0o700, "{}", directory.display());
    }
}

/// A real server whose address is on a bridge over `eth0`.
fn bridged() -> (Namespace, Namespace) {
    let (server, peer) = real_server();
    server.sh("ip addr flush dev eth0");
    server.sh("ip link add br0 type bridge");
    server.sh("ip link set eth0 master br0");
    server.sh("ip link set br0 up");
    server.sh("ip addr add 192.168.18.10/24 dev br0");
    (server, peer)
}

/// The devices that are guarded, and where received frames are judged.
fn ingress_hooks(server: &Namespace) -> Vec<(String, String)> {
    let status: Value = serde_json::from_str(&server.guard("-o json status")).unwrap();
    let text = |device: &Value, field: &str| Some(device[field].as_str()?.to_owned());
    let devices = status["devices"].as_array().unwrap().iter();
    devices
        .filter_map(|device| Some((text(device, "name")?, text(device, "ingress")?)))
        .collect()
}

#[test]
fn a_bridge_is_guarded_in_place_of_its_ports_and_a_macvlan_by_itself() {
    let (server, _peer) = bridged();
    server.sh("ip link add mv0 link br0 type macvlan mode bridge");
    server.guard("hide 192.168.18.101 --rip 192.168.18.10");
    let hooks = ingress_hooks(&server);
    let names: Vec<_> = hooks.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["br0", "mv0"], "{hooks:?}");
    // Without native XDP these are judged where VLAN tags are seen.
    let sees_tags = |hook: &str| hook == "tcx" || hook == "clsact";
    assert!(hooks.iter().all(|(_, hook)| sees_tags(hook)), "{hooks:?}");
    let status = server.guard("status");
    let why = "; generic XDP would get its frames without their VLAN tags\n";
    assert_eq!(status.matches(why).count(), 2, "{status}");
    let port = server.arpguard(&["hide", "192.168.18.101", "--dev", "eth0"]);
    assert_eq!(
        port.stderr,
        "arpguard: guard: eth0: it is a port of a bridge or bond, which speaks ARP in its place; \
         guard br0 instead\n"
    );
}

#[test]
fn a_rule_for_a_bridge_is_not_for_the_vlans_on_it_unless_told_to_miss_tags() {
    let (server, peer) = bridged();
    let asker = Port::open(&peer, "eth0");
    let (mac, ip) = (Mac([2, 0, 0, 0, 0, 0x81]), Ipv4Addr::new(192, 168, 18, 129));
    let asks = |target: [u8; 4]| arp::request(mac, ip, target.into());
    for (mode, counted) in [("auto", 0), ("generic", 1)] {
        server.guard(&format!(
            "hide 192.168.18.101 --rip auto --dev br0 --attach {mode}"
        ));
        let index = server.enter(|| if_nametoindex("br0")).unwrap();
        asker.send(&asks([192, 168, 18, 101]).tagged(&[(arp::Q, 10)]).bytes());
        // What is answered was judged after it.
        asker.send(&asks([192, 168, 18, 10]).bytes());
        asker.until(|frame| Frame::read(frame).is_some_and(|arp| arp.op == arp::REPLY));
        let cell = counter(Some((Policy::Hide, Mode::Enforce)), Reason::HiddenRequest);
        let count = Pins::of(&server).counters().read(index).of(cell);
        assert_eq!(count, counted, "{mode}");
        server.guard("detach");
    }
}
