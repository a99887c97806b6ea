//! Which addresses need not be looked up.
//!
//! Most ARP on a segment is about addresses that no rule is about. To find nothing in a hash map costs
//! as much as to find a rule; a bit tells the same for a twentieth of that.

use core::net::Ipv4Addr;

/// A bit for each of [`Sieve::SLOTS`] slots: set where some rule is for a single address of the slot, on
/// whatever device and in whichever book. May be set for longer, never too late.
#[derive(Clone, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Sieve([u64; Sieve::WORDS]);

impl Sieve {
    /// How many words it is.
    pub const WORDS: usize = 512;
    /// How many slots it has. With rules for a thousand addresses, about one in twenty others is looked up
    /// in vain.
    pub const SLOTS: usize = Self::WORDS * u64::BITS as usize;

    /// One that lets nothing through.
    pub const EMPTY: Self = Self([0; Self::WORDS]);

    /// Lets an address through.
    pub fn open(&mut self, address: Ipv4Addr) {
        let (word, bit) = Self::place(address);
        self.0[word] |= bit;
    }

    /// Which of the words an address is in, and its bit there: where that is set, there may be a rule for it.
    #[inline(always)]
    pub const fn place(address: Ipv4Addr) -> (usize, u64) {
        let slot = slot(address, Self::SLOTS);
        let bits = u64::BITS as usize;
        (slot / bits, 1 << (slot % bits))
    }

    /// How many slots let addresses through.
    pub fn open_slots(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// As the map holds it.
    pub const fn to_words(&self) -> [u64; Self::WORDS] {
        self.0
    }

    /// From what the map holds.
    pub const fn from_words(words: [u64; Self::WORDS]) -> Self {
        Self(words)
    }
}

/// For each of as many slots whether somebody was heard to claim an address of it that a policy is about;
/// a byte, so that programs on several CPUs write at once.
pub type HeardSlots = [u8; 4096];

/// Where in [`HeardSlots`] an address is.
#[inline(always)]
pub const fn heard_at(address: Ipv4Addr) -> usize {
    slot(address, size_of::<HeardSlots>())
}

/// The slot of an address of so many, a power of two: neighbours are far from each other.
#[inline(always)]
const fn slot(address: Ipv4Addr, slots: usize) -> usize {
    // 2^32 over the golden ratio (Knuth, The Art of Computer Programming, section 6.4).
    let mixed = address.to_bits().wrapping_mul(0x9e37_79b9);
    (mixed >> (u32::BITS - slots.ilog2())) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    extern crate std;

    fn passes(sieve: &Sieve, address: Ipv4Addr) -> bool {
        let (word, bit) = Sieve::place(address);
        sieve.to_words()[word] & bit != 0
    }

    fn pool(count: u32) -> impl Iterator<Item = Ipv4Addr> {
        (0..count).map(|number| Ipv4Addr::from_bits(0x0a01_0000 + number))
    }

    #[test]
    fn what_was_let_through_passes() {
        let mut sieve = Sieve::EMPTY;
        for address in pool(1000) {
            sieve.open(address);
        }
        assert!(pool(1000).all(|address| passes(&sieve, address)));
        assert!((900..=1000).contains(&sieve.open_slots()));
        assert_eq!(Sieve::from_words(sieve.to_words()), sieve);
        let others = (0..10_000).map(|number| Ipv4Addr::from_bits(0xc0a8_0000 + number));
        let in_vain = others.filter(|address| passes(&sieve, *address)).count();
        assert!(in_vain < 1000, "{in_vain} of 10,000");
        assert!(!pool(1000).any(|address| passes(&Sieve::EMPTY, address)));
    }

    #[test]
    fn every_slot_is_one_of_the_map() {
        for address in [0, 1, u32::MAX, 0x8000_0000, 0x0a01_0203].map(Ipv4Addr::from_bits) {
            assert!(slot(address, Sieve::SLOTS) < Sieve::SLOTS);
            assert!(heard_at(address) < size_of::<HeardSlots>());
        }
    }
}
