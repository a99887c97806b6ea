//! ARP packets for IPv4 over Ethernet (RFC 826), as bytes and as sense.

use core::{
    fmt::{self, Display, Formatter},
    mem::offset_of,
    net::Ipv4Addr,
};

use network_types::{
    arp::ArpHdr,
    eth::{EthHdr, EtherType},
};

use crate::frame::ETHERTYPE_ARP;

/// Length in bytes of an ARP packet for IPv4 over Ethernet.
pub const ARP_LEN: usize = ArpHdr::LEN;
/// Where in an ARP packet the sender's protocol address (SPA) is.
pub const SPA_AT: usize = offset_of!(ArpHdr, spa);
/// Length in bytes of an untagged frame that carries one, without padding.
pub const FRAME_LEN: usize = EthHdr::LEN + ARP_LEN;

const _: () = assert!(ARP_LEN == 28 && SPA_AT == 14 && FRAME_LEN == 42);
const _: () = assert!(EtherType::Arp as u16 == ETHERTYPE_ARP.to_be());

/// Hardware type of Ethernet, big endian.
pub const ETHERNET: [u8; 2] = [0, 1];
/// Hardware type of IEEE 802 networks, big endian. The kernel takes it on Ethernet, as RFC 1042
/// suggests (`arp_process` in `net/ipv4/arp.c`).
pub const IEEE_802: [u8; 2] = [0, 6];
/// Protocol type of IPv4, big endian.
pub const IPV4: [u8; 2] = [0x08, 0x00];
/// Lengths in bytes of a hardware address and of a protocol address.
pub const LENGTHS: [u8; 2] = [6, 4];
/// Operation of a request, big endian.
pub const REQUEST: [u8; 2] = [0, 1];
/// Operation of a reply, big endian.
pub const REPLY: [u8; 2] = [0, 2];

/// An Ethernet hardware address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(transparent)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// ff:ff:ff:ff:ff:ff
    pub const BROADCAST: Self = Self([0xff; 6]);

    /// Whether a frame to this address is for a group of stations: broadcast or multicast.
    #[inline(always)]
    pub const fn is_group(self) -> bool {
        self.0[0] & 1 != 0
    }

    /// Whether one station can have this address.
    #[inline(always)]
    pub fn is_station(self) -> bool {
        !self.is_group() && self.0 != [0; 6]
    }
}

impl Display for Mac {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// What an ARP packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A request with a sender and another target.
    Request,
    /// A request without a sender: does anybody use the target? (RFC 5227, section 1.1)
    Probe,
    /// A request or reply of a sender about itself: a gratuitous ARP (RFC 5227, section 3).
    Announcement,
    /// Any other reply.
    Reply,
}

impl Kind {
    /// The one word for it in output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Probe => "probe",
            Self::Announcement => "announcement",
            Self::Reply => "reply",
        }
    }
}

/// An ARP packet that the kernel would take on an Ethernet device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arp {
    /// Request, probe, announcement or reply.
    pub kind: Kind,
    /// Sender's hardware address.
    pub sha: Mac,
    /// Sender's protocol address.
    pub spa: Ipv4Addr,
    /// Target's protocol address.
    pub tpa: Ipv4Addr,
}

/// The bytes of an ARP packet but for the target's hardware address, as numbers in memory order: few
/// enough for a function of a program, which takes five.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Raw {
    /// All that stands before the addresses.
    pub header: u64,
    /// The sender's hardware address, and two zeros.
    pub sender: u64,
    /// The sender's and the target's protocol address.
    pub addresses: u64,
}

impl Raw {
    /// The numbers of a packet.
    #[inline(always)]
    pub fn of(bytes: &[u8; ARP_LEN]) -> Self {
        const SHA_AT: usize = offset_of!(ArpHdr, sha);
        const TPA_AT: usize = offset_of!(ArpHdr, tpa);
        // Parts are copied as they are, so that no compiler takes them apart.
        let mut header = [0; 8];
        header.copy_from_slice(&bytes[..SHA_AT]);
        let mut sender = [0; 8];
        sender[..6].copy_from_slice(&bytes[SHA_AT..SPA_AT]);
        let mut addresses = [0; 8];
        addresses[..4].copy_from_slice(&bytes[SPA_AT..][..4]);
        addresses[4..].copy_from_slice(&bytes[TPA_AT..]);
        Self {
            header: u64::from_ne_bytes(header),
            sender: u64::from_ne_bytes(sender),
            addresses: u64::from_ne_bytes(addresses),
        }
    }

    /// As [`Arp::reply`] to the packet that this is, which is one that can be parsed.
    #[inline(always)]
    pub fn reply(self, sha: Mac) -> [u8; FRAME_LEN] {
        self.sides(Kind::Request).reply(sha)
    }

    /// Who speaks, and of whom, in a packet of this kind.
    #[inline(always)]
    pub(crate) fn sides(self, kind: Kind) -> Arp {
        let [a, b, c, d, e, f, g, h] = self.addresses.to_ne_bytes();
        Arp {
            kind,
            sha: Mac::unpack(self.sender),
            spa: Ipv4Addr::new(a, b, c, d),
            tpa: Ipv4Addr::new(e, f, g, h),
        }
    }

    /// The packet. `None` where `arp_process` in `net/ipv4/arp.c` would not take it on an
    /// Ethernet device, which accepts hardware types 1 and 6, IPv4, requests and replies.
    #[inline(always)]
    pub fn parse(self) -> Option<Arp> {
        let Arp { spa, tpa, .. } = self.sides(Kind::Request);
        let is_request = match self.header {
            header if header == REQUESTS[0] || header == REQUESTS[1] => true,
            header if header == REPLIES[0] || header == REPLIES[1] => false,
            _ => return None,
        };
        let kind = match is_request {
            true if spa.is_unspecified() => Kind::Probe,
            _ if spa == tpa => Kind::Announcement,
            true => Kind::Request,
            false => Kind::Reply,
        };
        Some(self.sides(kind))
    }
}

/// The first eight bytes of the packets of one operation that are taken, as a number.
const fn headers(oper: [u8; 2]) -> [u64; 2] {
    let ([a, b], [c, d], [e, f], [g, h]) = (ETHERNET, IPV4, LENGTHS, oper);
    let [i, j] = IEEE_802;
    [
        u64::from_ne_bytes([a, b, c, d, e, f, g, h]),
        u64::from_ne_bytes([i, j, c, d, e, f, g, h]),
    ]
}

const REQUESTS: [u64; 2] = headers(REQUEST);
const REPLIES: [u64; 2] = headers(REPLY);

impl Arp {
    /// Parses a packet: see [`Raw::parse`].
    #[inline(always)]
    pub fn parse(bytes: &[u8; ARP_LEN]) -> Option<Self> {
        Raw::of(bytes).parse()
    }

    /// The frame, from the destination address to the last byte of the packet, that the owner of
    /// this request's target sends in reply, its hardware address being `sha`.
    ///
    /// As the kernel's own reply (`arp_process`, `arp_create`): untagged, unicast to the sender.
    #[inline(always)]
    pub fn reply(&self, sha: Mac) -> [u8; FRAME_LEN] {
        let mut frame = [0; FRAME_LEN];
        let mut at = 0;
        // Parts are copied as they are, so that no compiler takes them apart.
        let mut put = |bytes: &[u8]| {
            frame[at..][..bytes.len()].copy_from_slice(bytes);
            at += bytes.len();
        };
        put(&self.sha.0);
        put(&sha.0);
        put(&ETHERTYPE_ARP.to_be_bytes());
        put(&ETHERNET);
        put(&IPV4);
        put(&LENGTHS);
        put(&REPLY);
        put(&sha.0);
        put(&self.tpa.octets());
        put(&self.sha.0);
        put(&self.spa.octets());
        frame
    }
}

/// What stands in an ARP packet beside the addresses, whatever protocols it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Hardware type.
    pub htype: u16,
    /// Protocol type: an EtherType.
    pub ptype: u16,
    /// Length in bytes of a hardware address.
    pub hlen: u8,
    /// Length in bytes of a protocol address.
    pub plen: u8,
    /// Operation.
    pub oper: u16,
}

impl Header {
    /// Reads it.
    pub const fn read(bytes: &[u8; ARP_LEN]) -> Self {
        let [a, b, c, d, hlen, plen, e, f, ..] = *bytes;
        Self {
            htype: u16::from_be_bytes([a, b]),
            ptype: u16::from_be_bytes([c, d]),
            hlen,
            plen,
            oper: u16::from_be_bytes([e, f]),
        }
    }
}

/// The target's hardware address (THA) of a packet for IPv4 over Ethernet.
pub fn target_mac(bytes: &[u8; ARP_LEN]) -> Mac {
    Mac(field(bytes, offset_of!(ArpHdr, tha)).unwrap_or_default())
}

#[inline(always)]
fn field<const N: usize>(bytes: &[u8; ARP_LEN], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SENT: [u8; ARP_LEN] = [
        0, 1, 8, 0, 6, 4, 0, 1, // Ethernet, IPv4, request
        2, 0, 0, 0, 0, 9, 192, 168, 18, 129, // from the client
        0, 0, 0, 0, 0, 0, 192, 168, 18, 10, // for the RIP
    ];

    #[test]
    fn parses_a_request_and_answers_as_its_target() {
        let arp = Arp::parse(&SENT).unwrap();
        let sha = Mac([2, 0, 0, 0, 0, 9]);
        let (spa, tpa) = ([192, 168, 18, 129].into(), [192, 168, 18, 10].into());
        assert_eq!(
            arp,
            Arp {
                kind: Kind::Request,
                sha,
                spa,
                tpa
            }
        );
        let reply = [
            2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 7, 8, 6, // Ethernet, ARP
            0, 1, 8, 0, 6, 4, 0, 2, // Ethernet, IPv4, reply
            2, 0, 0, 0, 0, 7, 192, 168, 18, 10, // from the target
            2, 0, 0, 0, 0, 9, 192, 168, 18, 129, // to the client
        ];
        assert_eq!(arp.reply(Mac([2, 0, 0, 0, 0, 7])), reply);
    }

    #[test]
    fn takes_what_the_kernel_takes_and_nothing_else() {
        for (at, byte, taken) in [
            (1, 6, true),  // IEEE 802
            (1, 2, false), // another hardware type
            (0, 1, false),
            (2, 9, false), // not IPv4
            (4, 8, false), // lengths
            (5, 16, false),
            (7, 2, true),  // reply
            (7, 3, false), // RARP
            (7, 0, false),
            (6, 1, false),
        ] {
            let mut bytes = SENT;
            bytes[at] = byte;
            assert_eq!(Arp::parse(&bytes).is_some(), taken, "byte {at} = {byte}");
        }
    }

    proptest! {
        #[test]
        fn a_reply_is_a_reply_to_its_request(
            sha in any::<[u8; 6]>(), spa in 1_u32.., tpa in 1_u32.., own in any::<[u8; 6]>(),
        ) {
            prop_assume!(spa != tpa);
            let (spa, tpa) = (Ipv4Addr::from_bits(spa), Ipv4Addr::from_bits(tpa));
            let request = Arp { kind: Kind::Request, sha: Mac(sha), spa, tpa };
            let frame = request.reply(Mac(own));
            let arp = Arp::parse(frame[14..].first_chunk().unwrap()).unwrap();
            prop_assert_eq!(arp, Arp { kind: Kind::Reply, sha: Mac(own), spa: tpa, tpa: spa });
            prop_assert_eq!(&frame[..6], &sha);
            prop_assert_eq!(&frame[6..12], &own);
        }

        #[test]
        fn kinds_follow_rfc_5227(op in 1_u8..=2, spa in 0_u32..3, tpa in 0_u32..3) {
            let mut bytes = SENT;
            bytes[7] = op;
            bytes[14..18].copy_from_slice(&spa.to_be_bytes());
            bytes[24..28].copy_from_slice(&tpa.to_be_bytes());
            let kind = match (op, spa, tpa) {
                (1, 0, _) => Kind::Probe,
                (_, s, t) if s == t => Kind::Announcement,
                (1, ..) => Kind::Request,
                _ => Kind::Reply,
            };
            prop_assert_eq!(Arp::parse(&bytes).unwrap().kind, kind);
        }
    }
}
