//! ARP packets, as they are written to the wire.

use std::net::Ipv4Addr;

use arpguard_common::{
    frame::{ETHERTYPE_ARP, TAG_LEN},
    wire::{Arp, ETHERNET, FRAME_LEN, IPV4, LENGTHS, Mac, REPLY, REQUEST},
};
use bytes::{BufMut as _, Bytes, BytesMut};

/// A tag (IEEE 802.1Q): its EtherType and its TCI, both in host byte order.
pub(crate) type Tag = (u16, u16);

/// A packet for IPv4 over Ethernet, in its frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packet {
    pub(crate) destination: Mac,
    pub(crate) source: Mac,
    /// From the outside in.
    pub(crate) tags: &'static [Tag],
    /// Hardware type, big endian.
    pub(crate) htype: [u8; 2],
    /// Operation, big endian.
    pub(crate) oper: [u8; 2],
    pub(crate) sha: Mac,
    pub(crate) spa: Ipv4Addr,
    pub(crate) tha: Mac,
    pub(crate) tpa: Ipv4Addr,
}

impl Packet {
    /// Who has `tpa`? Tell `spa` at `sha`. To everybody (RFC 826).
    ///
    /// The target's hardware address is what is asked for; it is left at zero, as the kernel does
    /// (`arp_create` in `net/ipv4/arp.c`), and as RFC 5227, section 2.1.1, has it for probes.
    pub(crate) const fn request(sha: Mac, spa: Ipv4Addr, tpa: Ipv4Addr) -> Self {
        Self {
            destination: Mac::BROADCAST,
            source: sha,
            tags: &[],
            htype: ETHERNET,
            oper: REQUEST,
            sha,
            spa,
            tha: Mac([0; 6]),
            tpa,
        }
    }

    /// `spa` is at `sha`. To everybody, with the sender as its own target (RFC 5944, section 4.6).
    pub(crate) const fn unasked_reply(sha: Mac, spa: Ipv4Addr) -> Self {
        Self {
            oper: REPLY,
            tha: sha,
            ..Self::request(sha, spa, spa)
        }
    }

    /// The reply to a request or a probe, in the name of its target, which is at `sha`: unicast to
    /// the sender, as the kernel's (`arp_process` in `net/ipv4/arp.c`).
    pub(crate) const fn reply(asked: &Arp, sha: Mac) -> Self {
        Self {
            destination: asked.sha,
            oper: REPLY,
            tha: asked.sha,
            ..Self::request(sha, asked.tpa, asked.spa)
        }
    }

    /// The EtherType at the head of the frame, in host byte order.
    pub(crate) fn ethertype(&self) -> u16 {
        self.tags.first().map_or(ETHERTYPE_ARP, |(kind, _)| *kind)
    }

    /// The frame, from the destination address to the last byte of the packet; the driver pads it.
    pub(crate) fn bytes(&self) -> Bytes {
        let mut bytes = BytesMut::with_capacity(FRAME_LEN + TAG_LEN * self.tags.len());
        bytes.put_slice(&self.destination.0);
        bytes.put_slice(&self.source.0);
        for (kind, tci) in self.tags {
            bytes.put_u16(*kind);
            bytes.put_u16(*tci);
        }
        bytes.put_u16(ETHERTYPE_ARP);
        bytes.put_slice(&self.htype);
        bytes.put_slice(&IPV4);
        bytes.put_slice(&LENGTHS);
        bytes.put_slice(&self.oper);
        bytes.put_slice(&self.sha.0);
        bytes.put_slice(&self.spa.octets());
        bytes.put_slice(&self.tha.0);
        bytes.put_slice(&self.tpa.octets());
        bytes.freeze()
    }
}

#[cfg(test)]
mod tests {
    use arpguard_common::{
        frame::find_arp,
        wire::{Arp, Kind},
    };
    use proptest::prelude::*;

    use super::*;

    const TAGS: [&[Tag]; 3] = [&[], &[(0x8100, 0)], &[(0x88a8, 0), (0x8100, 0)]];

    #[test]
    fn a_reply_is_the_one_that_the_programs_make() {
        let asked = Arp {
            kind: Kind::Request,
            sha: Mac([2, 0, 0, 0, 0, 9]),
            spa: Ipv4Addr::new(10, 0, 0, 1),
            tpa: Ipv4Addr::new(10, 0, 0, 2),
        };
        let own = Mac([2, 0, 0, 0, 0, 7]);
        assert_eq!(Packet::reply(&asked, own).bytes()[..], asked.reply(own));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(
            sha in any::<[u8; 6]>(), spa in any::<u32>(), tpa in any::<u32>(), tags in 0_usize..3,
        ) {
            let (spa, tpa) = (Ipv4Addr::from_bits(spa), Ipv4Addr::from_bits(tpa));
            let packet = Packet { tags: TAGS[tags], ..Packet::request(Mac(sha), spa, tpa) };
            let bytes = packet.bytes();
            let place = find_arp(&bytes[..]).unwrap();
            prop_assert_eq!((place.tags(), place.vlan), (tags, false));
            let arp = Arp::parse(bytes[place.at..].first_chunk().unwrap()).unwrap();
            let kind = match (spa, tpa) {
                (Ipv4Addr::UNSPECIFIED, _) => Kind::Probe,
                (spa, tpa) if spa == tpa => Kind::Announcement,
                _ => Kind::Request,
            };
            prop_assert_eq!(arp, Arp { kind, sha: Mac(sha), spa, tpa });
            prop_assert_eq!(bytes.len(), place.at + 28);
        }
    }
}
