//! ARP frames, to send and to read.
//!
//! Deliberately not made of `arpguard-common`: what is tested does not say what a frame is.

use std::net::Ipv4Addr;

use arpguard_common::wire::Mac;

/// EtherType of ARP.
pub const ARP: u16 = 0x0806;
/// EtherType of an 802.1Q tag.
pub const Q: u16 = 0x8100;
/// EtherType of an 802.1ad tag.
pub const AD: u16 = 0x88a8;
/// Operation of a request.
pub const REQUEST: u16 = 1;
/// Operation of a reply.
pub const REPLY: u16 = 2;
/// Hardware type of Ethernet.
pub const ETHERNET: u16 = 1;
/// Hardware type of IEEE 802 networks.
pub const IEEE_802: u16 = 6;
/// No address: what a probe has as sender.
pub const NOBODY: Ipv4Addr = Ipv4Addr::UNSPECIFIED;

/// Length in bytes of the shortest frame that a network card sends, without its checksum.
const SHORTEST: usize = 60;

/// An ARP frame, field by field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Ethernet destination.
    pub destination: Mac,
    /// Ethernet source.
    pub source: Mac,
    /// EtherType and TCI of each tag, from the outside in.
    pub tags: Vec<(u16, u16)>,
    /// EtherType behind the tags.
    pub ethertype: u16,
    /// Hardware type.
    pub htype: u16,
    /// Protocol type.
    pub ptype: u16,
    /// Length of a hardware address.
    pub hlen: u8,
    /// Length of a protocol address.
    pub plen: u8,
    /// Operation.
    pub op: u16,
    /// Sender's hardware address.
    pub sha: Mac,
    /// Sender's protocol address.
    pub spa: Ipv4Addr,
    /// Target's hardware address.
    pub tha: Mac,
    /// Target's protocol address.
    pub tpa: Ipv4Addr,
    /// Whether the frame is filled up to the 60 bytes that a network card sends.
    pub padded: bool,
    /// How many bytes are missing at its end.
    pub cut: usize,
}

/// Who has `tpa`? Tell `spa`. To everybody.
pub fn request(sha: Mac, spa: Ipv4Addr, tpa: Ipv4Addr) -> Frame {
    Frame {
        destination: Mac::BROADCAST,
        source: sha,
        tags: Vec::new(),
        ethertype: ARP,
        htype: ETHERNET,
        ptype: 0x0800,
        hlen: 6,
        plen: 4,
        op: REQUEST,
        sha,
        spa,
        tha: Mac::default(),
        tpa,
        padded: false,
        cut: 0,
    }
}

/// Does anybody use `tpa`? (RFC 5227)
pub fn probe(sha: Mac, tpa: Ipv4Addr) -> Frame {
    request(sha, NOBODY, tpa)
}

/// I have `spa`, as a request.
pub fn announcement(sha: Mac, spa: Ipv4Addr) -> Frame {
    request(sha, spa, spa)
}

/// `spa` is at `sha`: to the one who asked.
pub fn reply(sha: Mac, spa: Ipv4Addr, tha: Mac, tpa: Ipv4Addr) -> Frame {
    Frame {
        destination: tha,
        op: REPLY,
        tha,
        ..request(sha, spa, tpa)
    }
}

/// I have `spa`, as a reply.
pub fn announcing_reply(sha: Mac, spa: Ipv4Addr) -> Frame {
    Frame {
        op: REPLY,
        tha: Mac::BROADCAST,
        ..announcement(sha, spa)
    }
}

impl Frame {
    /// The same to one station.
    pub fn to(mut self, destination: Mac) -> Self {
        self.destination = destination;
        self
    }

    /// The same behind these tags.
    pub fn tagged(mut self, tags: &[(u16, u16)]) -> Self {
        self.tags = tags.to_vec();
        self
    }

    /// The same with another sender.
    pub fn from(mut self, spa: Ipv4Addr) -> Self {
        self.spa = spa;
        self
    }

    /// The bytes on the wire.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(SHORTEST);
        bytes.extend(self.destination.0);
        bytes.extend(self.source.0);
        for (ethertype, tci) in &self.tags {
            bytes.extend(ethertype.to_be_bytes());
            bytes.extend(tci.to_be_bytes());
        }
        bytes.extend(self.ethertype.to_be_bytes());
        bytes.extend(self.htype.to_be_bytes());
        bytes.extend(self.ptype.to_be_bytes());
        bytes.extend([self.hlen, self.plen]);
        bytes.extend(self.op.to_be_bytes());
        bytes.extend(self.sha.0);
        bytes.extend(self.spa.octets());
        bytes.extend(self.tha.0);
        bytes.extend(self.tpa.octets());
        if self.padded && bytes.len() < SHORTEST {
            bytes.resize(SHORTEST, 0);
        }
        bytes.truncate(bytes.len() - self.cut);
        bytes
    }

    /// Reads the bytes of an ARP frame, behind any number of tags; `None` for anything else.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let mut rest = Bytes(bytes);
        let destination = Mac(rest.next()?);
        let source = Mac(rest.next()?);
        let mut tags = Vec::new();
        let mut ethertype = rest.number()?;
        while ethertype == Q || ethertype == AD {
            tags.push((ethertype, rest.number()?));
            ethertype = rest.number()?;
        }
        if ethertype != ARP {
            return None;
        }
        Some(Self {
            destination,
            source,
            tags,
            ethertype,
            htype: rest.number()?,
            ptype: rest.number()?,
            hlen: rest.next::<1>()?[0],
            plen: rest.next::<1>()?[0],
            op: rest.number()?,
            sha: Mac(rest.next()?),
            spa: rest.next::<4>()?.into(),
            tha: Mac(rest.next()?),
            tpa: rest.next::<4>()?.into(),
            padded: !rest.0.is_empty(),
            cut: 0,
        })
    }
}

struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn next<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*first)
    }

    fn number(&mut self) -> Option<u16> {
        self.next().map(u16::from_be_bytes)
    }
}
