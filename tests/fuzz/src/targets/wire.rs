//! The wire parser, against the reading of frames that the tests have of their own.

use arpguard_common::{
    frame::{MAX_TAGS, find_arp},
    wire::{ARP_LEN, Arp, Header, Kind, Mac, target_mac},
};
use arpguard_tests::arp::{self, Frame};

/// A frame.
pub fn wire(data: &[u8]) {
    let Some(place) = find_arp(data) else {
        let shallow = |frame: &Frame| frame.tags.len() <= MAX_TAGS;
        assert!(!Frame::read(data).as_ref().is_some_and(shallow));
        return;
    };
    assert_eq!(place.at, 14 + 4 * place.tags());
    assert!(place.tags() <= MAX_TAGS);
    let Some(packet) = data[place.at..].first_chunk::<ARP_LEN>() else {
        assert_eq!(Frame::read(data), None);
        return;
    };
    let frame = Frame::read(data).unwrap();
    assert_eq!(frame.tags.len(), place.tags());
    assert_eq!(
        frame.tags.iter().any(|(_, tci)| tci & 0xfff != 0),
        place.vlan
    );
    let header = Header {
        htype: frame.htype,
        ptype: frame.ptype,
        hlen: frame.hlen,
        plen: frame.plen,
        oper: frame.op,
    };
    assert_eq!(Header::read(packet), header);
    assert_eq!(target_mac(packet), frame.tha);

    let taken = matches!(frame.htype, arp::ETHERNET | arp::IEEE_802)
        && (frame.ptype, frame.hlen, frame.plen) == (0x0800, 6, 4)
        && matches!(frame.op, arp::REQUEST | arp::REPLY);
    let kind = match frame.op {
        arp::REQUEST if frame.spa == arp::NOBODY => Kind::Probe,
        _ if frame.spa == frame.tpa => Kind::Announcement,
        arp::REQUEST => Kind::Request,
        _ => Kind::Reply,
    };
    let parsed = taken.then_some(Arp {
        kind,
        sha: frame.sha,
        spa: frame.spa,
        tpa: frame.tpa,
    });
    assert_eq!(Arp::parse(packet), parsed);
    if let Some(parsed) = parsed {
        let own = Mac([2, 0, 0, 0, 0, 7]);
        let reply = arp::reply(own, parsed.tpa, parsed.sha, parsed.spa);
        assert_eq!(parsed.reply(own).as_slice(), reply.bytes());
    }
}
