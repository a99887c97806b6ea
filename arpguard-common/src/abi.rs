//! The layout of what user space and the programs share through BPF maps.
//!
//! Addresses are bytes in wire order, numbers are the host's. Nothing has padding, and user space
//! reads and writes bytes, so no layout is ever assumed of memory that somebody else wrote.

mod event;
mod local;
mod rule;
mod word;

use core::net::Ipv4Addr;

use crate::{
    verdict::{Decider, Reason},
    wire::Mac,
};

pub use self::{
    event::{EVENT_LEN, Event, Listener},
    local::Local,
    rule::Rule,
};

/// Changes whenever the layout of a map does: state in the kernel with another number is another
/// version's.
pub const VERSION: u32 = 3;

/// Older versions in which rules, and user space's notes, are laid out as in this one: what they
/// guard can be brought over.
pub const FORMER: &[u32] = &[1, 2];

/// How many single addresses there is room for, on every device and on single ones together.
pub const MAX_ADDRESSES: u32 = 1 << 20;
/// How many prefixes there is room for.
pub const MAX_PREFIXES: u32 = 1 << 16;
/// How many devices there is room for.
pub const MAX_DEVICES: u32 = 1 << 14;
/// How many addresses and subnets of the devices themselves there is room for.
pub const MAX_LOCAL: u32 = 1 << 18;
/// Length in bytes of the ring of events; a power of two, and of pages.
pub const EVENTS_LEN: u32 = 256 << 10;

/// Names of the maps: in the object, and of their pins.
pub mod map {
    /// `Array` of one [`super::Shape`]. User space writes it.
    pub const SHAPE: &str = "SHAPE";
    /// `HashMap` from [`super::Key`] to [`super::Rule`]. User space writes it.
    pub const ADDRESSES: &str = "ADDRESSES";
    /// `LpmTrie` from [`super::Key`] to [`super::Rule`]. User space writes it.
    pub const PREFIXES: &str = "PREFIXES";
    /// `LpmTrie` from [`super::Key`] to [`super::Local`]. User space writes it.
    pub const LOCAL: &str = "LOCAL";
    /// `HashMap` from interface index to [`super::Device`]. User space writes it.
    pub const DEVICES: &str = "DEVICES";
    /// `PerCpuHashMap` from interface index to [`super::Counters`]. User space makes the rows when
    /// it attaches a device, the programs count in them.
    pub const COUNTERS: &str = "COUNTERS";
    /// `Array` of one [`super::Listener`]. Whoever reads the events writes it.
    pub const LISTENER: &str = "LISTENER";
    /// `RingBuf` of [`super::Event`]. The programs write it.
    pub const EVENTS: &str = "EVENTS";
    /// `PerCpuHashMap` from interface index to [`super::Meters`]. User space makes the rows when
    /// it attaches a device and clears what is no total when it begins to listen, the programs count
    /// in them.
    pub const METERS: &str = "METERS";
}

/// Names of the programs: in the object, and of their pins. At most 15 bytes, as the kernel shows.
pub mod program {
    /// XDP, for devices whose packets may be in several buffers (Linux 5.18).
    pub const XDP_FRAGS: &str = "arpguard_xdp_mb";
    /// XDP.
    pub const XDP: &str = "arpguard_xdp";
    /// The TC ingress hook, where XDP cannot be had.
    pub const TC_INGRESS: &str = "arpguard_in";
    /// The TC egress hook.
    pub const TC_EGRESS: &str = "arpguard_out";
}

/// An address as one device sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(C)]
pub struct Key {
    /// Interface index, or [`crate::policy::EVERY_DEVICE`]; big endian, since a trie compares from
    /// the first bit on.
    pub device: [u8; 4],
    /// IPv4 address, in wire order.
    pub address: [u8; 4],
}

impl Key {
    /// Length in bits of the part of a trie's key that must always match: the device.
    pub const DEVICE_BITS: u32 = 32;
    /// Length in bits of a whole key.
    pub const BITS: u32 = 64;

    /// The key of an address on a device.
    #[inline(always)]
    pub const fn new(device: u32, address: Ipv4Addr) -> Self {
        Self {
            device: device.to_be_bytes(),
            address: address.octets(),
        }
    }

    /// As the maps hold it.
    pub const fn to_bytes(self) -> [u8; 8] {
        let ([a, b, c, d], [e, f, g, h]) = (self.device, self.address);
        [a, b, c, d, e, f, g, h]
    }

    /// From what a map holds.
    pub const fn from_bytes([a, b, c, d, e, f, g, h]: [u8; 8]) -> Self {
        Self {
            device: [a, b, c, d],
            address: [e, f, g, h],
        }
    }
}

/// How many rules there are in each table, so that a program skips the empty ones. May be too
/// large while user space writes, never too small.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Shape {
    /// Single addresses, on every device.
    pub exact: u32,
    /// Single addresses, on one device.
    pub exact_on_device: u32,
    /// Prefixes, on every device.
    pub prefixes: u32,
    /// Prefixes, on one device.
    pub prefixes_on_device: u32,
}

impl Shape {
    /// As the map holds it.
    pub const fn to_words(self) -> [u32; 4] {
        [
            self.exact,
            self.exact_on_device,
            self.prefixes,
            self.prefixes_on_device,
        ]
    }

    /// From what the map holds.
    pub const fn from_words(
        [exact, exact_on_device, prefixes, prefixes_on_device]: [u32; 4],
    ) -> Self {
        Self {
            exact,
            exact_on_device,
            prefixes,
            prefixes_on_device,
        }
    }
}

/// What is known of a guarded device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Device {
    /// Its hardware address.
    pub mac: Mac,
    reserved: [u8; 2],
}

impl Device {
    /// A device with this hardware address.
    pub const fn new(mac: Mac) -> Self {
        Self {
            mac,
            reserved: [0; 2],
        }
    }

    /// As the map holds it.
    pub const fn to_bytes(self) -> [u8; 8] {
        let ([a, b, c, d, e, f], [x, y]) = (self.mac.0, self.reserved);
        [a, b, c, d, e, f, x, y]
    }

    /// From what the map holds.
    pub const fn from_bytes([a, b, c, d, e, f, x, y]: [u8; 8]) -> Self {
        Self {
            mac: Mac([a, b, c, d, e, f]),
            reserved: [x, y],
        }
    }
}

/// One row for frames that no policy decided, then one for each policy and mode.
pub const ROWS: usize = Decider::COUNT;

/// How many frames were judged on one device by one CPU, by who decided and why: see [`counter`].
pub type Counters = [u64; ROWS * Reason::COUNT];

/// Where in [`Counters`] the frames of one kind of verdict are counted.
#[inline(always)]
pub fn counter(decider: impl Into<Decider>, reason: Reason) -> usize {
    row(decider) * Reason::COUNT + reason as usize
}

/// The number of who decided, below [`ROWS`].
#[inline(always)]
pub fn row(decider: impl Into<Decider>) -> usize {
    usize::from(decider.into().number())
}

/// How many events of one device one CPU has written and left out, by [`row`]: those over the rate
/// and those that found no room in the ring, since the last that was written; when the second began
/// (monotonic nanoseconds), and how many were written in it; and how many were ever left out, over
/// the rate and for want of room, which nobody clears.
///
/// By CPU, since nothing is shared then. A NIC gives all ARP to one queue, for it hashes IP alone.
pub type Meters = [[u64; 6]; ROWS];

const _: () = {
    assert!(size_of::<Key>() == 8);
    assert!(size_of::<Option<Rule>>() == 8);
    assert!(size_of::<Shape>() == 16);
    assert!(size_of::<Option<Local>>() == 8);
    assert!(size_of::<Device>() == 8);
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::{Mode, Policy};
    extern crate std;
    use std::collections::BTreeSet;

    #[test]
    fn bytes_and_back() {
        let key = Key::new(0x0102_0304, Ipv4Addr::new(10, 0, 0, 1));
        assert_eq!(key.to_bytes(), [1, 2, 3, 4, 10, 0, 0, 1]);
        assert_eq!(Key::from_bytes(key.to_bytes()), key);
        let rule = Rule::hide(24, Some(Ipv4Addr::new(10, 0, 0, 9)), Mode::Audit, true);
        assert_eq!(rule.to_bytes(), [1, 3, 24, 0, 10, 0, 0, 9]);
        assert_eq!(Rule::from_bytes(rule.to_bytes()), Some(rule));
        assert_eq!(Rule::from_bytes([0; 8]), None);
        let [a, b, c, d] = 0x0102_0304_u32.to_ne_bytes();
        let rule = Rule::pin(32, 0x0102_0304, Mode::Enforce);
        assert_eq!(rule.to_bytes(), [2, 0, 32, 0, a, b, c, d]);
        assert_eq!((rule.policy(), rule.home()), (Policy::Pin, 0x0102_0304));
        assert_eq!(rule.rip(), None);
        let rule = Rule::strict(true, Mode::Audit);
        assert_eq!(rule.to_bytes(), [3, 5, 0, 0, 0, 0, 0, 0]);
        assert_eq!((rule.policy(), rule.home()), (Policy::Strict, 0));
        assert!(rule.wants_same_subnet() && !rule.shields());
        let local = Local::own(Ipv4Addr::new(10, 0, 0, 9));
        assert_eq!(local.to_bytes(), [10, 0, 0, 9, 2, 0, 0, 0]);
        assert_eq!(Local::from_bytes(local.to_bytes()), Some(local));
        let device = Device::new(Mac([2, 0, 0, 0, 0, 7]));
        assert_eq!(device.to_bytes(), [2, 0, 0, 0, 0, 7, 0, 0]);
        assert_eq!(Device::from_bytes(device.to_bytes()), device);
        let shape = Shape {
            exact: 1,
            exact_on_device: 2,
            prefixes: 3,
            prefixes_on_device: 4,
        };
        assert_eq!(Shape::from_words(shape.to_words()), shape);
    }

    #[test]
    fn every_verdict_has_a_counter_of_its_own() {
        let mut seen = BTreeSet::new();
        let both = |policy: &Policy| [Mode::Enforce, Mode::Audit].map(|mode| Some((*policy, mode)));
        let deciders = Policy::ALL.iter().flat_map(both).chain([None]);
        for decided_by in deciders {
            for reason in Reason::ALL {
                assert!(seen.insert(counter(decided_by, *reason)));
            }
        }
        assert_eq!(seen.first(), Some(&0));
        assert_eq!(seen.last(), Some(&(size_of::<Counters>() / 8 - 1)));
        assert_eq!(seen.len(), size_of::<Counters>() / 8);
    }
}
