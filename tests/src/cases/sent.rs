//! Frames that are sent.

use std::net::Ipv4Addr;

use arpguard_common::verdict::{Policy, Reason};

use super::{Case, Direction, expect::Expect, vary::Row};
use crate::{
    arp::{AD, Frame, NOBODY, Q, announcement, announcing_reply, probe, reply, request},
    fixture::{
        AUDITED, AUDITED_ON_ETH0, Device, HIDDEN_IN_PINNED, IN_PINNED, IN_PREFIX, LONGEST, ON_ETH1,
        OTHER, PINNED, PINNED_AND_HIDDEN, PINNED_AUDITED, PINNED_IN_HIDDEN, PINNED_TO_MUTE,
        PINNED_TO_STRICT, PROMOTED, PROMOTED_IN_PREFIX, PROMOTED_ON_ETH0, RIP, SECOND, SHIELDED,
        STRICT, VIP,
    },
};

use Device::{Eth0, Eth1, Eth2, Eth3, Eth4, Eth5};
use Policy::{Pin, Strict};

const NO_RIP: Expect = Expect::Drop(Reason::NoRip);
const ANNOUNCED: Expect = Expect::Drop(Reason::LeakingAnnouncement);
const REPLIED: Expect = Expect::Drop(Reason::LeakingReply);
const PROBED: Expect = Expect::Drop(Reason::LeakingProbe);
const PERMIT: Expect = Expect::PERMIT;

const fn tells(rip: Ipv4Addr) -> Expect {
    Expect::Rewrite(rip)
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for row in in_all_forms() {
        cases.extend(row.in_all_forms());
    }
    for row in in_all_forms().iter().take(DEEP) {
        cases.push(row.too_deep());
    }
    let mut rows = by_policy();
    rows.extend(promoted());
    rows.extend(pinned());
    rows.extend(strict());
    rows.extend(in_vlans());
    rows.extend(malformed());
    cases.extend(rows.iter().map(Row::once));
    cases
}

fn row(device: Device, says: &'static str, frame: Frame, expect: Expect) -> Row {
    Row {
        direction: Direction::Sent,
        device,
        says,
        frame,
        expect,
        policy: Policy::Hide,
    }
}

/// The real server asks for the station at the other end, as `spa`.
fn asks(device: Device, spa: Ipv4Addr) -> Frame {
    request(device.mac(), spa, device.peer())
}

fn replies(spa: Ipv4Addr, tpa: Ipv4Addr) -> Frame {
    reply(Eth0.mac(), spa, Eth0.peer_mac(), tpa)
}

/// How many of the first rows are sent behind too many tags as well.
const DEEP: usize = 1;

#[rustfmt::skip] // one line for each row
fn in_all_forms() -> Vec<Row> {
    let mac = Eth0.mac();
    let client = Eth0.peer();
    vec![
        row(Eth0, "a request as a VIP tells the RIP", asks(Eth0, VIP), tells(RIP)),
        row(Eth1, "a device without the RIP tells its own", asks(Eth1, VIP), tells(OTHER)),
        row(Eth2, "a device without addresses tells the RIP", asks(Eth2, VIP), tells(RIP)),
        row(Eth2, "where there is no RIP it is dropped", asks(Eth2, IN_PREFIX), NO_RIP),
        row(Eth0, "an announcement of a VIP is dropped", announcement(mac, VIP), ANNOUNCED),
        row(Eth0, "and as a reply too", announcing_reply(mac, VIP), ANNOUNCED),
        row(Eth0, "a reply as a VIP is dropped", replies(VIP, client), REPLIED),
        row(Eth0, "a reply to a probe is dropped", replies(VIP, NOBODY), REPLIED),
        row(Eth0, "a probe for a VIP is dropped", probe(mac, VIP), PROBED),
        row(Eth0, "a request as the RIP goes out", asks(Eth0, RIP), PERMIT),
        row(Eth0, "a reply as the RIP goes out", replies(RIP, client), PERMIT),
        row(Eth0, "what is pinned to another tells the device's own", asks(Eth0, PINNED), tells(RIP)).by(Pin),
        row(Eth1, "where it is pinned to it asks", asks(Eth1, PINNED), PERMIT),
        row(Eth3, "a strict device tells its own for another's", asks(Eth3, RIP), tells(STRICT)).by(Strict),
        row(Eth3, "and does not announce another's", announcement(Eth3.mac(), RIP), ANNOUNCED).by(Strict),
        row(Eth3, "but probes for what it may own", probe(Eth3.mac(), RIP), PERMIT),
    ]
}

/// Each policy of the fixture, where it makes a difference.
#[rustfmt::skip] // one line for each row
fn by_policy() -> Vec<Row> {
    let mac = Eth0.mac();
    let client = Eth0.peer();
    let audited = Expect::Audit(Reason::LeakingRequest);
    let announced = Expect::Audit(Reason::LeakingAnnouncement);
    let replied = Expect::Audit(Reason::LeakingReply);
    let probed = Expect::Audit(Reason::LeakingProbe);
    let away = request(mac, IN_PREFIX, Ipv4Addr::new(172, 16, 0, 1));
    let by_device = AUDITED_ON_ETH0;
    vec![
        row(Eth0, "a shielded VIP tells the RIP", asks(Eth0, SHIELDED), tells(RIP)),
        row(Eth0, "a prefix tells the device's own", asks(Eth0, IN_PREFIX), tells(RIP)),
        row(Eth1, "another device tells its own", asks(Eth1, IN_PREFIX), tells(OTHER)),
        row(Eth0, "and in no subnet its first", away, tells(RIP)),
        row(Eth0, "the longest match tells its RIP", asks(Eth0, LONGEST), tells(SECOND)),
        row(Eth1, "but not where that is not", asks(Eth1, LONGEST), tells(OTHER)),
        row(Eth2, "unless there is no other", asks(Eth2, LONGEST), tells(SECOND)),
        row(Eth1, "a device's VIP tells its own", asks(Eth1, ON_ETH1), tells(OTHER)),
        row(Eth0, "but not elsewhere", asks(Eth0, ON_ETH1), PERMIT),
        row(Eth0, "an audited VIP asks", asks(Eth0, AUDITED), audited),
        row(Eth0, "an audited VIP announces", announcement(mac, AUDITED), announced),
        row(Eth0, "an audited VIP replies", replies(AUDITED, client), replied),
        row(Eth0, "an audited VIP is probed for", probe(mac, AUDITED), probed),
        row(Eth0, "a device's audit wins", asks(Eth0, by_device), audited),
        row(Eth1, "but on that device only", asks(Eth1, by_device), tells(OTHER)),
        row(Eth2, "and without a RIP it is dropped", asks(Eth2, by_device), NO_RIP),
        row(Eth0, "a prefix is not announced", announcement(mac, IN_PREFIX), ANNOUNCED),
        row(Eth0, "a prefix is not probed for", probe(mac, IN_PREFIX), PROBED),
        row(Eth0, "a prefix does not reply", replies(IN_PREFIX, client), REPLIED),
        row(Eth0, "the RIP is announced", announcement(mac, RIP), PERMIT),
        row(Eth0, "the RIP is probed for", probe(mac, RIP), PERMIT),
        row(Eth0, "the RIP asks for a VIP", request(mac, RIP, VIP), PERMIT),
        row(Eth0, "a VIP asks for a VIP", request(mac, VIP, SHIELDED), tells(RIP)),
    ]
}

/// What this host is the director of, and where.
#[rustfmt::skip] // one line for each row
fn promoted() -> Vec<Row> {
    let (mac, other) = (Eth0.mac(), Eth1.mac());
    let client = Eth0.peer();
    vec![
        row(Eth0, "a promoted VIP asks", asks(Eth0, PROMOTED), PERMIT),
        row(Eth0, "it replies", replies(PROMOTED, client), PERMIT),
        row(Eth0, "it is announced", announcement(mac, PROMOTED), PERMIT),
        row(Eth0, "and by a reply", announcing_reply(mac, PROMOTED), PERMIT),
        row(Eth0, "and probed for", probe(mac, PROMOTED), PERMIT),
        row(Eth3, "on a strict device too", announcement(Eth3.mac(), PROMOTED), PERMIT),
        row(Eth0, "it may be promoted on a device", announcement(mac, PROMOTED_ON_ETH0), PERMIT),
        row(Eth1, "and hidden on others", announcement(other, PROMOTED_ON_ETH0), ANNOUNCED),
        row(Eth1, "where it tells their own", asks(Eth1, PROMOTED_ON_ETH0), tells(OTHER)),
        row(Eth0, "one of a prefix may be promoted", announcement(mac, PROMOTED_IN_PREFIX), PERMIT),
    ]
}

/// What is pinned to eth1, and how that goes with what is hidden.
#[rustfmt::skip] // one line for each row
fn pinned() -> Vec<Row> {
    let (mac, home) = (Eth0.mac(), Eth1.mac());
    let client = Eth0.peer();
    let audited = Expect::Audit(Reason::LeakingRequest);
    vec![
        row(Eth2, "a pin and no address: it is dropped", asks(Eth2, PINNED), NO_RIP).by(Pin),
        row(Eth0, "a pinned address is not announced", announcement(mac, PINNED), ANNOUNCED).by(Pin),
        row(Eth1, "but where it is pinned to", announcement(home, PINNED), PERMIT),
        row(Eth0, "it does not reply", replies(PINNED, client), REPLIED).by(Pin),
        row(Eth0, "it is not probed for", probe(mac, PINNED), PROBED).by(Pin),
        row(Eth1, "but it is where it is pinned to", probe(home, PINNED), PERMIT),
        row(Eth0, "a pinned prefix tells the device's own", asks(Eth0, IN_PINNED), tells(RIP)).by(Pin),
        row(Eth1, "a longer match hides in it", asks(Eth1, HIDDEN_IN_PINNED), tells(OTHER)),
        row(Eth1, "a longer match pins in a hidden one", asks(Eth1, PINNED_IN_HIDDEN), PERMIT),
        row(Eth0, "and hides as a pin elsewhere", asks(Eth0, PINNED_IN_HIDDEN), tells(RIP)).by(Pin),
        row(Eth0, "a device hides what is pinned", asks(Eth0, PINNED_AND_HIDDEN), tells(SECOND)),
        row(Eth1, "to another", asks(Eth1, PINNED_AND_HIDDEN), PERMIT),
        row(Eth0, "an audited pin asks", asks(Eth0, PINNED_AUDITED), audited).by(Pin),
    ]
}

/// Devices that speak only with what they own.
#[rustfmt::skip] // one line for each row
fn strict() -> Vec<Row> {
    let mac = Eth3.mac();
    let client = Eth3.peer();
    let says = |spa| reply(mac, spa, Eth3.peer_mac(), client);
    let audited = Expect::Audit(Reason::LeakingRequest);
    let announced = Expect::Audit(Reason::LeakingAnnouncement);
    let foreign = announcing_reply(mac, RIP);
    vec![
        row(Eth3, "a strict device asks as itself", asks(Eth3, STRICT), PERMIT),
        row(Eth3, "and as what is pinned to it", asks(Eth3, PINNED_TO_STRICT), PERMIT),
        row(Eth3, "a VIP tells its own", asks(Eth3, VIP), tells(STRICT)),
        row(Eth3, "it replies as itself", says(STRICT), PERMIT),
        row(Eth3, "and for what is pinned to it", says(PINNED_TO_STRICT), PERMIT),
        row(Eth3, "but not as another", says(RIP), REPLIED).by(Strict),
        row(Eth3, "it announces itself", announcement(mac, STRICT), PERMIT),
        row(Eth3, "but not another, by a reply", foreign, ANNOUNCED).by(Strict),
        row(Eth3, "a VIP is not probed for", probe(mac, VIP), PROBED),
        row(Eth4, "an audited one asks as another", asks(Eth4, RIP), audited).by(Strict),
        row(Eth4, "and announces another", announcement(Eth4.mac(), RIP), announced).by(Strict),
        row(Eth5, "who owns nothing does not ask as another", asks(Eth5, RIP), NO_RIP).by(Strict),
        row(Eth5, "nor as another's RIP", asks(Eth5, VIP), NO_RIP),
        row(Eth5, "but as what is pinned to it", asks(Eth5, PINNED_TO_MUTE), PERMIT),
    ]
}

/// Frames of a VLAN, on its parent: only the policies for every device hold, and the parent's
/// addresses are not the VLAN's.
#[rustfmt::skip] // one line for each row
fn in_vlans() -> Vec<Row> {
    let vlan = &[(Q, 10)];
    let asked = |device: Device, spa| asks(device, spa).tagged(vlan);
    let inner = asks(Eth0, VIP).tagged(&[(AD, 0), (Q, 10)]);
    let replied = replies(VIP, Eth0.peer()).tagged(vlan);
    vec![
        row(Eth0, "in a VLAN a VIP tells its RIP", asked(Eth0, VIP), tells(RIP)),
        row(Eth0, "inside a priority tag too", inner, tells(RIP)),
        row(Eth1, "of the parent's addresses none is told", asked(Eth1, VIP), tells(RIP)),
        row(Eth0, "so that auto finds none", asked(Eth0, IN_PREFIX), NO_RIP),
        row(Eth0, "the parent's audit is not the VLAN's", asked(Eth0, AUDITED_ON_ETH0), NO_RIP),
        row(Eth1, "nor is its policy", asked(Eth1, ON_ETH1), PERMIT),
        row(Eth0, "in a VLAN a reply as a VIP is dropped", replied, REPLIED),
        row(Eth0, "a pin may be to the VLAN", asked(Eth0, PINNED), PERMIT),
        row(Eth3, "a strict parent is not the VLAN's", asked(Eth3, RIP), PERMIT),
    ]
}

/// What is not ARP for IPv4.
fn malformed() -> Vec<Row> {
    let ask = asks(Eth0, VIP);
    let odd = |says, change: fn(&mut Frame)| {
        let mut frame = ask.clone();
        change(&mut frame);
        row(Eth0, says, frame, Expect::UNPARSED)
    };
    let other = |says, ethertype| {
        // The kernel's test run wants room for the header that such a frame should have.
        let frame = Frame {
            ethertype,
            padded: true,
            ..ask.clone()
        };
        row(Eth0, says, frame, Expect::Unseen)
    };
    vec![
        odd("another hardware type goes out", |f| f.htype = 2),
        odd("another protocol goes out", |f| f.ptype = 0x86dd),
        odd("longer hardware addresses go out", |f| f.hlen = 8),
        odd("longer protocol addresses go out", |f| f.plen = 16),
        odd("operation 0 goes out", |f| f.op = 0),
        odd("operation 9 goes out", |f| f.op = 9),
        odd("a packet that lacks a byte goes out", |f| f.cut = 1),
        other("RARP goes out", 0x8035),
        other("what says IPv4 goes out", 0x0800),
        other("what says IPv6 goes out", 0x86dd),
    ]
}
