//! What a program costs a packet that is none of its business, by `BPF_PROG_TEST_RUN`.

use std::os::fd::AsFd as _;

use arpguard_common::{
    abi::{counter, program},
    verdict::{Mode, Policy, Reason},
    wire::Mac,
};
use arpguard_tests::{
    arp,
    bpf::{Kind, Program, TC_NEXT, XDP_PASS, test_run, test_runs},
    lab::{Namespace, Wire},
    pins::Pins,
};
use aya::programs::{ProgramFd, SchedClassifier, Xdp};
use aya_obj::programs::XdpAttachType;
use nix::net::if_::if_nametoindex;

use crate::{
    plan::{Plan, Subject},
    report::Section,
};

const HOST_MAC: Mac = Mac([2, 0, 0, 0, 0, 0x10]);

/// A host with a hidden address.
fn host() -> (Namespace, Namespace) {
    let [host, peer] = ["host", "peer"].map(Namespace::new);
    Wire::between((&host, "eth0", HOST_MAC), (&peer, "eth0", None));
    host.sh("ip addr add 192.168.18.10/24 dev eth0");
    host.guard("hide 192.168.18.101 --attach native");
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

/// How often a program runs on a frame.
#[derive(Clone, Copy)]
enum Runs {
    /// On the one that it has left before.
    InARow,
    /// On a new one each time, as it changes it.
    Apart,
}

/// Sent packets.
pub(crate) fn egress(plan: &Plan) -> Section {
    let repeat = plan.pick(100_000, 1_000_000);
    let asks = |sender: [u8; 4]| arp::request(HOST_MAC, sender.into(), [192, 168, 18, 129].into());
    let own = asks([192, 168, 18, 10]).bytes();
    let rewritten = asks([192, 168, 18, 101]).bytes();
    let leak = arp::announcement(HOST_MAC, [192, 168, 18, 101].into()).bytes();
    let ipv4 = frame(&[0x0800]);
    let cases = [
        ("bare TC", false, &ipv4, Runs::InARow),
        ("IPv4", true, &ipv4, Runs::InARow),
        ("ARP that passes", true, &own, Runs::InARow),
        ("ARP that is dropped", true, &leak, Runs::InARow),
        ("bare TC, run by run", false, &rewritten, Runs::Apart),
        ("ARP that passes, run by run", true, &own, Runs::Apart),
        (
            "ARP that is rewritten, run by run",
            true,
            &rewritten,
            Runs::Apart,
        ),
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
        let pins = Pins::of(&host);
        let ours = pinned(&pins, program::TC_EGRESS);
        let (context, host) = (&context, &host);
        let rewrites = || {
            let cell = counter(Some((Policy::Hide, Mode::Enforce)), Reason::LeakingRequest);
            pins.counters().read(device).of(cell)
        };
        let before = rewrites();
        host.enter(|| test_runs(ours.as_fd(), &rewritten, context, 4));
        assert_eq!(rewrites() - before, 4, "a run rewrites nothing");
        let mut subjects = Vec::new();
        for (name, guarded, frame, runs) in wanted {
            let program = if *guarded { ours.as_fd() } else { bare.as_fd() };
            subjects.push(Subject::new((*name).to_owned(), move || {
                host.enter(|| match runs {
                    Runs::InARow => nanoseconds(test_run(program, frame, context, repeat), repeat),
                    Runs::Apart => {
                        let repeat = repeat / 10;
                        nanoseconds(test_runs(program, frame, context, repeat), repeat)
                    }
                })
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
