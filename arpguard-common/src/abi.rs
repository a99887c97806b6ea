//! The layout of what user space and the programs share through BPF maps.
//!
//! Addresses are bytes in wire order, numbers are the host's. Nothing has padding, and user space
//! reads and writes bytes, so no layout is ever assumed of memory that somebody else wrote.

mod block;
mod claim;
mod event;
mod local;
mod request;
mod rule;
mod shape;
mod sieve;
mod word;

use core::net::Ipv4Addr;

use crate::{
    verdict::{Decider, Reason},
    wire::Mac,
};

pub use self::{
    block::{BLOCK_LEN, Block},
    claim::{CLAIM_LEN, Claim, Heard},
    event::{EVENT_LEN, Event, Listener},
    local::Local,
    request::{REQUEST_LEN, Request},
    rule::Rule,
    shape::{Counts, Extent, InUse, Shape, Table},
    sieve::{HeardSlots, Sieve, heard_at},
};

/// Changes whenever the layout of a map does: state in the kernel with another number is another
/// version's.
pub const VERSION: u32 = 7;

/// Older versions whose rules, as [`Rule::reader`] has them, and whose notes of user space are
/// known: what they guard can be brought over.
pub const FORMER: &[u32] = &[1, 2, 3, 4, 5, 6];

/// How many single addresses there is room for, on every device and on single ones together, beside
/// those in blocks.
pub const MAX_ADDRESSES: u32 = 1 << 20;
/// How many blocks of single addresses there is room for.
pub const MAX_BLOCKS: u32 = 1 << 17;
/// How many prefixes there is room for.
pub const MAX_PREFIXES: u32 = 1 << 16;
/// How many devices there is room for.
pub const MAX_DEVICES: u32 = 1 << 14;
/// What belongs to a device with an interface index below this stands in an array. To find it there
/// costs a frame next to nothing, and in a hash map as much as to find a rule; but an array has all of
/// its rows, each CPU those of the counters, of 2 KiB each. The index of a machine's NICs is low, that
/// of its containers' not.
pub const LOW_INDEXES: u32 = 32;
/// How many addresses and subnets of the devices themselves there is room for.
pub const MAX_LOCAL: u32 = 1 << 18;
/// How many claims of watched addresses there is room for; the oldest make room for new ones.
pub const MAX_CLAIMS: u32 = 1 << 14;
/// Length in bytes of the ring of requests; a power of two, and of pages.
pub const REQUESTS_LEN: u32 = 64 << 10;
/// Length in bytes of the ring of events; a power of two, and of pages.
pub const EVENTS_LEN: u32 = 256 << 10;

/// Names of the maps: of their pins, and but for [`VARIABLES`](map::VARIABLES) in the object.
pub mod map {
    /// Those that are variables of the programs. In the object, each is a section `.bss.` and its name.
    pub const VARIABLES: &[&str] = &[SHAPE, SIEVE, LISTENER, HEARD];

    /// `Array` of one [`super::Extent`]. User space writes it.
    pub const SHAPE: &str = "SHAPE";
    /// `Array` of one [`super::Sieve`]. User space writes it.
    pub const SIEVE: &str = "SIEVE";
    /// `HashMap` from [`super::Key`] to [`super::Rule`]. User space writes it.
    pub const ADDRESSES: &str = "ADDRESSES";
    /// `HashMap` from [`super::Key::of_block`] to [`super::Block`], of [`super::Book::Own`] alone. The rule
    /// of a member wins over one in [`ADDRESSES`] on the same device. User space writes it.
    pub const BLOCKS: &str = "BLOCKS";
    /// `LpmTrie` from [`super::Key`] to [`super::Rule`]. User space writes it.
    pub const PREFIXES: &str = "PREFIXES";
    /// `LpmTrie` from [`super::Key`] to [`super::Local`]. User space writes it.
    pub const LOCAL: &str = "LOCAL";
    /// `Array` of [`super::Device`] by interface index, for those below [`super::LOW_INDEXES`]. User
    /// space writes it.
    pub const LOW_DEVICES: &str = "LOW_DEVICES";
    /// `HashMap` from any other interface index to [`super::Device`]. User space writes it.
    pub const DEVICES: &str = "DEVICES";
    /// `HashMap` from the hardware address of each device of the host, guarded or not, as
    /// [`super::Mac::pack`] has it, to its interface index. User space writes it.
    pub const STATIONS: &str = "STATIONS";
    /// `PerCpuArray` of [`super::Counters`] by interface index, for those below
    /// [`super::LOW_INDEXES`]. The programs count in it, user space clears the rows of devices that
    /// are gone.
    pub const LOW_COUNTERS: &str = "LOW_COUNTERS";
    /// `PerCpuHashMap` from any other interface index to [`super::Counters`]. User space makes the
    /// rows when it attaches a device, the programs count in them.
    pub const COUNTERS: &str = "COUNTERS";
    /// `Array` of one [`super::Listener`]. Whoever reads the events writes it.
    pub const LISTENER: &str = "LISTENER";
    /// `RingBuf` of [`super::Event`]. The programs write it.
    pub const EVENTS: &str = "EVENTS";
    /// `PerCpuHashMap` from interface index to [`super::Meters`]. User space makes the rows when
    /// it attaches a device and clears what is no total when it begins to listen, the programs count
    /// in them.
    pub const METERS: &str = "METERS";
    /// `LruHashMap` from [`super::Key`] to [`super::Claim`]. The programs write it; user space forgets
    /// claims that are none any more.
    pub const CLAIMS: &str = "CLAIMS";
    /// `Array` of one [`super::HeardSlots`]. The programs write it, and user space where it writes claims.
    pub const HEARD: &str = "HEARD";
    /// `RingBuf` of [`super::Request`]. The programs write it.
    pub const REQUESTS: &str = "REQUESTS";
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

/// In place of an interface index: rules for every device.
pub const EVERY_DEVICE: u32 = 0;

/// Which of the two books a rule is in. A place has one rule in each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Book {
    /// What this host answers and says.
    Own,
    /// What others may claim.
    Claims,
}

/// An address as one device sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(C)]
pub struct Key {
    /// Interface index, or [`EVERY_DEVICE`], below the bit that is the book; big
    /// endian, since a trie compares from the first bit on.
    device: [u8; 4],
    /// IPv4 address, in wire order.
    pub address: [u8; 4],
}

impl Key {
    /// Length in bits of the part of a trie's key that must always match: the book and the device.
    pub const DEVICE_BITS: u32 = 32;
    /// Length in bits of a whole key.
    pub const BITS: u32 = 64;

    /// An interface index is a positive `int` (`dev_new_index` in `net/core/dev.c`), so this bit is
    /// never one of it.
    const CLAIMS: u32 = 1 << 31;

    /// The key of an address on a device, in one of the books.
    #[inline(always)]
    pub const fn new(book: Book, device: u32, address: Ipv4Addr) -> Self {
        let device = match book {
            Book::Own => device,
            Book::Claims => device | Self::CLAIMS,
        };
        Self {
            device: device.to_be_bytes(),
            address: address.octets(),
        }
    }

    /// The key of the block that an address is in, if it is in one, on the same device.
    #[inline(always)]
    pub const fn of_block(self) -> Self {
        let [a, b, c, _] = self.address;
        Self {
            device: self.device,
            address: [a, b, c, 0],
        }
    }

    /// The last octet of the address, which tells the members of a block apart.
    #[inline(always)]
    pub const fn last_octet(self) -> u8 {
        let [.., last] = self.address;
        last
    }

    /// Which book it belongs to.
    pub const fn book(self) -> Book {
        if u32::from_be_bytes(self.device) & Self::CLAIMS == 0 {
            Book::Own
        } else {
            Book::Claims
        }
    }

    /// Interface index, or [`EVERY_DEVICE`].
    pub const fn device(self) -> u32 {
        u32::from_be_bytes(self.device) & !Self::CLAIMS
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

/// What is known of a guarded device.
///
/// It is read as one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(8))]
pub struct Device {
    /// Its hardware address.
    pub mac: Mac,
    /// Zeros where nothing is known.
    known: [u8; 2],
}

impl Device {
    /// A device with this hardware address.
    pub const fn new(mac: Mac) -> Self {
        Self { mac, known: [1, 0] }
    }

    /// As the map holds it.
    pub const fn to_bytes(self) -> [u8; 8] {
        let ([a, b, c, d, e, f], [x, y]) = (self.mac.0, self.known);
        [a, b, c, d, e, f, x, y]
    }

    /// From what the map holds; `None` where nothing is known.
    #[inline(always)]
    pub fn from_bytes([a, b, c, d, e, f, x, y]: [u8; 8]) -> Option<Self> {
        let known = [x, y];
        (known != [0; 2]).then_some(Self {
            mac: Mac([a, b, c, d, e, f]),
            known,
        })
    }
}

/// One row for frames that no policy decided, then one for each policy and mode.
pub const ROWS: usize = Decider::COUNT;

/// How many frames were judged on one device by one CPU, by who decided and why: see [`counter`].
/// There are as many as a byte can tell apart, so that the verifier sees by itself that a byte is inside.
pub type Counters = [u64; CELLS];

const CELLS: usize = 1 << u8::BITS;

const _: () = assert!(ROWS * Reason::COUNT <= CELLS);

/// Where in [`Counters`] the frames of one kind of verdict are counted.
#[inline(always)]
pub fn counter(decider: impl Into<Decider>, reason: Reason) -> usize {
    row(decider) * Reason::COUNT + reason as usize
}

/// Where in [`Counters`] the frames are counted that no policy is about.
pub const PERMITTED: usize = 0;

const _: () = assert!(Decider::NOBODY.number() == 0 && Reason::Permitted as u8 == 0);

/// Who decided, and why, of the frames that are counted there; `None` where none are.
pub const fn counted(at: usize) -> Option<(Decider, Reason)> {
    let number = at / Reason::COUNT;
    if number >= ROWS {
        return None;
    }
    let reason = Reason::from_number((at % Reason::COUNT) as u8);
    match (Decider::from_number(number as u8), reason) {
        (Some(decider), Some(reason)) => Some((decider, reason)),
        _ => None,
    }
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
        let address = Ipv4Addr::new(10, 0, 0, 1);
        for (book, first) in [(Book::Own, 1), (Book::Claims, 0x81)] {
            let key = Key::new(book, 0x0102_0304, address);
            assert_eq!(key.to_bytes(), [first, 2, 3, 4, 10, 0, 0, 1]);
            assert_eq!(Key::from_bytes(key.to_bytes()), key);
            assert_eq!((key.book(), key.device()), (book, 0x0102_0304));
            assert_eq!(key.of_block().to_bytes(), [first, 2, 3, 4, 10, 0, 0, 0]);
            assert_eq!(key.last_octet(), 1);
        }
        let local = Local::own(Ipv4Addr::new(10, 0, 0, 9));
        assert_eq!(local.to_bytes(), [10, 0, 0, 9, 2, 0, 0, 0]);
        assert_eq!(Local::from_bytes(local.to_bytes()), Some(local));
        let device = Device::new(Mac([2, 0, 0, 0, 0, 7]));
        assert_eq!(device.to_bytes(), [2, 0, 0, 0, 0, 7, 1, 0]);
        assert_eq!(Device::from_bytes(device.to_bytes()), Some(device));
        assert_eq!(Device::from_bytes([0; 8]), None);
    }

    #[test]
    fn every_verdict_has_a_counter_of_its_own() {
        let mut seen = BTreeSet::new();
        let both = |policy: &Policy| [Mode::Enforce, Mode::Audit].map(|mode| Some((*policy, mode)));
        let deciders = Policy::ALL.iter().flat_map(both).chain([None]);
        for decided_by in deciders {
            for reason in Reason::ALL {
                let at = counter(decided_by, *reason);
                assert!(seen.insert(at));
                assert_eq!(counted(at), Some((decided_by.into(), *reason)));
            }
        }
        assert_eq!(seen.first(), Some(&0));
        assert_eq!(seen.last(), Some(&(ROWS * Reason::COUNT - 1)));
        assert_eq!(seen.len(), ROWS * Reason::COUNT);
        assert_eq!(counted(seen.len()), None);
    }
}
