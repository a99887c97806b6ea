//! The judgement of one ARP packet: policy and packet in, verdict out.

use crate::{
    abi::Rule,
    frame::{Frame, Place},
    policy::{EVERY_DEVICE, Tables, View},
    verdict::{Action, Decider, Policy, Reason, Receive, Send, Verdict},
    wire::{ARP_LEN, Arp, Kind, Mac},
};

/// What a received frame is judged to be.
pub struct Received {
    /// What is done with it.
    pub verdict: Verdict<Receive>,
    /// The packet, where it could be parsed: an answer is made from it.
    pub arp: Option<Arp>,
    /// Who watches the address that it claims, where anybody does: a policy that is about it, and
    /// whose verdict is not that the claim is false.
    pub watched_by: Decider,
}

/// Parses the packet at `place` in `frame` and judges it as received on `device` (an interface
/// index).
#[inline(always)]
pub fn receive<F: Frame + ?Sized, T: Tables>(
    frame: &F,
    place: Place,
    tables: &T,
    device: u32,
) -> Received {
    let Some((arp, destination)) = parse(frame, place) else {
        return Received {
            verdict: Verdict::UNPARSED,
            arp: None,
            watched_by: Decider::NOBODY,
        };
    };
    let view = View::new(tables, seen_from(place, device));
    let (verdict, watched_by) = received(&arp, destination, &view);
    Received {
        verdict,
        arp: Some(arp),
        watched_by,
    }
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

/// Judges a packet that came in a frame to `destination`; and who watches what it claims.
#[inline(always)]
fn received<T: Tables>(
    arp: &Arp,
    destination: Mac,
    view: &View<'_, T>,
) -> (Verdict<Receive>, Decider) {
    // A probe claims nothing.
    let claim = match arp.kind {
        Kind::Probe => Verdict::PERMITTED,
        Kind::Request | Kind::Announcement | Kind::Reply => false_claim(arp, view),
    };
    if claim.act() == Receive::Drop {
        return (claim, Decider::NOBODY);
    }
    let found = match arp.kind {
        Kind::Request | Kind::Probe => view.found(arp.tpa),
        Kind::Announcement | Kind::Reply => None,
    };
    if let Some(rule) = found {
        let verdict = asked(rule, arp, destination, view);
        if verdict.reason != Reason::Permitted {
            return (verdict, Decider::NOBODY);
        }
    }
    if arp.kind == Kind::Probe {
        return (Verdict::PERMITTED, Decider::NOBODY);
    }
    let about = view.found(arp.spa);
    let watched_by = match about {
        Some(rule) if watches(rule) && view.mac() != Some(arp.sha) => {
            Decider::new(rule.policy(), rule.mode())
        }
        Some(_) | None => Decider::NOBODY,
    };
    let verdict = said(arp, destination, found, about, view);
    if verdict.reason == Reason::Permitted {
        return (claim, watched_by);
    }
    (verdict, watched_by)
}

/// Judges a claim of an address that may be bound to a hardware address.
#[inline(always)]
fn false_claim<T: Tables>(arp: &Arp, view: &View<'_, T>) -> Verdict<Receive> {
    match view.bound(arp.spa) {
        Some(rule) if rule.mac() != Some(arp.sha) => {
            decide(rule, Receive::Drop, Reason::FalseClaim)
        }
        Some(_) | None => Verdict::PERMITTED,
    }
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
