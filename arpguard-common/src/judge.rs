//! The judgement of one ARP packet: policy and packet in, verdict out.

use crate::{
    abi::{EVERY_DEVICE, Rule},
    frame::{Frame, Place},
    policy::{Tables, View},
    verdict::{Action, Decider, Mode, Policy, Reason, Receive, Send, Verdict},
    wire::{Arp, Kind, Mac, Raw},
};

/// What a received frame is judged to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// What is done with it.
    pub verdict: Verdict<Receive>,
    /// Who watches the address that it claims, where anybody does: a policy that is about it, and
    /// whose verdict is not that the claim is false.
    pub watched_by: Decider,
}

impl Received {
    #[inline(always)]
    const fn unwatched(verdict: Verdict<Receive>) -> Self {
        Self {
            verdict,
            watched_by: Decider::NOBODY,
        }
    }
}

/// Parses the packet at `place` in `frame` and judges it as received on `device` (an interface
/// index). An answer is made from the packet.
pub fn receive<F: Frame + ?Sized, T: Tables>(
    frame: &F,
    place: Place,
    tables: &T,
    device: u32,
) -> (Received, Option<Arp>) {
    let (raw, destination) = read(frame, place);
    let view = View::new(tables, seen_from(place, device));
    (received(raw, destination, &view), raw.parse())
}

/// Parses the packet at `place` in `frame` and judges it as sent on `device` (an interface index).
pub fn send<F: Frame + ?Sized, T: Tables>(
    frame: &F,
    place: Place,
    tables: &T,
    device: u32,
) -> Verdict<Send> {
    let (raw, _) = read(frame, place);
    sent(raw, &View::new(tables, seen_from(place, device)))
}

/// The packet at `place` in `frame`, and the station that the frame is for. Zeros, which are no
/// packet, where the frame ends before.
#[inline(always)]
pub fn read<F: Frame + ?Sized>(frame: &F, place: Place) -> (Raw, Mac) {
    let packet = frame.read_or_zeros(place.at);
    (Raw::of(&packet), Mac(frame.read_or_zeros(0)))
}

/// The device (an interface index) whose rules hold for a packet at `place` in a frame of `device`: a
/// VLAN's frame belongs to the VLAN's device, so on the parent only rules for every device apply.
#[inline(always)]
pub const fn seen_from(place: Place, device: u32) -> u32 {
    if place.vlan { EVERY_DEVICE } else { device }
}

/// Judges a packet that came in a frame to `destination`.
#[inline(always)]
pub fn received<T: Tables>(raw: Raw, destination: Mac, view: &View<'_, T>) -> Received {
    let Some(arp) = &raw.parse() else {
        return Received::unwatched(Verdict::UNPARSED);
    };
    // A probe claims nothing.
    let broken = match arp.kind {
        Kind::Probe => None,
        Kind::Request | Kind::Announcement | Kind::Reply => broken_by(arp, view),
    };
    if let Some(rule) = broken
        && rule.mode() == Mode::Enforce
    {
        return Received::unwatched(false_claim(rule));
    }
    let found = match arp.kind {
        Kind::Request | Kind::Probe => view.found(arp.tpa),
        Kind::Announcement | Kind::Reply => None,
    };
    if let Some(rule) = found {
        let verdict = asked(rule, arp, destination, view);
        if verdict.reason != Reason::Permitted {
            return Received::unwatched(verdict);
        }
    }
    if arp.kind == Kind::Probe {
        return Received::unwatched(Verdict::PERMITTED);
    }
    let about = view.found(arp.spa);
    let watched_by = match about {
        Some(rule) if watches(rule) && view.mac() != Some(arp.sha) => {
            Decider::new(rule.policy(), rule.mode())
        }
        Some(_) | None => Decider::NOBODY,
    };
    let verdict = said(arp, destination, found, about, view);
    let verdict = match broken {
        Some(rule) if verdict.reason == Reason::Permitted => false_claim(rule),
        Some(_) | None => verdict,
    };
    Received {
        verdict,
        watched_by,
    }
}

/// The rule that binds what a packet claims to another hardware address.
#[inline(always)]
fn broken_by<T: Tables>(arp: &Arp, view: &View<'_, T>) -> Option<Rule> {
    let bound = view.bound(arp.spa);
    bound.filter(|rule| rule.mac() != Some(arp.sha))
}

#[inline(always)]
fn false_claim(broken: Rule) -> Verdict<Receive> {
    decide(broken, Receive::Drop, Reason::FalseClaim)
}

/// Whether it matters to a policy who has an address. A strict device's is about all addresses.
#[inline(always)]
const fn watches(rule: Rule) -> bool {
    match rule.policy() {
        Policy::Hide | Policy::Pin | Policy::Answer => true,
        Policy::Strict | Policy::Bind => false,
    }
}

/// Judges what asks for an address that `rule` was found for.
#[inline(always)]
fn asked<T: Tables>(
    rule: Rule,
    arp: &Arp,
    destination: Mac,
    view: &View<'_, T>,
) -> Verdict<Receive> {
    if view.bars(rule, arp.tpa) {
        let reason = match (rule.policy(), arp.kind) {
            (Policy::Strict, Kind::Probe) => Reason::ForeignProbe,
            (Policy::Strict, _) => Reason::ForeignRequest,
            (_, Kind::Probe) => Reason::HiddenProbe,
            _ => Reason::HiddenRequest,
        };
        return decide(rule, Receive::Drop, reason);
    }
    if rule.policy() != Policy::Answer {
        return Verdict::PERMITTED;
    }
    let Some(own) = view.mac().filter(|own| is_heard(destination, *own)) else {
        return Verdict::PERMITTED;
    };
    let mac = rule.mac().unwrap_or(own);
    if !rule.is_forced() && view.is_contested(arp.tpa, mac) {
        return decide(rule, Receive::Pass, Reason::ContestedRequest);
    }
    if rule.is_deferred() {
        return decide(rule, Receive::Defer(mac), Reason::DeferredRequest);
    }
    decide(rule, Receive::Answer(mac), Reason::AnsweredRequest)
}

/// Judges a packet by who says it. `found` is the rule for what it asks for, if it asks and there is
/// one; `about` that for its sender.
#[inline(always)]
fn said<T: Tables>(
    arp: &Arp,
    destination: Mac,
    found: Option<Rule>,
    about: Option<Rule>,
    view: &View<'_, T>,
) -> Verdict<Receive> {
    let hidden = about.filter(|rule| view.hides(*rule, arp.spa));
    if let Some(rule) = hidden
        && arp.kind == Kind::Request
        && view.owns(arp.tpa)
        && let Some(mac) = view.mac()
        && is_heard(destination, mac)
    {
        return decide(rule, Receive::Answer(mac), Reason::MartianRequest);
    }
    if let Some(rule) = found
        && rule.wants_same_subnet()
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

/// The kernel ignores what is addressed to another station (`PACKET_OTHERHOST`).
#[inline(always)]
fn is_heard(destination: Mac, own: Mac) -> bool {
    destination.is_group() || destination == own
}

/// Judges a packet that is about to leave.
#[inline(always)]
pub fn sent<T: Tables>(raw: Raw, view: &View<'_, T>) -> Verdict<Send> {
    let Some(arp) = &raw.parse() else {
        return Verdict::UNPARSED;
    };
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
            Policy::Strict | Policy::Answer | Policy::Bind => Verdict::PERMITTED,
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
