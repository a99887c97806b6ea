//! Rules, as the maps hold them.

use core::net::Ipv4Addr;

use super::word::Word;
use crate::verdict::{Mode, Policy};

/// What policy says of an address or a prefix: eight bytes, which are never all zeros.
///
/// In memory order: the policy's number plus one, flags, the length in bits of the prefix (32 for a
/// single address), a zero, and the RIP in wire order. One word with a hole for "no rule" is one
/// load for a program, and nothing of it is ever undefined, which the verifier of Linux 5.10 wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Rule(Word);

impl Rule {
    const AUDIT: u8 = 1;
    const SHIELD: u8 = 2;

    /// A rule that hides. `rip`: the sender to use instead, `None` for the device's own choice.
    pub const fn hide(prefix_len: u8, rip: Option<Ipv4Addr>, mode: Mode, shield: bool) -> Self {
        let audit = match mode {
            Mode::Audit => Self::AUDIT,
            Mode::Enforce => 0,
        };
        let flags = audit | if shield { Self::SHIELD } else { 0 };
        let [a, b, c, d] = match rip {
            Some(rip) => rip.octets(),
            None => [0; 4],
        };
        Self(Word::new([
            Policy::Hide as u8 + 1,
            flags,
            prefix_len,
            0,
            a,
            b,
            c,
            d,
        ]))
    }

    /// Which policy this is a rule of.
    #[inline(always)]
    pub const fn policy(self) -> Policy {
        Policy::Hide
    }

    /// Whether verdicts are carried out.
    #[inline(always)]
    pub const fn mode(self) -> Mode {
        let [_, flags, ..] = self.to_bytes();
        if flags & Self::AUDIT != 0 {
            Mode::Audit
        } else {
            Mode::Enforce
        }
    }

    /// Whether other stations' claims of the address are kept from this host.
    #[inline(always)]
    pub const fn shields(self) -> bool {
        let [_, flags, ..] = self.to_bytes();
        flags & Self::SHIELD != 0
    }

    /// Length in bits of the prefix that the rule is about; 32 for a single address.
    #[inline(always)]
    pub const fn prefix_len(self) -> u8 {
        let [_, _, prefix_len, ..] = self.to_bytes();
        prefix_len
    }

    /// The sender to use in place of the address; `None` for the device's own choice.
    #[inline(always)]
    pub const fn rip(self) -> Option<Ipv4Addr> {
        let [.., a, b, c, d] = self.to_bytes();
        let rip = Ipv4Addr::new(a, b, c, d);
        if rip.is_unspecified() {
            None
        } else {
            Some(rip)
        }
    }

    /// As the maps hold it.
    #[inline(always)]
    pub const fn to_bytes(self) -> [u8; 8] {
        self.0.bytes()
    }

    /// From what a map holds; `None` for zeros.
    #[inline(always)]
    pub fn from_bytes(bytes: [u8; 8]) -> Option<Self> {
        Word::from_bytes(bytes).map(Self)
    }
}
