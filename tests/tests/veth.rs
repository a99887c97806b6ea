//! The table of cases over veth pairs, with the programs attached in each of the ways there are.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on panics, also outside of #[test]"
)]

use std::collections::BTreeMap;

use arpguard_common::{frame::find_arp, judge, verdict::Send};
use arpguard_tests::{
    arp::{self, Frame},
    cases::{Case, Direction, Judged, cases, is_reply},
    fixture::{self, Device, Model, RealServer},
    lab::{Passer, patience},
    pair::Pair,
    pins::{Count, CountersMap, Pins},
};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Attach {
    Native,
    Generic,
    Tc,
}

impl Attach {
    fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Generic => "generic",
            Self::Tc => "tc",
        }
    }
}

/// What the kernel of the real server says to a frame that it gets.
///
/// It answers what asks for an address of the host, whichever device has that; but not where its
/// own addresses ask, nor for frames of a VLAN that it does not have, nor for other stations.
fn kernel_says(frame: &[u8], device: Device) -> Option<Frame> {
    let asked = Frame::read(frame)?;
    let taken = matches!(asked.htype, arp::ETHERNET | arp::IEEE_802)
        && (asked.ptype, asked.hlen, asked.plen) == (0x0800, 6, 4)
        && asked.op == arp::REQUEST;
    let vlan = asked.tags.iter().any(|(_, tci)| tci & 0x0fff != 0);
    let for_us = asked.destination == device.mac() || asked.destination.is_group();
    let ours = |address| RealServer::has(address);
    let says = taken && !vlan && for_us && ours(asked.tpa) && !ours(asked.spa);
    says.then(|| arp::reply(device.mac(), asked.tpa, asked.sha, asked.spa))
}

/// What the programs make of a frame that the kernel sends: what is counted, and whether it goes
/// out. The table has cases of its own for this, so the judge can be asked.
fn let_out(frame: &Frame, device: Device) -> (Judged, bool) {
    let bytes = frame.bytes();
    let place = find_arp(bytes.as_slice()).unwrap();
    let verdict = judge::send(bytes.as_slice(), place, &Model, device.index());
    let judged = Judged::of(verdict.reason, verdict.decider.policy());
    (judged, verdict.act() == Send::Pass)
}

fn received(
    pair: &Pair,
    counters: &CountersMap,
    case: &Case,
    attach: Attach,
) -> Result<(), String> {
    let (judged, out) = match &case.untagged_once {
        Some((judged, out)) if attach == Attach::Tc => (*judged, out.clone()),
        _ => (case.judged, case.out.clone()),
    };
    let answered = judged.is_answered();
    let mut count = Count::ZERO;
    count.add(judged.counter());

    // What comes back: an answer, or what the kernel says and may say.
    let mut back = Vec::new();
    if answered {
        back.extend(out.clone());
        // An answer from the ingress hook leaves by the egress hook.
        if attach == Attach::Tc {
            let (judged, _) = let_out(&Frame::read(out.as_ref().unwrap()).unwrap(), case.device);
            count.add(judged.counter());
        }
    } else if let Some(frame) = &out
        && let Some(said) = kernel_says(frame, case.device)
    {
        let (judged, goes_out) = let_out(&said, case.device);
        count.add(judged.counter());
        back.extend(goes_out.then(|| said.bytes()));
    }

    let before = counters.read(pair.index);
    let (seen, mut came_back) = pair.receive(&case.frame);
    // What native XDP sends may be overtaken by what the kernel does.
    while came_back.len() < back.len() {
        let Some(frame) = pair.peer.receive(patience()) else {
            break;
        };
        came_back.push(frame);
    }
    let counted = counters.read(pair.index).since(before);

    // A packet socket sees a frame before the ingress hook does.
    let to_kernel = match attach {
        Attach::Tc => Some(&case.frame),
        Attach::Native | Attach::Generic if answered => None,
        Attach::Native | Attach::Generic => out.as_ref(),
    };
    if !seen.iter().eq(to_kernel) {
        return Err(format!("the kernel got {seen:02x?}, not {to_kernel:02x?}"));
    }
    let right = came_back.len() == back.len()
        && came_back
            .iter()
            .zip(&back)
            .all(|(got, want)| is_reply(got, want));
    if !right {
        return Err(format!("back came {came_back:02x?}, not {back:02x?}"));
    }
    if counted != count {
        return Err(format!("counted {counted:?}, not {count:?}"));
    }
    Ok(())
}

fn sent(pair: &Pair, counters: &CountersMap, case: &Case) -> Result<(), String> {
    let before = counters.read(pair.index);
    let (seen, told) = pair.send(&case.frame);
    let counted = counters.read(pair.index).since(before);
    if told != case.out.is_some() {
        return Err(format!("the sender was told {told}"));
    }
    if !seen.iter().eq(&case.out) {
        return Err(format!("the wire got {seen:02x?}, not {:02x?}", case.out));
    }
    let mut count = Count::ZERO;
    count.add(case.judged.counter());
    if counted != count {
        return Err(format!("counted {counted:?}, not {count:?}"));
    }
    Ok(())
}

/// How many cases may go wrong before the others are left out: each may have waited in vain.
const ENOUGH: usize = 5;

fn run(attach: Attach) {
    let server = RealServer::new();
    server.guard(&format!("--attach {}", attach.name()));
    let counters = Pins::of(&server.host).counters();
    let native = Device::ALL.iter().filter(|_| attach == Attach::Native);
    let _passers: Vec<_> = native
        .map(|device| Passer::attach(&server.peer, device.name()))
        .collect();
    let pairs: BTreeMap<Device, Pair> = Device::ALL
        .into_iter()
        .map(|device| (device, Pair::open(&server, device)))
        .collect();
    let mut wrong = Vec::new();
    for case in cases() {
        let pair = &pairs[&case.device];
        let done = match case.direction {
            Direction::Received => received(pair, &counters, &case, attach),
            Direction::Sent => sent(pair, &counters, &case),
        };
        if let Err(why) = done {
            wrong.push(format!("{}\n  {:02x?}\n  {why}", case.name, case.frame));
        }
        if wrong.len() > ENOUGH {
            break;
        }
    }
    let count = wrong.len();
    assert!(wrong.is_empty(), "{count} are wrong:\n{}", wrong.join("\n"));
}

#[test]
fn native_xdp_does_what_the_table_says() {
    run(Attach::Native);
}

#[test]
fn generic_xdp_does_what_the_table_says() {
    run(Attach::Generic);
}

#[test]
fn the_ingress_hook_does_what_the_table_says() {
    run(Attach::Tc);
}

/// A veth pair as containers have them: no program at the other end, and no GRO.
#[test]
fn a_director_is_answered_whatever_the_device() {
    let server = RealServer::new();
    server.peer.sh("ethtool -K eth0 gro off tso on");
    server.host.sh("ethtool -K eth0 gro off tso on");
    server.guard("--attach auto");
    let pair = Pair::open(&server, Device::Eth0);
    let asked = arp::request(Device::Eth0.peer_mac(), fixture::VIP, fixture::RIP);
    let reply = arp::reply(Device::Eth0.mac(), asked.tpa, asked.sha, asked.spa);
    pair.peer.send(&asked.bytes());
    pair.peer.until(|frame| is_reply(frame, &reply.bytes()));
}

/// The control: what the other tests say of the kernel's answers is what it does unguarded.
#[test]
fn unguarded_the_kernel_answers_for_every_address() {
    let server = RealServer::new();
    let pair = Pair::open(&server, Device::Eth0);
    let mut answers = 0;
    for case in cases() {
        if (case.direction, case.device) != (Direction::Received, Device::Eth0) {
            continue;
        }
        let (seen, back) = pair.receive(&case.frame);
        assert_eq!(seen, std::slice::from_ref(&case.frame), "{}", case.name);
        let said: Vec<_> = kernel_says(&case.frame, case.device)
            .map(|frame| frame.bytes())
            .into_iter()
            .collect();
        assert_eq!(back, said, "{}", case.name);
        answers += said.len();
    }
    assert!(answers > 100, "the kernel has answered {answers} times");
}
