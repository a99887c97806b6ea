//! The judge, over any tables: what each verdict has to keep to.

use std::net::Ipv4Addr;

use arpguard_common::{
    abi::{Block, Book, EVERY_DEVICE, Key, Local, Rule},
    frame::find_arp,
    judge,
    verdict::{Action, Decider, Mode, Reason, Receive, Send, Verdict},
    wire::Mac,
};
use arpguard_tests::differential::{
    expected::{Done, Expected, Hook},
    tables::{Drawn, key, place, slot},
};

use crate::rest::Rest;

/// The device that frames are on.
const DEVICE: u32 = 7;
/// A rule or an entry of the device's own: a byte for where, a length, an address, the entry.
const ENTRY: usize = 14;

/// Tables, then a frame: how many rules there are, how many entries of the device's own, and these.
pub fn judge(data: &[u8]) {
    let mut rest = Rest(data);
    let (rules, local) = (rest.byte() % 8, rest.byte() % 8);
    let mut tables = Drawn::default();
    for _ in 0..rules {
        let mut entry = Rest(&rest.take::<ENTRY>());
        let which = entry.byte();
        let device = u32::from(which % 2) * DEVICE;
        let book = if which & 2 == 0 {
            Book::Own
        } else {
            Book::Claims
        };
        let length = entry.byte() % 33;
        let address = entry.address();
        let Some(rule) = Rule::from_bytes(entry.take()) else {
            continue;
        };
        if which & 4 != 0 && length == 32 && book == Book::Own {
            let key = Key::new(book, device, address);
            let block = tables.blocks.entry(key.of_block());
            block.or_insert(Block::new(rule)).insert(key.last_octet());
        } else {
            let place = place(slot(book, device), address, length);
            tables.rules.insert(place, rule);
        }
    }
    for _ in 0..local {
        let mut entry = Rest(&rest.take::<ENTRY>());
        let (_, length) = (entry.byte(), entry.byte() % 33);
        let place = place(DEVICE, entry.address(), length);
        tables
            .local
            .extend(Local::from_bytes(entry.take()).map(|own| (place, own)));
    }
    tables.macs.insert(DEVICE, Mac([2, 0, 0, 0, 0, 7]));
    let frame = rest.0;
    for hook in [Hook::Xdp, Hook::TcIngress, Hook::TcEgress] {
        check_frame(hook, frame, &tables);
    }
}

fn check_frame(hook: Hook, frame: &[u8], tables: &Drawn) {
    let expected = Expected::of(hook, frame, tables, DEVICE);
    let Some(place) = find_arp(frame) else {
        assert_eq!((expected.done, expected.counter), (Done::Pass, None));
        assert_eq!(expected.left, frame);
        return;
    };
    let received = || judge::receive(frame, place, tables, DEVICE).0.verdict;
    let sent = || judge::send(frame, place, tables, DEVICE);
    let (rewritten, answered) = match hook {
        Hook::Xdp | Hook::TcIngress => {
            let verdict = received();
            check_verdict(&verdict);
            let action = match verdict.action {
                Receive::Pass => "passed",
                Receive::Drop => "dropped",
                Receive::Answer(_) => "answered",
                Receive::Defer(_) => "deferred",
            };
            assert_eq!(verdict.reason.outcome(), action);
            (false, matches!(verdict.act(), Receive::Answer(_)))
        }
        Hook::TcEgress => {
            let verdict = sent();
            check_verdict(&verdict);
            let action = match verdict.action {
                Send::Pass => "passed",
                Send::Drop => "dropped",
                Send::Rewrite(_) => "rewritten",
            };
            assert_eq!(verdict.reason.outcome(), action);
            (matches!(verdict.act(), Send::Rewrite(_)), false)
        }
    };
    if rewritten {
        // The sender, and nothing else.
        let mut left = expected.left.clone();
        left[place.at + 14..place.at + 18].copy_from_slice(&frame[place.at + 14..place.at + 18]);
        assert_eq!(left, frame);
        let again = Expected::of(hook, &expected.left, tables, DEVICE);
        assert_eq!((again.done, &again.left), (Done::Pass, &expected.left));
    } else if !answered {
        assert_eq!(expected.left, frame);
    }
    if place.vlan {
        // What the parent has for its own is not for a VLAN's frame.
        let mut shared = tables.clone();
        let of_every = |of| key(of, Ipv4Addr::UNSPECIFIED).device() == EVERY_DEVICE;
        shared.rules.retain(|(of, ..), _| of_every(*of));
        shared.blocks.retain(|of, _| of.device() == EVERY_DEVICE);
        shared.local.clear();
        let without = Expected::of(hook, frame, &shared, DEVICE);
        assert_eq!(without.verdict, expected.verdict);
        // Nor is it known there what the VLAN's device owns, or which subnets it has.
        let reason = match hook {
            Hook::Xdp | Hook::TcIngress => received().reason,
            Hook::TcEgress => sent().reason,
        };
        let of_device = [
            Reason::ForeignRequest,
            Reason::ForeignProbe,
            Reason::WrongSubnet,
        ];
        assert!(!of_device.contains(&reason), "{reason:?}");
    } else {
        // A priority tag changes nothing but where the packet is.
        let mut bare = frame[..12].to_vec();
        bare.extend(&frame[place.at - 2..]);
        let bare = Expected::of(hook, &bare, tables, DEVICE);
        assert_eq!(bare.verdict, expected.verdict);
    }
}

fn check_verdict<A: Action + PartialEq + std::fmt::Debug>(verdict: &Verdict<A>) {
    let plain = matches!(verdict.reason, Reason::Permitted | Reason::Unparsed);
    assert_eq!(verdict.decider == Decider::NOBODY, plain);
    assert_eq!(verdict.action == A::PASS, plain);
    match verdict.decider.mode() {
        Mode::Audit => assert_eq!(verdict.act(), A::PASS),
        Mode::Enforce => assert_eq!(verdict.act(), verdict.action),
    }
}
