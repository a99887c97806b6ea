//! The maps that hold policy. User space writes them; programs only read.

use core::net::Ipv4Addr;

use arpguard_common::{
    abi::{Device, Key, Local, MAX_ADDRESSES, MAX_DEVICES, MAX_LOCAL, MAX_PREFIXES, Rule, Shape},
    policy::Tables,
    wire::Mac,
};
use aya_ebpf::{
    bindings::BPF_F_NO_PREALLOC,
    macros::map,
    maps::{Array, HashMap, LpmTrie, lpm_trie},
};

#[map]
static SHAPE: Array<Shape> = Array::with_max_entries(1, 0);

#[map]
static ADDRESSES: HashMap<Key, Option<Rule>> =
    HashMap::with_max_entries(MAX_ADDRESSES, BPF_F_NO_PREALLOC);

#[map]
static PREFIXES: LpmTrie<Key, Option<Rule>> = LpmTrie::with_max_entries(MAX_PREFIXES, 0);

#[map]
static LOCAL: LpmTrie<Key, Option<Local>> = LpmTrie::with_max_entries(MAX_LOCAL, 0);

#[map]
static DEVICES: HashMap<u32, Device> = HashMap::with_max_entries(MAX_DEVICES, BPF_F_NO_PREALLOC);

/// The maps, as the judge sees them.
pub(crate) struct Maps;

impl Tables for Maps {
    #[inline(always)]
    fn shape(&self) -> Shape {
        SHAPE.get(0).copied().unwrap_or_default()
    }

    #[inline(always)]
    fn exact(&self, device: u32, address: Ipv4Addr) -> Option<Rule> {
        // SAFETY: the map is not preallocated, so the kernel frees an element only after a grace
        // period, and replaces one whole when it is updated.
        unsafe { ADDRESSES.get(Key::new(device, address)) }
            .copied()
            .flatten()
    }

    #[inline(always)]
    fn prefix(&self, device: u32, address: Ipv4Addr) -> Option<Rule> {
        PREFIXES.get(longest(device, address)).copied().flatten()
    }

    #[inline(always)]
    fn local(&self, device: u32, target: Ipv4Addr) -> Option<Local> {
        LOCAL.get(longest(device, target)).copied().flatten()
    }

    #[inline(always)]
    fn mac(&self, device: u32) -> Option<Mac> {
        // SAFETY: as in `exact`.
        unsafe { DEVICES.get(device) }.map(|device| device.mac)
    }
}

#[inline(always)]
const fn longest(device: u32, address: Ipv4Addr) -> lpm_trie::Key<Key> {
    lpm_trie::Key::new(Key::BITS, Key::new(device, address))
}
