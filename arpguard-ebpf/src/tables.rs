//! The maps that hold policy. User space writes them; the programs only read.

use core::{hint::black_box, net::Ipv4Addr};

use arpguard_common::{
    abi::{
        Block, Book, Device, Extent, InUse, Key, LOW_INDEXES, Local, MAX_ADDRESSES, MAX_BLOCKS,
        MAX_DEVICES, MAX_LOCAL, MAX_PREFIXES, Rule, Sieve,
    },
    policy::{self, Tables},
    wire::Mac,
};
use aya_ebpf::{
    bindings::BPF_F_NO_PREALLOC,
    macros::map,
    maps::{Array, HashMap, LpmTrie, lpm_trie},
};

use crate::{claims, variable::Variable};

#[unsafe(link_section = ".bss.SHAPE")]
static SHAPE: Variable<u32, { Extent::WORDS }> = Variable::new();

#[unsafe(link_section = ".bss.SIEVE")]
static SIEVE: Variable<u64, { Sieve::WORDS }> = Variable::new();

#[map]
static ADDRESSES: HashMap<Key, Option<Rule>> =
    HashMap::with_max_entries(MAX_ADDRESSES, BPF_F_NO_PREALLOC);

#[map]
static BLOCKS: HashMap<Key, Block> = HashMap::with_max_entries(MAX_BLOCKS, BPF_F_NO_PREALLOC);

#[map]
static PREFIXES: LpmTrie<Key, Option<Rule>> = LpmTrie::with_max_entries(MAX_PREFIXES, 0);

#[map]
static LOCAL: LpmTrie<Key, Option<Local>> = LpmTrie::with_max_entries(MAX_LOCAL, 0);

#[map]
static LOW_DEVICES: Array<Device> = Array::with_max_entries(LOW_INDEXES, 0);

#[map]
static DEVICES: HashMap<u32, Device> = HashMap::with_max_entries(MAX_DEVICES, BPF_F_NO_PREALLOC);

/// The maps, as the judge sees them.
pub(crate) struct Maps;

impl Tables for Maps {
    #[inline(always)]
    fn in_use(&self) -> InUse {
        InUse::from_number(SHAPE.get(Extent::IN_USE_AT))
    }

    #[inline(always)]
    fn may_have(&self, address: Ipv4Addr) -> bool {
        let (word, bit) = Sieve::place(address);
        SIEVE.get(word) & bit != 0
    }

    #[inline(always)]
    fn exact(&self, key: Key) -> Option<Rule> {
        // SAFETY: the map is not preallocated, so the kernel frees an element only after a grace
        // period, and replaces one whole when it is updated.
        unsafe { ADDRESSES.get(key) }.copied().flatten()
    }

    #[inline(always)]
    fn block(&self, key: Key) -> Option<Rule> {
        // SAFETY: as in `exact`.
        let block = unsafe { BLOCKS.get(key.of_block()) }?;
        // A number that was kept on the stack is any to the verifier of Linux 5.10: of an octet that is read as
        // one it knows what it is.
        block.rule_of(black_box(key.last_octet()))
    }

    #[inline(always)]
    fn prefix(&self, key: Key) -> Option<Rule> {
        PREFIXES.get(longest(key)).copied().flatten()
    }

    #[inline(always)]
    fn longest_prefix(&self, in_use: InUse, key: Key) -> Option<Rule> {
        let key = u64::from_ne_bytes(key.to_bytes());
        Rule::from_bytes(find_prefix(in_use.to_number(), key).to_ne_bytes())
    }

    #[inline(always)]
    fn bound(&self, in_use: InUse, key: Key) -> Option<Rule> {
        let key = u64::from_ne_bytes(key.to_bytes());
        Rule::from_bytes(find_bound(in_use.to_number(), key).to_ne_bytes())
    }

    #[inline(always)]
    fn claimant(&self, key: Key) -> Option<Mac> {
        claims::claimant(key)
    }

    #[inline(always)]
    fn local(&self, device: u32, target: Ipv4Addr) -> Option<Local> {
        let key = Key::new(Book::Own, device, target);
        Local::from_bytes(find_local(u64::from_ne_bytes(key.to_bytes())).to_ne_bytes())
    }

    #[inline(always)]
    fn mac(&self, device: u32) -> Option<Mac> {
        let known = if device < LOW_INDEXES {
            LOW_DEVICES.get(device)
        } else {
            // SAFETY: as in `exact`.
            unsafe { DEVICES.get(device) }
        };
        let number = known.map_or(0, |device| u64::from_ne_bytes(device.to_bytes()));
        Device::from_bytes(number.to_ne_bytes()).map(|device| device.mac)
    }
}

#[inline(always)]
const fn longest(key: Key) -> lpm_trie::Key<Key> {
    lpm_trie::Key::new(Key::BITS, key)
}

// Functions of their own, since the judge asks in several places: with the look-up in each, packets that it
// never asks for would pay for its registers, and the verifier would follow each. A rule for a single
// address is looked up in place: a flood asks for that.

/// [`policy::longest_match`] of what binds an address, as a number; 0 for none.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn find_bound(in_use: u32, key: u64) -> u64 {
    let key = Key::from_bytes(key.to_ne_bytes());
    let found = policy::longest_match(&Maps, InUse::from_number(in_use), key);
    found.map_or(0, |rule| u64::from_ne_bytes(rule.to_bytes()))
}

/// [`policy::longest_prefix`], as a number; 0 for none.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn find_prefix(in_use: u32, key: u64) -> u64 {
    let key = Key::from_bytes(key.to_ne_bytes());
    let found = policy::longest_prefix(&Maps, InUse::from_number(in_use), key);
    found.map_or(0, |rule| u64::from_ne_bytes(rule.to_bytes()))
}

/// What is known of an address as a device sees it, as a number; 0 for nothing.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn find_local(key: u64) -> u64 {
    let found = LOCAL.get(longest(Key::from_bytes(key.to_ne_bytes())));
    let found = found.copied().flatten();
    found.map_or(0, |local| u64::from_ne_bytes(local.to_bytes()))
}
