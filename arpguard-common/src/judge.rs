//! The judgement of one ARP packet: policy and packet in, verdict out.

use crate::{
    abi::Rule,
    frame::{Frame, Place},
    policy::{EVERY_DEVICE, Tables, View},
    verdict::{Action, Decider, Policy, Reason, Receive, Send, Verdict},
    wire::{ARP_LEN, Arp, Kind, Mac},
};

/// Parses the packet at `place` in `frame` and judges it as received on `device` (an interface
/// index). The packet is returned too: an answer is made from it.
#[inline(always)]
pub fn receive<F: Frame + ?Sized, T: Tables>(
    frame: &F,
    place: Place,
    tables: &T,
    device: u32,
) -> (Verdict<Receive>, Option<Arp>) {
    let Some((arp, destination)) = parse(frame, place) else {
        return (Verdict::UNPARSED, None);
    };
    (
        received(
            &arp,
            destination,
            &View::new(tables, seen_from(place, device)),
        ),
        Some(arp),
    )
}

/// Parses the packet at `place` in `frame` and judges it as sent on `device` (an interface index).
#[inline(always)]
pub fn send<F: Frame + ?Sized, T: Tables>(
    frame: &F,
    place: Place,
    tables: &T,
    device: u32,
) -> Verdict<Send> {
    match parse(frame, place) {
        Some((arp, _)) => sent(&arp, &View::new(tables, seen_from(place, device))),
        None => Verdict::UNPARSED,
    }
}

#[inline(always)]
fn parse<F: Frame + ?Sized>(frame: &F, place: Place) -> Option<(Arp, Mac)> {
    let packet: [u8; ARP_LEN] = frame.read(place.at)?;
    Some((Arp::parse(&packet)?, Mac(frame.read(0)?)))
}

/// A VLAN's frame belongs to the VLAN's device. On the parent only rules for every device apply.
#[inline(always)]
const fn seen_from(place: Place, device: u32) -> u32 {
    if place.vlan { EVERY_DEVICE } else { device }
}

/// Judges a packet that came in a frame to `destination`.
#[inline(always)]
fn received<T: Tables>(arp: &Arp, destination: Mac, view: &View<'_, T>) -> Verdict<Receive> {
    let asks = match arp.kind {
        Kind::Request | Kind::Probe => true,
        Kind::Announcement | Kind::Reply => false,
    };
    let found = if asks { view.found(arp.tpa) } else { None };
    if let Some(rule) = found
        && view.bars(rule, arp.tpa)
    {
        return decide(rule, Receive::Drop, asked(rule.policy(), arp.kind));
    }
    // A probe has no sender.
    if arp.kind == Kind::Probe {
        return Verdict::PERMITTED;
    }
    let hidden = view.hidden_by(arp.spa);
    if let Some(rule) = hidden
        && arp.kind == Kind::Request
        && view.owns(arp.tpa)
        && let Some(mac) = view.mac()
        // The kernel ignores what is addressed to another station (PACKET_OTHERHOST).
        && (destination.is_group() || destination == mac)
    {
        return decide(rule, Receive::Answer(mac), Reason::MartianRequest);
    }
    if let Some(rule) = found
        && rule.wants_same_subnet()
        && arp.kind == Kind::Request
        && !view.is_on_link(arp.spa)
    {
        return decide(rule, Receive::Drop, Reason::WrongSubnet);
    }
    // Any packet with the address as its sender is a conflict to a daemon that defends it
    // (RFC 5227, section 2.4).
    if let Some(rule) = hidden
        && rule.shields()
    {
        return decide(rule, Receive::Drop, Reason::ShieldedClaim);
    }
    Verdict::PERMITTED
}

/// Why what asks for an address that is kept out of the device's ARP is dropped.
#[inline(always)]
const fn asked(policy: Policy, kind: Kind) -> Reason {
    match (policy, kind) {
        (Policy::Hide | Policy::Pin, Kind::Probe) => Reason::HiddenProbe,
        (Policy::Hide | Policy::Pin, Kind::Request | Kind::Announcement | Kind::Reply) => {
            Reason::HiddenRequest
        }
        (Policy::Strict, Kind::Probe) => Reason::ForeignProbe,
        (Policy::Strict, Kind::Request | Kind::Announcement | Kind::Reply) => {
            Reason::ForeignRequest
        }
    }
}

/// Judges a packet that is about to leave.
#[inline(always)]
fn sent<T: Tables>(arp: &Arp, view: &View<'_, T>) -> Verdict<Send> {
    let about = if arp.kind == Kind::Probe {
        arp.tpa
    } else {
        arp.spa
    };
    let Some(rule) = view.rule(about) else {
        return Verdict::PERMITTED;
    };
    match arp.kind {
        Kind::Request => match view.sender(rule, arp.tpa) {
            Some(rip) => decide(rule, Send::Rewrite(rip), Reason::LeakingRequest),
            None => decide(rule, Send::Drop, Reason::NoRip),
        },
        Kind::Probe => match rule.policy() {
            Policy::Hide | Policy::Pin => decide(rule, Send::Drop, Reason::LeakingProbe),
            // Who detects duplicates asks for an address that the device is about to own (RFC 5227,
            // section 2.1).
            Policy::Strict => Verdict::PERMITTED,
        },
        Kind::Announcement => decide(rule, Send::Drop, Reason::LeakingAnnouncement),
        Kind::Reply => decide(rule, Send::Drop, Reason::LeakingReply),
    }
}

#[inline(always)]
fn decide<A: Action>(rule: Rule, action: A, reason: Reason) -> Verdict<A> {
    Verdict {
        action,
        reason,
        decider: Decider::new(rule.policy(), rule.mode()),
    }
}
