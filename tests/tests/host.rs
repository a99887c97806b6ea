//! The table of cases through the judge on the host, without a kernel.

use std::net::Ipv4Addr;

use arpguard_common::{
    frame::find_arp,
    judge::{self, Received},
    verdict::{Policy, Reason, Receive, Send},
    wire::SPA_AT,
};
use arpguard_tests::{
    arp,
    cases::{Case, Direction, Judged, cases},
    fixture::{Device, Model},
};
use proptest::prelude::*;

/// What the judge counts for a frame, and what goes on of it.
fn judged(direction: Direction, device: Device, frame: &[u8]) -> (Judged, Option<Vec<u8>>) {
    let same = Some(frame.to_vec());
    let Some(place) = find_arp(frame) else {
        return (Judged::Uncounted, same);
    };
    match direction {
        Direction::Received => {
            let (Received { verdict, .. }, arp) =
                judge::receive(frame, place, &Model, device.index());
            let out = match verdict.act() {
                Receive::Pass => same,
                Receive::Drop | Receive::Defer(_) => None,
                Receive::Answer(mac) => arp.map(|arp| arp.reply(mac).to_vec()),
            };
            (Judged::of(verdict.reason, verdict.decider.policy()), out)
        }
        Direction::Sent => {
            let verdict = judge::send(frame, place, &Model, device.index());
            let out = match verdict.act() {
                Send::Pass => same,
                Send::Drop => None,
                Send::Rewrite(rip) => {
                    let mut frame = frame.to_vec();
                    let at = place.at + SPA_AT;
                    frame[at..at + 4].copy_from_slice(&rip.octets());
                    Some(frame)
                }
            };
            (Judged::of(verdict.reason, verdict.decider.policy()), out)
        }
    }
}

#[test]
fn every_case_is_judged_as_the_table_says() {
    let mut wrong = Vec::new();
    for case in cases() {
        let Case { name, frame, .. } = &case;
        let (verdict, out) = judged(case.direction, case.device, frame);
        if verdict != case.judged || out != case.out {
            wrong.push(format!(
                "{name}\n frame {frame:02x?}\n expected {:?} {:02x?}\n but got {verdict:?} {out:02x?}",
                case.judged, case.out
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_table_has_every_reason_and_no_name_twice() {
    let cases = cases();
    // It is counted beside a verdict.
    let noted = |reason: &&Reason| **reason == Reason::FlipFlop;
    for reason in Reason::ALL.iter().filter(|reason| !noted(reason)) {
        let is_one = |case: &Case| case.judged.done_for() == Some(*reason);
        assert!(cases.iter().any(is_one), "{}", reason.name());
    }
    let mut names: Vec<_> = cases.iter().map(|case| &case.name).collect();
    names.sort();
    for pair in names.windows(2) {
        assert_ne!(pair[0], pair[1]);
    }
}

/// Addresses that some policy is about, and their neighbours.
fn address() -> impl Strategy<Value = Ipv4Addr> {
    prop_oneof![
        (9_u8..=12).prop_map(|last| Ipv4Addr::new(192, 168, 18, last)),
        (100_u8..=111).prop_map(|last| Ipv4Addr::new(192, 168, 18, last)),
        (19_u8..=21, any::<u8>()).prop_map(|(net, last)| Ipv4Addr::new(192, 168, net, last)),
        (3_u8..=5, 9_u8..=11).prop_map(|(net, last)| Ipv4Addr::new(172, 16, net, last)),
        Just(Ipv4Addr::new(10, 0, 0, 10)),
        Just(Ipv4Addr::UNSPECIFIED),
        any::<u32>().prop_map(Ipv4Addr::from_bits),
    ]
}

fn device() -> impl Strategy<Value = Device> {
    prop::sample::select(Device::ALL.as_slice())
}

/// ARP that the kernel would take, in every form.
fn frame() -> impl Strategy<Value = arp::Frame> {
    let tag = (
        prop_oneof![Just(arp::Q), Just(arp::AD)],
        prop_oneof![Just(0), Just(0xe000), any::<u16>()],
    );
    let tags = prop::collection::vec(tag, 0..=4);
    let form = (tags, any::<[u8; 6]>(), any::<bool>(), any::<bool>());
    (address(), address(), 1_u16..=2, form).prop_map(
        |(spa, tpa, op, (tags, destination, padded, ieee_802))| {
            let mac = Device::Eth0.mac();
            arp::Frame {
                destination: arpguard_common::wire::Mac(destination),
                op,
                tags,
                padded,
                htype: if ieee_802 {
                    arp::IEEE_802
                } else {
                    arp::ETHERNET
                },
                ..arp::request(mac, spa, tpa)
            }
        },
    )
}

/// Where the policy of the device holds for a frame: a VLAN's frame is judged by the policies for
/// every device.
fn seen_from(frame: &arp::Frame, device: Device) -> u32 {
    let vlan = frame.tags.iter().any(|(_, tci)| tci & 0x0fff != 0);
    if vlan { 0 } else { device.index() }
}

fn direction() -> impl Strategy<Value = Direction> {
    prop_oneof![Just(Direction::Received), Just(Direction::Sent)]
}

proptest! {
    #[test]
    fn bytes_of_any_kind_do_not_stop_the_judge(
        bytes in prop::collection::vec(any::<u8>(), 0..100),
        direction in direction(),
        device in device(),
    ) {
        judged(direction, device, &bytes);
    }

    #[test]
    fn a_frame_with_some_bytes_changed_does_not_stop_the_judge(
        frame in frame(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        length in any::<prop::sample::Index>(),
        direction in direction(),
        device in device(),
    ) {
        let mut bytes = frame.bytes();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.truncate(length.index(bytes.len() + 1));
        judged(direction, device, &bytes);
    }

    #[test]
    fn no_hidden_address_is_told(frame in frame(), device in device()) {
        let (_, out) = judged(Direction::Sent, device, &frame.bytes());
        if let Some(out) = out {
            let out = arp::Frame::read(&out).unwrap();
            let kept_out = |address| Model.keeps_out(address, seen_from(&frame, device));
            let probe = out.op == arp::REQUEST && out.spa.is_unspecified();
            if probe {
                let hidden = kept_out(out.tpa).filter(|policy| *policy != Policy::Strict);
                prop_assert_eq!(hidden, None, "{:?}", out);
            } else {
                prop_assert_eq!(kept_out(out.spa), None, "{:?}", out);
            }
        }
    }

    #[test]
    fn a_hidden_address_is_neither_asked_for_nor_probed(frame in frame(), device in device()) {
        let (_, out) = judged(Direction::Received, device, &frame.bytes());
        let claim = frame.op == arp::REPLY || frame.spa == frame.tpa && !frame.spa.is_unspecified();
        if !claim && Model.keeps_out(frame.tpa, seen_from(&frame, device)).is_some() {
            prop_assert_eq!(out, None);
        }
    }

    #[test]
    fn a_rewrite_changes_the_sender_and_nothing_else(frame in frame(), device in device()) {
        let (verdict, out) = judged(Direction::Sent, device, &frame.bytes());
        if let Some(out) = out {
            let sender = arp::Frame::read(&out).unwrap().spa;
            let rewritten = verdict.done_for() == Some(Reason::LeakingRequest);
            prop_assert_eq!(sender != frame.spa, rewritten);
            prop_assert_eq!(out, frame.from(sender).bytes());
        }
    }

    #[test]
    fn what_was_let_out_is_let_out_again_as_it_is(frame in frame(), device in device()) {
        let (_, once) = judged(Direction::Sent, device, &frame.bytes());
        if let Some(once) = once {
            let (_, twice) = judged(Direction::Sent, device, &once);
            prop_assert_eq!(twice, Some(once));
        }
    }
}
