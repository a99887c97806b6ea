//! Eight bytes with a hole.

use core::num::NonZeroU64;

/// Eight bytes in memory order that are never all zeros, so that an `Option` of them is one word
/// of which nothing is ever undefined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub(super) struct Word(NonZeroU64);

impl Word {
    /// Whoever calls it sets one of the bytes to a constant that is not zero.
    pub(super) const fn new(bytes: [u8; 8]) -> Self {
        match NonZeroU64::new(u64::from_ne_bytes(bytes)) {
            Some(word) => Self(word),
            None => Self(NonZeroU64::MIN),
        }
    }

    #[inline(always)]
    pub(super) const fn bytes(self) -> [u8; 8] {
        self.0.get().to_ne_bytes()
    }

    #[inline(always)]
    pub(super) fn from_bytes(bytes: [u8; 8]) -> Option<Self> {
        NonZeroU64::new(u64::from_ne_bytes(bytes)).map(Self)
    }
}
