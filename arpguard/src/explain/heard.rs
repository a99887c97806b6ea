//! What the kernel's ARP makes of the bytes of a frame.

use arpguard_common::{
    frame::{ETHERTYPE_8021AD, ETHERTYPE_8021Q, Frame as _, Place, TAG_LEN, find_arp},
    wire::{ARP_LEN, Arp, Header, Mac, REQUEST},
};

/// Where in a frame the first EtherType is.
const ETHERTYPE_AT: usize = 12;

/// A frame with ARP's EtherType, behind any number of tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    /// Destination of the frame.
    pub destination: Mac,
    /// Source of the frame.
    pub source: Mac,
    /// Whether one of its tags names a VLAN.
    pub vlan: bool,
    /// The bytes of the packet; `None` where the frame ends before.
    pub packet: Option<[u8; ARP_LEN]>,
}

impl Heard {
    /// Reads a frame; `None` where it is no ARP.
    pub fn read(frame: &[u8]) -> Option<Self> {
        let (destination, source) = (Mac(frame.read(0)?), Mac(frame.read(6)?));
        let mut inner = frame.to_vec();
        let mut vlan = false;
        let place = loop {
            if let Some(Place { at, vlan: own, .. }) = find_arp(&inner[..]) {
                vlan |= own;
                break at;
            }
            // Deeper than the programs look.
            let kind = u16::from_be_bytes(inner[..].read(ETHERTYPE_AT)?);
            if kind != ETHERTYPE_8021Q && kind != ETHERTYPE_8021AD {
                return None;
            }
            let [high, low] = inner[..].read(ETHERTYPE_AT + size_of::<u16>())?;
            vlan |= high & 0x0f != 0 || low != 0;
            inner.drain(ETHERTYPE_AT..ETHERTYPE_AT + TAG_LEN);
        };
        Some(Self {
            destination,
            source,
            vlan,
            packet: inner[..].read(place),
        })
    }

    /// The packet, where the kernel would take it.
    pub fn arp(&self) -> Option<Arp> {
        Arp::parse(self.packet.as_ref()?)
    }

    /// Whether it is a request by its operation, be it an announcement.
    pub fn is_request(&self) -> bool {
        let header = self.packet.as_ref().map(Header::read);
        header.is_some_and(|header| header.oper.to_be_bytes() == REQUEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_looked_behind_however_many_there_are() {
        let packet = [7; ARP_LEN];
        for (tags, tci, vlan) in [(0, 0, false), (1, 0, false), (7, 0, false), (6, 1, true)] {
            let mut frame = vec![2; ETHERTYPE_AT];
            for _ in 0..tags {
                frame.extend([0x81, 0, 0xe0, tci]);
            }
            frame.extend([8, 6]);
            frame.extend(packet);
            let heard = Heard {
                destination: Mac([2; 6]),
                source: Mac([2; 6]),
                vlan,
                packet: Some(packet),
            };
            assert_eq!(Heard::read(&frame), Some(heard), "{tags} tags");
            let cut = Heard::read(&frame[..frame.len() - 1]);
            assert_eq!(
                cut,
                Some(Heard {
                    packet: None,
                    ..heard
                })
            );
            for length in 0..frame.len() - ARP_LEN {
                assert_eq!(Heard::read(&frame[..length]), None, "{tags} tags, {length}");
            }
        }
        assert_eq!(Heard::read(&[8; 60]), None);
    }
}
