//! Requests that user space answers.

use core::net::Ipv4Addr;

use crate::wire::{Arp, Kind, Mac};

/// Length in bytes of a request.
pub const REQUEST_LEN: usize = size_of::<Request>();

/// A request or a probe whose answer is left to user space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Request {
    /// Interface index of the device that heard it.
    pub device: u32,
    spa: [u8; 4],
    tpa: [u8; 4],
    sha: Mac,
    /// The hardware address to answer with.
    pub mac: Mac,
}

impl Request {
    /// What was heard on a device, to be answered with `mac`.
    #[inline(always)]
    pub const fn new(device: u32, arp: &Arp, mac: Mac) -> Self {
        Self {
            device,
            spa: arp.spa.octets(),
            tpa: arp.tpa.octets(),
            sha: arp.sha,
            mac,
        }
    }

    /// The packet.
    pub const fn arp(&self) -> Arp {
        let [a, b, c, d] = self.spa;
        let spa = Ipv4Addr::new(a, b, c, d);
        let [a, b, c, d] = self.tpa;
        Arp {
            kind: if spa.is_unspecified() {
                Kind::Probe
            } else {
                Kind::Request
            },
            sha: self.sha,
            spa,
            tpa: Ipv4Addr::new(a, b, c, d),
        }
    }

    /// From what the ring holds; `None` where it has another length.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; REQUEST_LEN] = bytes.try_into().ok()?;
        let (words, _) = bytes.as_chunks();
        let [device, spa, tpa, ..] = *words else {
            return None;
        };
        let [.., a, b, c, d, e, f, g, h, i, j, k, l] = *bytes;
        Some(Self {
            device: u32::from_ne_bytes(device),
            spa,
            tpa,
            sha: Mac([a, b, c, d, e, f]),
            mac: Mac([g, h, i, j, k, l]),
        })
    }
}

const _: () = assert!(REQUEST_LEN == 24);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_those_of_memory() {
        let arp = Arp {
            kind: Kind::Request,
            sha: Mac([2, 0, 0, 0, 0, 9]),
            spa: Ipv4Addr::new(10, 0, 0, 1),
            tpa: Ipv4Addr::new(10, 0, 0, 2),
        };
        let mac = Mac([2, 0, 0, 0, 0, 7]);
        let request = Request::new(0x0102_0304, &arp, mac);
        let [a, b, c, d] = 0x0102_0304_u32.to_ne_bytes();
        let bytes = [
            a, b, c, d, 10, 0, 0, 1, 10, 0, 0, 2, 2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 7,
        ];
        assert_eq!(Request::from_bytes(&bytes), Some(request));
        assert_eq!((request.arp(), request.mac), (arp, mac));
        assert_eq!(Request::from_bytes(&bytes[1..]), None);
        let probe = Arp {
            kind: Kind::Probe,
            spa: Ipv4Addr::UNSPECIFIED,
            ..arp
        };
        assert_eq!(Request::new(1, &probe, mac).arp(), probe);
    }
}
