//! The judgement of one ARP packet: policy and packet in, verdict out.

use crate::{
    abi::{EVERY_DEVICE, Rule},
    frame::{Frame, Place},
    packed::{Pending, Ruling},
    policy::{Tables, View},
    verdict::{Decider, Mode, Policy, Reason, Receive, Send, Verdict},
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

impl From<Ruling> for Received {
    fn from(ruling: Ruling) -> Self {
        Self {
            verdict: ruling.verdict(),
            watched_by: ruling.watched_by(),
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
    (received(raw, destination, &view).into(), raw.parse())
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
///
/// Of all that policy has to say of it, what comes first counts; but what is only audited gives way to
/// what is enforced.
fn received<T: Tables>(raw: Raw, destination: Mac, view: &View<'_, T>) -> Ruling {
    match at_first(raw, destination, view) {
        Ok(ruling) => ruling,
        Err(pending) => at_last(pending, view),
    }
}

/// Judges a packet that came in a frame to `destination` by what it asks for, which is all that a flood
/// needs.
///
/// # Errors
/// What [`at_last`] judges.
#[inline(always)]
pub fn at_first<T: Tables>(
    raw: Raw,
    destination: Mac,
    view: &View<'_, T>,
) -> Result<Ruling, Pending> {
    let Some(arp) = raw.parse() else {
        return Ok(Ruling::of(Verdict::UNPARSED));
    };
    let lie = if claims(arp.kind) {
        false_claim(&arp, view)
    } else {
        None
    };
    if lie == Some(Mode::Enforce) {
        return Ok(Ruling::of(lies(Mode::Enforce)));
    }
    let found = if asks(arp.kind) {
        view.found(arp.tpa)
    } else {
        None
    };
    let is_barred = found.is_some_and(|rule| view.bars(rule, arp.tpa));
    // Nobody looks at who it is that asks for what is hidden: a flood of that costs one look-up a frame,
    // and a station that has an address asks for others as well. A strict device drops what goes round
    // its segment, so there it matters.
    if let Some(rule) = found
        && is_barred
        && rule.policy() != Policy::Strict
        && rule.mode() == Mode::Enforce
    {
        return Ok(barred(rule, arp.kind));
    }
    Err(Pending {
        arp,
        destination,
        found,
        is_barred,
        is_lie: lie.is_some(),
    })
}

/// Judges what [`at_first`] has not.
#[inline(always)]
pub fn at_last<T: Tables>(pending: Pending, view: &View<'_, T>) -> Ruling {
    let Pending {
        arp,
        destination,
        found,
        is_barred,
        is_lie,
    } = pending;
    let arp = &arp;
    let about = if claims(arp.kind) {
        view.found(arp.spa)
    } else {
        None
    };
    let hidden = about.filter(|rule| view.hides(*rule, arp.spa));
    // Zeros where it is not known, which no station has: of an absent one the verifier sees bytes that nobody
    // has written.
    let own = if found.is_some() || about.is_some() {
        view.mac().unwrap_or_default()
    } else {
        Mac::default()
    };
    let ruling = match found {
        Some(rule) if is_barred => barred(rule, arp.kind),
        Some(_) | None => Ruling::PERMITTED,
    };
    let ruling = view.forget(ruling);
    let ruling = view.forget(ruling.or(|| martian(arp, (destination, own), found, hidden, view)));
    let ruling = view.forget(ruling.or(|| astray(arp, found, view)));
    let ruling = view.forget(ruling.or(|| answered(arp, (destination, own), found, view)));
    let ruling = view.forget(ruling.or(|| shielded(hidden)));
    let ruling = ruling.or(|| {
        if is_lie {
            Ruling::of(lies(Mode::Audit))
        } else {
            Ruling::PERMITTED
        }
    });
    match about {
        Some(rule) if watches(rule, view) && own != arp.sha => {
            ruling.and_watched(Decider::new(rule.policy(), rule.mode()))
        }
        Some(_) | None => ruling,
    }
}

/// Whether it asks for its target.
#[inline(always)]
const fn asks(kind: Kind) -> bool {
    matches!(kind, Kind::Request | Kind::Probe)
}

/// Whether it claims its sender's address.
#[inline(always)]
const fn claims(kind: Kind) -> bool {
    !matches!(kind, Kind::Probe)
}

/// The mode of the rule that binds what a packet claims to another hardware address, if there is one.
#[inline(always)]
fn false_claim<T: Tables>(arp: &Arp, view: &View<'_, T>) -> Option<Mode> {
    let rule = view.bound(arp.spa)?;
    if rule.mac() == Some(arp.sha) {
        None
    } else {
        Some(rule.mode())
    }
}

/// The verdict on a false claim.
#[inline(always)]
const fn lies(mode: Mode) -> Verdict<Receive> {
    Verdict {
        action: Receive::Drop,
        reason: Reason::FalseClaim,
        decider: Decider::new(Policy::Bind, mode),
    }
}

/// Whether it matters to a policy who has an address. A strict device's is about all addresses. In a
/// VLAN another station may have it, or the same one: that VLAN's device knows.
#[inline(always)]
fn watches<T: Tables>(rule: Rule, view: &View<'_, T>) -> bool {
    match rule.policy() {
        Policy::Hide | Policy::Pin | Policy::Answer => !view.is_vlans(),
        Policy::Strict | Policy::Bind => false,
    }
}

/// The ruling of what asks for an address that `rule` keeps out of the device's ARP.
#[inline(always)]
fn barred(rule: Rule, kind: Kind) -> Ruling {
    let reason = match (rule.policy(), kind) {
        (Policy::Strict, Kind::Probe) => Reason::ForeignProbe,
        (Policy::Strict, _) => Reason::ForeignRequest,
        (_, Kind::Probe) => Reason::HiddenProbe,
        _ => Reason::HiddenRequest,
    };
    Ruling::by(rule, Receive::Drop, reason)
}

/// Judges what a director asks, which has the address that `hidden` hides here: the kernel discards it.
/// `found` is the rule for what it asks for, if there is one. What is answered for is answered as its
/// own rule says.
#[inline(always)]
fn martian<T: Tables>(
    arp: &Arp,
    (destination, own): (Mac, Mac),
    found: Option<Rule>,
    hidden: Option<Rule>,
    view: &View<'_, T>,
) -> Ruling {
    if let Some(rule) = hidden
        && arp.kind == Kind::Request
        && found.is_none_or(|rule| rule.policy() != Policy::Answer)
        && view.owns(arp.tpa)
        && own != Mac::default()
        && is_heard(destination, own)
    {
        return Ruling::by(rule, Receive::Answer(own), Reason::MartianRequest);
    }
    Ruling::PERMITTED
}

/// Judges a request by whether it comes from a subnet of a device that wants that. What is promoted is
/// answered to everybody.
#[inline(always)]
fn astray<T: Tables>(arp: &Arp, found: Option<Rule>, view: &View<'_, T>) -> Ruling {
    if arp.kind == Kind::Request
        && found.is_some_and(|rule| !rule.is_promoted())
        && let Some(strict) = view.strictness()
        && strict.wants_same_subnet()
        && !view.is_on_link(arp.spa)
    {
        return Ruling::by(strict, Receive::Drop, Reason::WrongSubnet);
    }
    Ruling::PERMITTED
}

/// Judges what asks for an address that this host answers for by the rule that was `found`.
#[inline(always)]
fn answered<T: Tables>(
    arp: &Arp,
    (destination, own): (Mac, Mac),
    found: Option<Rule>,
    view: &View<'_, T>,
) -> Ruling {
    let Some(rule) = found.filter(|rule| rule.policy() == Policy::Answer) else {
        return Ruling::PERMITTED;
    };
    if own == Mac::default() {
        return Ruling::PERMITTED;
    }
    let mac = rule.mac().unwrap_or(own);
    // Who was told another address than the device's own revalidates by that.
    if !is_heard(destination, own) && destination != mac {
        return Ruling::PERMITTED;
    }
    if !rule.is_forced() && view.is_contested(arp.tpa, mac) {
        // The device's own address is the kernel's to defend, which answers alike: no forged claim
        // silences the host.
        if mac == own && !rule.is_deferred() && view.owns(arp.tpa) {
            return Ruling::PERMITTED;
        }
        return Ruling::by(rule, Receive::Drop, Reason::ContestedRequest);
    }
    if rule.is_deferred() {
        return Ruling::by(rule, Receive::Defer(mac), Reason::DeferredRequest);
    }
    Ruling::by(rule, Receive::Answer(mac), Reason::AnsweredRequest)
}

/// Judges what is said in the name of an address that `hidden` hides here. Any packet with the address
/// as its sender is a conflict to a daemon that defends it (RFC 5227, section 2.4).
#[inline(always)]
fn shielded(hidden: Option<Rule>) -> Ruling {
    match hidden {
        Some(rule) if rule.shields() => Ruling::by(rule, Receive::Drop, Reason::ShieldedClaim),
        Some(_) | None => Ruling::PERMITTED,
    }
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
fn decide(rule: Rule, action: Send, reason: Reason) -> Verdict<Send> {
    Verdict {
        action,
        reason,
        decider: Decider::new(rule.policy(), rule.mode()),
    }
}
