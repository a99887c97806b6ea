//! What a program costs a packet that is none of its business, by `BPF_PROG_TEST_RUN`.

use std::{net::Ipv4Addr, os::fd::AsFd as _};

use arpguard_common::{
    abi::{Book, EVERY_DEVICE, Key, Rule, counter, map, program},
    verdict::{Mode, Policy, Reason},
    wire::Mac,
};
use arpguard_tests::{
    arp,
    bpf::{Kind, Program, TC_NEXT, XDP_PASS, test_run},
    lab::{Namespace, Wire},
    pins::Pins,
};
use aya::{
    maps::{HashMap, Map, MapData},
    programs::{ProgramFd, SchedClassifier, Xdp},
};
use aya_obj::programs::XdpAttachType;
use nix::net::if_::if_nametoindex;

use crate::{
    plan::{Plan, Subject},
    report::Section,
};

const HOST_MAC: Mac = Mac([2, 0, 0, 0, 0, 0x10]);
/// Two that are hidden, each with the other as sender in its place.
const TURNS: [[u8; 4]; 2] = [[192, 168, 18, 102], [192, 168, 18, 103]];

/// A host with a hidden address.
fn host() -> (Namespace, Namespace) {
    let [host, peer] = ["host", "peer"].map(Namespace::new);
    Wire::between((&host, "eth0", HOST_MAC), (&peer, "eth0", None));
    host.sh("ip addr add 192.168.18.10/24 dev eth0");
    host.guard("hide 192.168.18.101 --attach native");
    let [one, other] = TURNS.map(Ipv4Addr::from);
    host.guard(&format!("hide {one} {other}"));
    // No command takes a RIP that is hidden itself.
    let mut rules: HashMap<MapData, [u8; 8], [u8; 8]> =
        Pins::of(&host).map(map::ADDRESSES, Map::HashMap);
    for (address, rip) in [(one, other), (other, one)] {
        let key = Key::new(Book::Own, EVERY_DEVICE, address).to_bytes();
        let rule = Rule::hide(32, Some(rip), Mode::Enforce, false).to_bytes();
        rules.insert(key, rule, 0).unwrap();
    }
    (host, peer)
}

/// A frame of 60 bytes with these EtherTypes in turn, from the thirteenth byte.
fn frame(types: &[u16]) -> Vec<u8> {
    let mut frame = vec![2; 12];
    for (number, kind) in types.iter().enumerate() {
        if number > 0 {
            frame.extend([0, 5]);
        }
        frame.extend(kind.to_be_bytes());
    }
    frame.resize(60, 0x45);
    frame
}

/// Opens a pinned program of any kind.
fn pinned(pins: &Pins, name: &str) -> ProgramFd {
    let path = pins.program(name);
    let opened = if matches!(name, program::XDP | program::XDP_FRAGS) {
        let opened = Xdp::from_pin(&path, XdpAttachType::Interface);
        opened.and_then(|program| Ok(program.fd()?.try_clone()?))
    } else {
        let opened = SchedClassifier::from_pin(&path);
        opened.and_then(|program| Ok(program.fd()?.try_clone()?))
    };
    opened.unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Received packets.
pub(crate) fn service(plan: &Plan) -> Section {
    let repeat = plan.pick(200_000, 2_000_000);
    let frames = [
        ("IPv4", frame(&[0x0800])),
        ("IPv4 in a VLAN", frame(&[0x8100, 0x0800])),
        ("IPv6", frame(&[0x86dd])),
    ];
    let names = ["bare XDP_PASS", "arpguard native", "bare TC", "arpguard tc"];
    let mut wanted = Vec::new();
    for (kind, frame) in &frames {
        for (program, name) in names.into_iter().enumerate() {
            let name = format!("{kind}, {name}");
            if plan.wants("service", &name) {
                wanted.push((name, program, frame));
            }
        }
    }
    let mut rows = Vec::new();
    if !wanted.is_empty() {
        let (host, peer) = host();
        let pins = Pins::of(&host);
        let xdp = Program::returning(Kind::Xdp, XDP_PASS);
        // A test run of a program that is attached nowhere patches the kernel's XDP dispatcher first
        // (`bpf_prog_change_xdp`), which takes milliseconds. arpguard's is attached; so is this.
        let _attached = xdp.attach(&peer, "eth0");
        let tc = Program::returning(Kind::Tc, TC_NEXT);
        let [our_xdp, our_tc] =
            [program::XDP_FRAGS, program::TC_INGRESS].map(|name| pinned(&pins, name));
        let programs = [xdp.as_fd(), our_xdp.as_fd(), tc.as_fd(), our_tc.as_fd()];
        let subjects = wanted.into_iter().map(|(name, program, frame)| {
            let program = programs[program];
            Subject::new(name, move || {
                nanoseconds(test_run(program, frame, &[], repeat), repeat)
            })
        });
        rows = plan.measure(subjects.collect());
    }
    Section {
        name: "service",
        title: "A service packet that is received, by test run",
        unit: "ns",
        base: "IPv4, bare XDP_PASS",
        rows,
    }
}

/// Sent packets.
pub(crate) fn egress(plan: &Plan) -> Section {
    let repeat = plan.pick(100_000, 1_000_000);
    let own = arp::request(
        HOST_MAC,
        [192, 168, 18, 10].into(),
        [192, 168, 18, 129].into(),
    );
    let leak = arp::announcement(HOST_MAC, [192, 168, 18, 101].into());
    // A run gets the frame as the one before has left it: so each of two has the other as sender.
    let rewritten = arp::request(HOST_MAC, TURNS[0].into(), [192, 168, 18, 129].into());
    let ipv4 = frame(&[0x0800]);
    let (own, leak, rewritten) = (own.bytes(), leak.bytes(), rewritten.bytes());
    let cases = [
        ("bare TC", false, &ipv4),
        ("IPv4", true, &ipv4),
        ("ARP that passes", true, &own),
        ("ARP that is dropped", true, &leak),
        ("ARP that is rewritten", true, &rewritten),
    ];
    let wanted: Vec<_> = cases
        .iter()
        .filter(|(name, ..)| plan.wants("egress", name))
        .collect();
    let mut rows = Vec::new();
    if !wanted.is_empty() {
        let (host, _peer) = host();
        let device = host.enter(|| if_nametoindex("eth0")).unwrap();
        // struct __sk_buff: ifindex is its eleventh word
        let mut context = vec![0; 40];
        context.extend(device.to_ne_bytes());
        let bare = Program::returning(Kind::Tc, TC_NEXT);
        let ours = pinned(&Pins::of(&host), program::TC_EGRESS);
        let (context, host) = (&context, &host);
        let turns = 4;
        host.enter(|| test_run(ours.as_fd(), &rewritten, context, turns));
        let cell = counter(Some((Policy::Hide, Mode::Enforce)), Reason::LeakingRequest);
        let count = Pins::of(host).counters().read(device).of(cell);
        assert_eq!(count, u64::from(turns), "not each run rewrites");
        let mut subjects = Vec::new();
        for (name, guarded, frame) in wanted {
            let program = if *guarded { ours.as_fd() } else { bare.as_fd() };
            subjects.push(Subject::new((*name).to_owned(), move || {
                host.enter(|| nanoseconds(test_run(program, frame, context, repeat), repeat))
            }));
        }
        rows = plan.measure(subjects);
    }
    Section {
        name: "egress",
        title: "A packet that is sent, by test run",
        unit: "ns",
        base: "bare TC",
        rows,
    }
}

fn nanoseconds(total: std::time::Duration, repeat: u32) -> f64 {
    total.as_secs_f64() * 1e9 / f64::from(repeat)
}
