//! Single addresses that have one rule, together.

use super::Rule;

/// Length in bytes of a [`Block`].
pub const BLOCK_LEN: usize = 40;

/// Which of the 256 addresses of a /24 on a device, or on every device, have one rule.
///
/// A flood may ask for any address of a pool. One element for each would be a miss of the processor's
/// cache for each; one for 256 of them stays there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Block {
    /// Of the length of a single address. `None` in no block that anybody writes.
    rule: Option<Rule>,
    /// A bit for each last octet, the lowest one of each byte first.
    members: [u8; 32],
}

impl Block {
    /// One without members.
    pub const fn new(rule: Rule) -> Self {
        Self {
            rule: Some(rule),
            members: [0; 32],
        }
    }

    /// The rule of each member.
    pub const fn rule(&self) -> Option<Rule> {
        self.rule
    }

    /// The rule of the address with this last octet; `None` where it is no member.
    #[inline(always)]
    pub fn rule_of(&self, last: u8) -> Option<Rule> {
        if self.has(last) { self.rule } else { None }
    }

    /// Whether the address with this last octet is a member.
    #[inline(always)]
    pub const fn has(&self, last: u8) -> bool {
        let [at, bit] = Self::place(last);
        self.members[at as usize] & bit != 0
    }

    /// Makes the address with this last octet a member.
    pub const fn insert(&mut self, last: u8) {
        let [at, bit] = Self::place(last);
        self.members[at as usize] |= bit;
    }

    /// Makes it none.
    pub const fn remove(&mut self, last: u8) {
        let [at, bit] = Self::place(last);
        self.members[at as usize] &= !bit;
    }

    /// The last octets of the members, in order.
    pub fn members(self) -> impl Iterator<Item = u8> {
        (0..=u8::MAX).filter(move |last| self.has(*last))
    }

    /// How many members there are.
    pub fn len(&self) -> u32 {
        self.members.iter().map(|byte| byte.count_ones()).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.members == [0; 32]
    }

    /// As the map holds it.
    pub fn to_bytes(self) -> [u8; BLOCK_LEN] {
        let mut bytes = [0; BLOCK_LEN];
        let (rule, members) = bytes.split_at_mut(size_of::<Rule>());
        rule.copy_from_slice(&self.rule.map_or([0; 8], Rule::to_bytes));
        members.copy_from_slice(&self.members);
        bytes
    }

    /// From what the map holds.
    pub fn from_bytes(bytes: [u8; BLOCK_LEN]) -> Self {
        let [a, b, c, d, e, f, g, h, members @ ..] = bytes;
        Self {
            rule: Rule::from_bytes([a, b, c, d, e, f, g, h]),
            members,
        }
    }

    /// The byte of a member, below 32, and the bit there.
    #[inline(always)]
    const fn place(last: u8) -> [u8; 2] {
        [last >> 3, 1 << (last & 7)]
    }
}

const _: () = assert!(size_of::<Block>() == BLOCK_LEN);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::Mode;
    extern crate std;
    use std::vec::Vec;

    const RULE: Rule = Rule::hide(32, None, Mode::Audit, true);

    #[test]
    fn bytes_and_back() {
        let mut block = Block::new(RULE);
        for last in [0, 9, 255] {
            block.insert(last);
        }
        let mut bytes = [0; BLOCK_LEN];
        bytes[..8].copy_from_slice(&RULE.to_bytes());
        (bytes[8], bytes[9], bytes[39]) = (1, 2, 0x80);
        assert_eq!(block.to_bytes(), bytes);
        assert_eq!(Block::from_bytes(bytes), block);
        assert_eq!(Block::from_bytes([0; BLOCK_LEN]), Block::default());
    }

    #[test]
    fn each_member_is_one_alone() {
        for last in 0..=u8::MAX {
            let mut block = Block::new(RULE);
            block.insert(last);
            assert_eq!(block.members().collect::<Vec<_>>(), [last]);
            assert_eq!((block.len(), block.is_empty()), (1, false));
            assert_eq!(block.rule_of(last), Some(RULE));
            assert_eq!(block.rule_of(!last), None);
            block.remove(last);
            assert_eq!((block.len(), block.is_empty()), (0, true));
        }
    }

    #[test]
    fn a_block_without_a_rule_has_none_for_its_members() {
        let mut block = Block::default();
        block.insert(7);
        assert_eq!((block.has(7), block.rule_of(7)), (true, None));
    }
}
