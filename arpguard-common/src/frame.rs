//! Ethernet frames: where in one the ARP packet begins.

use network_types::eth::EthHdr;

/// EtherType of ARP (RFC 826), in host byte order.
pub const ETHERTYPE_ARP: u16 = 0x0806;
/// EtherType of an IEEE 802.1Q tag, in host byte order.
pub const ETHERTYPE_8021Q: u16 = 0x8100;
/// EtherType of an IEEE 802.1ad tag, in host byte order.
pub const ETHERTYPE_8021AD: u16 = 0x88a8;

/// How many tags in the bytes of a frame are looked behind.
///
/// The kernel strips any number of priority tags (`skb_vlan_untag` in `net/core/dev.c`). A program
/// must stop somewhere: what the kernel answers to a deeper frame is caught when it is sent.
pub const MAX_TAGS: usize = 4;
/// Length in bytes of one tag: its EtherType and its TCI.
pub const TAG_LEN: usize = 4;
/// The EtherTypes as a frame has them, so that none has to be turned round.
const ARP: u16 = ETHERTYPE_ARP.to_be();
const TAG: u16 = ETHERTYPE_8021Q.to_be();
const SERVICE_TAG: u16 = ETHERTYPE_8021AD.to_be();
/// The bits of a TCI that are the VLAN identifier.
const VID_MASK: u16 = 0x0fff;

/// One Ethernet frame, wherever its bytes are: a slice on the host, a context in the kernel.
pub trait Frame {
    /// The `N` bytes from offset `at`, or `None` where the frame ends before.
    fn read<const N: usize>(&self, at: usize) -> Option<[u8; N]>;

    /// As [`Self::read`]; zeros where the frame ends before.
    #[inline(always)]
    fn read_or_zeros<const N: usize>(&self, at: usize) -> [u8; N] {
        self.read(at).unwrap_or([0; N])
    }

    /// The TCI (host byte order) of a tag that the kernel or the NIC took out of the bytes.
    fn offloaded_tag(&self) -> Option<u16>;
}

impl Frame for [u8] {
    #[inline(always)]
    fn read<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.get(at..)?.first_chunk().copied()
    }

    fn offloaded_tag(&self) -> Option<u16> {
        None
    }
}

/// Where a frame's ARP packet is, and whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Offset in bytes of the ARP packet.
    pub at: usize,
    /// Whether a tag names a VLAN (its VID is not 0). Such a frame belongs to that VLAN's device;
    /// any other tag is a priority tag, which the kernel strips.
    pub vlan: bool,
}

impl Place {
    /// The greatest offset that there is.
    pub const MAX_AT: usize = EthHdr::LEN + MAX_TAGS * TAG_LEN;

    /// How many tags stand before it in the bytes.
    #[inline(always)]
    pub const fn tags(self) -> usize {
        (self.at - EthHdr::LEN) / TAG_LEN
    }
}

/// Finds the ARP packet in `frame`, behind at most [`MAX_TAGS`] tags in its bytes.
///
/// `None`: the frame carries something else. An untagged frame pays for one EtherType, and one with tags for no
/// more than theirs: what they say is read where ARP was found.
#[inline(always)]
pub fn find_arp<F: Frame + ?Sized>(frame: &F) -> Option<Place> {
    let mut at = EthHdr::LEN;
    // Not an inclusive range, which keeps a flag for its end.
    for _ in 0..MAX_TAGS + 1 {
        match u16::from_ne_bytes(frame.read(at - size_of::<u16>())?) {
            ARP => {
                let vlan = is_vlans(frame, at);
                return Some(Place { at, vlan });
            }
            TAG | SERVICE_TAG => at += TAG_LEN,
            _ => return None,
        }
    }
    None
}

/// Whether a tag names a VLAN, of those before the packet at `at` and the one that was taken out.
#[inline(always)]
fn is_vlans<F: Frame + ?Sized>(frame: &F, at: usize) -> bool {
    // The bits of all TCIs, in wire order: what matters is whether one is set in any.
    let mut tci = frame.offloaded_tag().unwrap_or(0).to_be_bytes();
    for tag in 0..MAX_TAGS {
        let place = EthHdr::LEN + tag * TAG_LEN;
        if place < at {
            let [high, low] = frame.read_or_zeros(place);
            tci = [tci[0] | high, tci[1] | low];
        }
    }
    u16::from_be_bytes(tci) & VID_MASK != 0
}

#[cfg(test)]
mod tests {
    use super::*;
    extern crate std;
    use std::{vec, vec::Vec};

    fn frame(tags: &[(u16, u16)], ethertype: u16) -> Vec<u8> {
        let mut bytes = vec![0xff; 12];
        for (kind, tci) in tags {
            bytes.extend(kind.to_be_bytes());
            bytes.extend(tci.to_be_bytes());
        }
        bytes.extend(ethertype.to_be_bytes());
        bytes
    }

    #[test]
    fn finds_arp_behind_up_to_four_tags() {
        for tags in 0..=MAX_TAGS {
            let bytes = frame(&vec![(ETHERTYPE_8021AD, 0xe000); tags], ETHERTYPE_ARP);
            let place = Place {
                at: 14 + 4 * tags,
                vlan: false,
            };
            assert_eq!(find_arp(bytes.as_slice()), Some(place));
        }
        let deeper = frame(&[(ETHERTYPE_8021Q, 0); MAX_TAGS + 1], ETHERTYPE_ARP);
        assert_eq!(find_arp(deeper.as_slice()), None);
    }

    #[test]
    fn one_vid_makes_a_frame_a_vlans() {
        for tags in [
            [(ETHERTYPE_8021Q, 0), (ETHERTYPE_8021Q, 10)],
            [(ETHERTYPE_8021AD, 10), (ETHERTYPE_8021Q, 0)],
        ] {
            let place = find_arp(frame(&tags, ETHERTYPE_ARP).as_slice());
            assert_eq!(place, Some(Place { at: 22, vlan: true }));
        }
    }

    #[test]
    fn everything_else_is_not_arp() {
        for other in [0x0800, 0x86dd, 0x8035, 0x0806_u16.swap_bytes(), 46] {
            assert_eq!(find_arp(frame(&[], other).as_slice()), None);
            assert_eq!(
                find_arp(frame(&[(ETHERTYPE_8021Q, 0)], other).as_slice()),
                None
            );
        }
        let cut = frame(&[(ETHERTYPE_8021Q, 0)], ETHERTYPE_ARP);
        for length in 0..cut.len() {
            assert_eq!(find_arp(&cut[..length]), None);
        }
    }
}
