//! Received frames.

use std::net::Ipv4Addr;

use arpguard_common::{
    verdict::{Policy, Reason},
    wire::Mac,
};

use super::{Case, Direction, expect::Expect, vary::Row};
use crate::{
    arp::{AD, Frame, NOBODY, Q, announcement, announcing_reply, probe, reply, request},
    fixture::{
        ANSWERED, ANSWERED_AUDITED, ANSWERED_WITH, AUDITED, AUDITED_ON_ETH0, AUDITED_STRICT, BOUND,
        BOUND_AND_HIDDEN, BOUND_AUDITED, BOUND_TO_VRRP, CONTESTED, CONTESTED_OWN, DEFERRED, Device,
        FORCED, GIVEN, HIDDEN_IN_PINNED, IN_ANSWERED, IN_BOUND, IN_PINNED, IN_PREFIX, LONGEST,
        ON_ETH1, OTHER, PINNED, PINNED_AND_HIDDEN, PINNED_AUDITED, PINNED_IN_HIDDEN,
        PINNED_TO_MUTE, PINNED_TO_STRICT, PROMOTED, PROMOTED_IN_PREFIX, PROMOTED_ON_ETH0, RIP,
        SECOND, SHIELDED, STRICT, VIP, VRRP,
    },
};

use Device::{Eth0, Eth1, Eth2, Eth3, Eth4, Eth5};
use Policy::{Answer, Bind, Pin, Strict};

const ASKED: Expect = Expect::Drop(Reason::HiddenRequest);
const PROBED: Expect = Expect::Drop(Reason::HiddenProbe);
const CLAIMED: Expect = Expect::Drop(Reason::ShieldedClaim);
const FOREIGN: Expect = Expect::Drop(Reason::ForeignRequest);
const FOREIGN_PROBE: Expect = Expect::Drop(Reason::ForeignProbe);
const FALSE: Expect = Expect::Drop(Reason::FalseClaim);
const ANSWER: Expect = Expect::Answer;
const PERMIT: Expect = Expect::PERMIT;

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
    rows.extend(director());
    rows.extend(answered());
    rows.extend(bound());
    rows.extend(in_vlans());
    rows.extend(malformed());
    cases.extend(rows.iter().map(Row::once));
    cases
}

fn row(device: Device, says: &'static str, frame: Frame, expect: Expect) -> Row {
    Row {
        direction: Direction::Received,
        device,
        says,
        frame,
        expect,
        policy: Policy::Hide,
    }
}

/// The station at the other end asks.
fn asks(device: Device, tpa: Ipv4Addr) -> Frame {
    asks_as(device, device.peer(), tpa)
}

/// It asks in the name of another: as a director does, which has the VIP.
fn asks_as(device: Device, spa: Ipv4Addr, tpa: Ipv4Addr) -> Frame {
    request(device.peer_mac(), spa, tpa)
}

/// How many of the first rows are sent behind too many tags as well.
const DEEP: usize = 5;

#[rustfmt::skip] // one line for each row
fn in_all_forms() -> Vec<Row> {
    let peer = Eth0.peer_mac();
    let client = Eth0.peer();
    let says = |spa, tpa| reply(peer, spa, Eth0.mac(), tpa);
    vec![
        row(Eth0, "a request for a VIP is dropped", asks(Eth0, VIP), ASKED),
        row(Eth0, "a request for the RIP passes", asks(Eth0, RIP), PERMIT),
        row(Eth0, "a director's question as a VIP is answered", asks_as(Eth0, VIP, RIP), ANSWER),
        row(Eth0, "and as a shielded one", asks_as(Eth0, SHIELDED, RIP), ANSWER),
        row(Eth0, "a probe for a VIP is dropped", probe(peer, VIP), PROBED),
        row(Eth0, "a probe for the RIP passes", probe(peer, RIP), PERMIT),
        row(Eth0, "an announcement of a VIP passes", announcement(peer, VIP), PERMIT),
        row(Eth0, "a shielded VIP's is dropped", announcement(peer, SHIELDED), CLAIMED),
        row(Eth0, "and as a reply too", announcing_reply(peer, SHIELDED), CLAIMED),
        row(Eth0, "a reply to a probe for a VIP passes", says(VIP, NOBODY), PERMIT),
        row(Eth0, "for a shielded VIP it is dropped", says(SHIELDED, NOBODY), CLAIMED),
        row(Eth0, "a reply to the RIP passes", says(client, RIP), PERMIT),
        row(Eth0, "a request for what another device may speak for is dropped", asks(Eth0, PINNED), ASKED).by(Pin),
        row(Eth1, "on that device it passes", asks(Eth1, PINNED), PERMIT),
        row(Eth3, "a strict device drops what asks for another's", asks(Eth3, RIP), FOREIGN).by(Strict),
        row(Eth3, "a probe for another's too", probe(peer, RIP), FOREIGN_PROBE).by(Strict),
        row(Eth3, "and passes what asks for its own", asks(Eth3, STRICT), PERMIT),
        row(Eth1, "a request for what is answered is", asks(Eth1, ANSWERED), ANSWER).by(Answer),
        row(Eth1, "a probe for it too", probe(Eth1.peer_mac(), ANSWERED), ANSWER).by(Answer),
        row(Eth0, "a false claim is dropped", announcement(Eth1.peer_mac(), BOUND), FALSE).by(Bind),
    ]
}

/// Each policy of the fixture, where it makes a difference.
#[rustfmt::skip] // one line for each row
fn by_policy() -> Vec<Row> {
    let peer = Eth0.peer_mac();
    let client = Eth0.peer();
    let audited = Expect::Audit(Reason::HiddenRequest);
    let probed = Expect::Audit(Reason::HiddenProbe);
    let behind = Ipv4Addr::new(192, 168, 20, 0);
    let says = |spa, tpa| reply(peer, spa, Eth0.mac(), tpa);
    vec![
        row(Eth1, "a VIP is hidden on every device", asks(Eth1, VIP), ASKED),
        row(Eth2, "a VIP is hidden without addresses", asks(Eth2, VIP), ASKED),
        row(Eth0, "a shielded VIP is hidden", asks(Eth0, SHIELDED), ASKED),
        row(Eth0, "a prefix is hidden", asks(Eth0, IN_PREFIX), ASKED),
        row(Eth0, "an address inside it is hidden", asks(Eth0, LONGEST), ASKED),
        row(Eth0, "the address behind it is not", asks(Eth0, behind), PERMIT),
        row(Eth1, "a VIP is hidden on its device", asks(Eth1, ON_ETH1), ASKED),
        row(Eth0, "but not on another", asks(Eth0, ON_ETH1), PERMIT),
        row(Eth0, "a request for an audited VIP passes", asks(Eth0, AUDITED), audited),
        row(Eth0, "a probe for an audited VIP passes", probe(peer, AUDITED), probed),
        row(Eth0, "a device's audit wins", asks(Eth0, AUDITED_ON_ETH0), audited),
        row(Eth1, "but on that device only", asks(Eth1, AUDITED_ON_ETH0), ASKED),
        row(Eth0, "a VIP announced in a reply passes", announcing_reply(peer, VIP), PERMIT),
        row(Eth0, "a client's announcement passes", announcement(peer, client), PERMIT),
        row(Eth0, "a reply to a VIP passes", says(client, VIP), PERMIT),
        row(Eth0, "a reply as a VIP passes", says(VIP, RIP), PERMIT),
        row(Eth0, "a reply as a shielded VIP is dropped", says(SHIELDED, RIP), CLAIMED),
    ]
}

/// What this host is the director of, and where.
#[rustfmt::skip] // one line for each row
fn promoted() -> Vec<Row> {
    let peer = Eth0.peer_mac();
    let vlan = &[(Q, 10)];
    vec![
        row(Eth0, "a request for a promoted VIP passes", asks(Eth0, PROMOTED), PERMIT),
        row(Eth2, "on every device", asks(Eth2, PROMOTED), PERMIT),
        row(Eth3, "on a strict one too", asks(Eth3, PROMOTED), PERMIT),
        row(Eth0, "in a VLAN too", asks(Eth0, PROMOTED).tagged(vlan), PERMIT),
        row(Eth0, "a probe for it passes", probe(peer, PROMOTED), PERMIT),
        row(Eth0, "a claim of it is heard", announcement(peer, PROMOTED), PERMIT),
        row(Eth0, "and in a reply", announcing_reply(peer, PROMOTED), PERMIT),
        row(Eth0, "nobody else asks as it", asks_as(Eth0, PROMOTED, RIP), PERMIT),
        row(Eth0, "it may be promoted on a device", asks(Eth0, PROMOTED_ON_ETH0), PERMIT),
        row(Eth1, "and hidden on others", asks(Eth1, PROMOTED_ON_ETH0), ASKED),
        row(Eth0, "and in VLANs of that", asks(Eth0, PROMOTED_ON_ETH0).tagged(vlan), ASKED),
        row(Eth0, "one of a prefix may be promoted", asks(Eth0, PROMOTED_IN_PREFIX), PERMIT),
        row(Eth0, "and a director asks as it", asks_as(Eth0, PROMOTED_IN_PREFIX, RIP), PERMIT),
    ]
}

/// What is pinned to eth1, and how that goes with what is hidden.
#[rustfmt::skip] // one line for each row
fn pinned() -> Vec<Row> {
    let peer = Eth0.peer_mac();
    let audited = Expect::Audit(Reason::HiddenRequest);
    vec![
        row(Eth0, "a probe for a pinned address is dropped", probe(peer, PINNED), PROBED).by(Pin),
        row(Eth1, "but not where it is pinned to", probe(peer, PINNED), PERMIT),
        row(Eth2, "a pin holds without addresses", asks(Eth2, PINNED), ASKED).by(Pin),
        row(Eth0, "a pinned address may be claimed", announcement(peer, PINNED), PERMIT),
        row(Eth0, "a pinned one asks for the RIP", asks_as(Eth0, PINNED, RIP), ANSWER).by(Pin),
        row(Eth1, "where it is pinned to it is a neighbour", asks_as(Eth1, PINNED, OTHER), PERMIT),
        row(Eth0, "a prefix is pinned", asks(Eth0, IN_PINNED), ASKED).by(Pin),
        row(Eth1, "to its device", asks(Eth1, IN_PINNED), PERMIT),
        row(Eth1, "a longer match hides there", asks(Eth1, HIDDEN_IN_PINNED), ASKED),
        row(Eth0, "and elsewhere", asks(Eth0, HIDDEN_IN_PINNED), ASKED),
        row(Eth0, "a longer match pins", asks(Eth0, PINNED_IN_HIDDEN), ASKED).by(Pin),
        row(Eth1, "and shows what a prefix hides", asks(Eth1, PINNED_IN_HIDDEN), PERMIT),
        row(Eth0, "a device hides what is pinned", asks(Eth0, PINNED_AND_HIDDEN), ASKED),
        row(Eth1, "to another", asks(Eth1, PINNED_AND_HIDDEN), PERMIT),
        row(Eth2, "and a third has it hidden by the pin", asks(Eth2, PINNED_AND_HIDDEN), ASKED).by(Pin),
        row(Eth0, "an audited pin is only counted", asks(Eth0, PINNED_AUDITED), audited).by(Pin),
    ]
}

/// Devices that answer only for what they own.
#[rustfmt::skip] // one line for each row
fn strict() -> Vec<Row> {
    let peer = Eth3.peer_mac();
    let client = Eth3.peer();
    let neighbour = Ipv4Addr::new(172, 16, 3, 50);
    let stranger = Ipv4Addr::new(172, 16, 9, 1);
    let audited = Expect::Audit(Reason::ForeignRequest);
    let probed = Expect::Audit(Reason::ForeignProbe);
    let far = Expect::Drop(Reason::WrongSubnet);
    let says = |spa, tpa| reply(peer, spa, Eth3.mac(), tpa);
    vec![
        row(Eth3, "a probe for its own passes", probe(peer, STRICT), PERMIT),
        row(Eth3, "a neighbour's is foreign", asks(Eth3, neighbour), FOREIGN).by(Strict),
        row(Eth3, "a VIP is hidden before it is foreign", asks(Eth3, VIP), ASKED),
        row(Eth3, "a pinned one is hidden before", asks(Eth3, PINNED), ASKED).by(Pin),
        row(Eth3, "what is pinned to it is its own", asks(Eth3, PINNED_TO_STRICT), PERMIT),
        row(Eth3, "for its neighbours alone", asks_as(Eth3, stranger, PINNED_TO_STRICT), far).by(Strict),
        row(Eth3, "so is what is answered on it", asks_as(Eth3, stranger, IN_ANSWERED), far).by(Strict),
        row(Eth3, "but what it is the director of", asks_as(Eth3, stranger, PROMOTED), PERMIT),
        row(Eth3, "who is not in its subnet is dropped", asks_as(Eth3, stranger, STRICT), far).by(Strict),
        row(Eth3, "but for a director", asks_as(Eth3, VIP, STRICT), ANSWER),
        row(Eth3, "an announcement of another's passes", announcement(peer, RIP), PERMIT),
        row(Eth3, "a reply passes", says(client, STRICT), PERMIT),
        row(Eth3, "a reply to another's passes", says(stranger, RIP), PERMIT),
        row(Eth4, "under audit another's is asked for", asks(Eth4, RIP), audited).by(Strict),
        row(Eth4, "and probed for", probe(peer, RIP), probed).by(Strict),
        row(Eth4, "an audit does not let a claim pass", asks_as(Eth4, SHIELDED, RIP), CLAIMED),
        row(Eth4, "its own passes", asks(Eth4, AUDITED_STRICT), PERMIT),
        row(Eth4, "for anybody where no subnet is asked for", asks_as(Eth4, stranger, AUDITED_STRICT), PERMIT),
        row(Eth5, "who owns nothing has only what is pinned to it", asks(Eth5, PINNED_TO_MUTE), PERMIT),
        row(Eth5, "and nothing else", asks(Eth5, RIP), FOREIGN).by(Strict),
    ]
}

/// A director's questions.
#[rustfmt::skip] // one line for each row
fn director() -> Vec<Row> {
    let elsewhere = Mac([2, 0, 0, 0, 0, 0x77]);
    let group = Mac([1, 0, 0x5e, 0, 0, 1]);
    let neighbour = Ipv4Addr::new(192, 168, 18, 50);
    let audited = Expect::Audit(Reason::MartianRequest);
    let away = asks_as(Eth0, VIP, RIP).to(elsewhere);
    let shielded_away = asks_as(Eth0, SHIELDED, RIP).to(elsewhere);
    let by_device = AUDITED_ON_ETH0;
    vec![
        row(Eth0, "a secondary address is told too", asks_as(Eth0, VIP, SECOND), ANSWER),
        row(Eth0, "to an address in a prefix too", asks_as(Eth0, LONGEST, RIP), ANSWER),
        row(Eth1, "another device tells its own", asks_as(Eth1, VIP, OTHER), ANSWER),
        row(Eth0, "a question to a group is answered", asks_as(Eth0, VIP, RIP).to(group), ANSWER),
        row(Eth0, "one to another station is not", away, PERMIT),
        row(Eth0, "as a shielded VIP it is a claim", shielded_away, CLAIMED),
        row(Eth1, "another device's RIP is not told", asks_as(Eth1, VIP, RIP), PERMIT),
        row(Eth2, "a device without addresses tells none", asks_as(Eth2, VIP, RIP), PERMIT),
        row(Eth0, "a neighbour's address is not told", asks_as(Eth0, VIP, neighbour), PERMIT),
        row(Eth0, "nor to a shielded VIP", asks_as(Eth0, SHIELDED, neighbour), CLAIMED),
        row(Eth0, "a VIP is not told to a VIP", asks_as(Eth0, VIP, LONGEST), ASKED),
        row(Eth0, "no answer under audit", asks_as(Eth0, AUDITED, RIP), audited),
        row(Eth0, "nor under a device's audit", asks_as(Eth0, by_device, RIP), audited),
        row(Eth1, "but elsewhere there is", asks_as(Eth1, by_device, OTHER), ANSWER),
    ]
}

/// What arpguard replies for.
#[rustfmt::skip] // one line for each row
fn answered() -> Vec<Row> {
    let peer = Eth1.peer_mac();
    let client = Eth1.peer();
    let elsewhere = Mac([2, 0, 0, 0, 0, 0x77]);
    let audited = Expect::Audit(Reason::AnsweredRequest);
    let deferred = Expect::Drop(Reason::DeferredRequest);
    let contested = Expect::Drop(Reason::ContestedRequest);
    let away = asks(Eth1, ANSWERED).to(elsewhere);
    vec![
        row(Eth0, "on another device it is hidden", asks(Eth0, ANSWERED), ASKED),
        row(Eth1, "what asks another station for it is not answered", away, PERMIT),
        row(Eth1, "what nobody has is answered as is said", asks(Eth1, ANSWERED_WITH), Expect::AnswerWith(GIVEN)).by(Answer),
        row(Eth1, "who was told so revalidates by that", asks(Eth1, ANSWERED_WITH).to(GIVEN), Expect::AnswerWith(GIVEN)).by(Answer),
        row(Eth0, "and nowhere else", asks(Eth0, ANSWERED_WITH), PERMIT),
        row(Eth1, "under audit the kernel answers", asks(Eth1, ANSWERED_AUDITED), audited).by(Answer),
        row(Eth1, "what another claims is not answered", asks(Eth1, CONTESTED), contested).by(Answer),
        row(Eth1, "and so is a probe", probe(peer, CONTESTED), contested).by(Answer),
        row(Eth1, "what the device has itself the kernel defends", asks(Eth1, CONTESTED_OWN), PERMIT),
        row(Eth1, "by force it is answered", asks(Eth1, FORCED), ANSWER).by(Answer),
        row(Eth1, "its claim passes", announcement(peer, CONTESTED), PERMIT),
        row(Eth1, "what is under a check is left to the agent", asks(Eth1, DEFERRED), deferred).by(Answer),
        row(Eth1, "and a probe for it", probe(peer, DEFERRED), deferred).by(Answer),
        row(Eth0, "but not on another device", asks(Eth0, DEFERRED), PERMIT),
        row(Eth3, "a strict device answers for what is answered", asks(Eth3, IN_ANSWERED), ANSWER).by(Answer),
        row(Eth1, "a director that asks for it is answered, too", asks_as(Eth1, SHIELDED, ANSWERED), ANSWER).by(Answer),
        row(Eth1, "in a VLAN nothing is answered", asks(Eth1, ANSWERED_WITH).tagged(&[(Q, 10)]), PERMIT),
        row(Eth1, "a reply to a client passes", reply(peer, client, Eth1.mac(), OTHER), PERMIT),
    ]
}

/// Who may claim what is bound.
#[rustfmt::skip] // one line for each row
fn bound() -> Vec<Row> {
    let right = Eth0.peer_mac();
    let wrong = Eth1.peer_mac();
    let says = |mac, spa| reply(mac, spa, Eth0.mac(), RIP);
    let asks = |mac, spa| request(mac, spa, RIP);
    let audited = Expect::Audit(Reason::FalseClaim);
    vec![
        row(Eth0, "who may claim an address announces it", announcement(right, BOUND), PERMIT),
        row(Eth0, "and replies", says(right, BOUND), PERMIT),
        row(Eth0, "and asks", asks(right, BOUND), PERMIT),
        row(Eth0, "another's reply is dropped", says(wrong, BOUND), FALSE).by(Bind),
        row(Eth0, "and its request", asks(wrong, BOUND), FALSE).by(Bind),
        row(Eth0, "and its announcement in a reply", announcing_reply(wrong, BOUND), FALSE).by(Bind),
        row(Eth0, "a false claim is dropped in a prefix too", says(wrong, IN_BOUND), FALSE).by(Bind),
        row(Eth0, "under audit it passes", says(wrong, BOUND_AUDITED), audited).by(Bind),
        row(Eth0, "what asks for a VIP so is dropped under audit", request(wrong, BOUND_AUDITED, VIP), ASKED),
        row(Eth0, "a probe for what is bound passes", probe(wrong, BOUND), PERMIT),
        row(Eth0, "a binding on a device is not another's", says(wrong, BOUND_TO_VRRP), PERMIT),
        row(Eth1, "a virtual router claims its own", announcement(VRRP, BOUND_TO_VRRP), PERMIT),
        row(Eth1, "and nobody else does", announcement(wrong, BOUND_TO_VRRP), FALSE).by(Bind),
        row(Eth0, "a hidden VIP may be bound to the director", asks(right, BOUND_AND_HIDDEN), ANSWER),
        row(Eth0, "and is kept from others", asks(wrong, BOUND_AND_HIDDEN), FALSE).by(Bind),
        row(Eth0, "in a VLAN a binding on every device holds", says(wrong, BOUND).tagged(&[(Q, 10)]), FALSE).by(Bind),
        row(Eth1, "and one on the parent does not", announcement(wrong, BOUND_TO_VRRP).tagged(&[(Q, 10)]), PERMIT),
    ]
}

/// Frames of a VLAN, on its parent: only the policies for every device hold.
#[rustfmt::skip] // one line for each row
fn in_vlans() -> Vec<Row> {
    let vlan = &[(Q, 10)];
    let asked = |device: Device, tpa| asks(device, tpa).tagged(vlan);
    let question = |spa| asks_as(Eth0, spa, RIP).tagged(vlan);
    let inner = asks(Eth0, VIP).tagged(&[(AD, 0), (Q, 10)]);
    let outer = asks(Eth1, ON_ETH1).tagged(&[(AD, 10), (Q, 0)]);
    vec![
        row(Eth0, "in a VLAN a VIP is hidden", asked(Eth0, VIP), ASKED),
        row(Eth0, "inside a priority tag too", inner, ASKED),
        row(Eth1, "a policy on the parent is not the VLAN's", asked(Eth1, ON_ETH1), PERMIT),
        row(Eth1, "around a priority tag neither", outer, PERMIT),
        row(Eth0, "nor is the parent's audit", asked(Eth0, AUDITED_ON_ETH0), ASKED),
        row(Eth0, "in a VLAN no question is answered", question(VIP), PERMIT),
        row(Eth0, "in a VLAN a shield holds", question(SHIELDED), CLAIMED),
        row(Eth0, "a pin may be to the VLAN", asked(Eth0, PINNED), PERMIT),
        row(Eth3, "a strict parent is not the VLAN's", asked(Eth3, RIP), PERMIT),
    ]
}

/// What the kernel would not take as ARP for IPv4, and what is no ARP at all.
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
        odd("another hardware type passes", |f| f.htype = 2),
        odd("a swapped hardware type passes", |f| f.htype = 0x0100),
        odd("another protocol passes", |f| f.ptype = 0x86dd),
        odd("longer hardware addresses pass", |f| f.hlen = 8),
        odd("longer protocol addresses pass", |f| f.plen = 16),
        odd("operation 0 passes", |f| f.op = 0),
        odd("a reverse request passes", |f| f.op = 3),
        odd("an inverse request passes", |f| f.op = 8),
        odd("a swapped operation passes", |f| f.op = 0x0100),
        odd("a packet that lacks a byte passes", |f| f.cut = 1),
        odd("a packet of one byte passes", |f| f.cut = 27),
        odd("a packet behind a tag that lacks a byte passes", |f| {
            f.tags = vec![(Q, 0)];
            f.cut = 1;
        }),
        odd("another protocol behind a tag passes", |f| {
            f.tags = vec![(AD, 0)];
            f.ptype = 0x86dd;
        }),
        other("RARP passes", 0x8035),
        other("what says IPv4 passes", 0x0800),
        other("what says IPv6 passes", 0x86dd),
        other("802.3 passes", 28),
    ]
}
