//! Frames that claim addresses which policies are about.

use core::net::Ipv4Addr;

use arpguard_common::{
    abi::counter,
    frame::Place,
    verdict::{Decider, Direction, Reason},
    wire::Raw,
};

use crate::{
    claims::note_claim,
    count::count,
    report::{Tell, report},
};

/// Notes the claim that a received frame makes, if somebody watches it, and tells of a change.
#[inline(always)]
pub(crate) fn watch<F: Tell>(
    frame: &F,
    place: Place,
    device: u32,
    (watched_by, raw): (Decider, Raw),
) {
    if watched_by == Decider::NOBODY {
        return;
    }
    if let Some(arp) = raw.parse()
        && note_claim(device, arp.spa.to_bits(), arp.sha.pack()) != 0
    {
        let counter = counter(watched_by, Reason::FlipFlop) as u8;
        count(device, counter);
        let way = (device, Direction::Received);
        report(frame, place, way, counter, Ipv4Addr::UNSPECIFIED);
    }
}
