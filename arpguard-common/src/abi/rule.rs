//! Rules, as the maps hold them.

use core::net::Ipv4Addr;

use super::word::Word;
use crate::{
    policy::EVERY_DEVICE,
    verdict::{Mode, Policy},
};

/// What policy says of an address or a prefix: eight bytes, which are never all zeros.
///
/// In memory order: the policy's number plus one, flags, the length in bits of the prefix (32 for a
/// single address), a zero, and four bytes that are the policy's own. One word with a hole for "no
/// rule" is one load for a program, and nothing of it is ever undefined, which the verifier of Linux
/// 5.10 wants.
///
/// | policy | where | its own four bytes |
/// | --- | --- | --- |
/// | hide | any place | the RIP in wire order; zeros: the device's own choice |
/// | pin | under [`EVERY_DEVICE`] | the interface index of the device that may speak, in host order |
/// | strict | the prefix without length, which holds every address | zeros |
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Rule(Word);

impl Rule {
    const AUDIT: u8 = 1;
    const SHIELD: u8 = 2;
    const SAME_SUBNET: u8 = 4;

    /// A rule that hides. `rip`: the sender to use instead, `None` for the device's own choice.
    pub const fn hide(prefix_len: u8, rip: Option<Ipv4Addr>, mode: Mode, shield: bool) -> Self {
        let flags = if shield { Self::SHIELD } else { 0 };
        let own = match rip {
            Some(rip) => rip.octets(),
            None => [0; 4],
        };
        Self::new(Policy::Hide, flags, prefix_len, own, mode)
    }

    /// A rule that leaves an address to one device: that with the interface index `home`.
    pub const fn pin(prefix_len: u8, home: u32, mode: Mode) -> Self {
        Self::new(Policy::Pin, 0, prefix_len, home.to_ne_bytes(), mode)
    }

    /// A rule that leaves a device only what it owns. `same_subnet`: and only to who is in a subnet
    /// of the device.
    pub const fn strict(same_subnet: bool, mode: Mode) -> Self {
        let flags = if same_subnet { Self::SAME_SUBNET } else { 0 };
        Self::new(Policy::Strict, flags, 0, [0; 4], mode)
    }

    const fn new(policy: Policy, flags: u8, prefix_len: u8, own: [u8; 4], mode: Mode) -> Self {
        let audit = match mode {
            Mode::Audit => Self::AUDIT,
            Mode::Enforce => 0,
        };
        let [a, b, c, d] = own;
        let kind = policy as u8 + 1;
        Self(Word::new([kind, flags | audit, prefix_len, 0, a, b, c, d]))
    }

    /// Which policy this is a rule of.
    #[inline(always)]
    pub const fn policy(self) -> Policy {
        let [kind, ..] = self.to_bytes();
        match Policy::from_number(kind.wrapping_sub(1)) {
            Some(policy) => policy,
            // Nobody has written such a rule. To hide too much is the safer error.
            None => Policy::Hide,
        }
    }

    /// Whether verdicts are carried out.
    #[inline(always)]
    pub const fn mode(self) -> Mode {
        if self.has(Self::AUDIT) {
            Mode::Audit
        } else {
            Mode::Enforce
        }
    }

    /// Whether other stations' claims of the address are kept from this host.
    #[inline(always)]
    pub const fn shields(self) -> bool {
        self.has(Self::SHIELD)
    }

    /// Whether only who is in a subnet of the device is answered.
    #[inline(always)]
    pub const fn wants_same_subnet(self) -> bool {
        self.has(Self::SAME_SUBNET)
    }

    #[inline(always)]
    const fn has(self, flag: u8) -> bool {
        let [_, flags, ..] = self.to_bytes();
        flags & flag != 0
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
        match self.policy() {
            Policy::Hide if !rip.is_unspecified() => Some(rip),
            Policy::Hide | Policy::Pin | Policy::Strict => None,
        }
    }

    /// The interface index of the device that the address is pinned to; [`EVERY_DEVICE`] where it is
    /// to none.
    #[inline(always)]
    pub const fn home(self) -> u32 {
        let [.., a, b, c, d] = self.to_bytes();
        match self.policy() {
            Policy::Pin => u32::from_ne_bytes([a, b, c, d]),
            Policy::Hide | Policy::Strict => EVERY_DEVICE,
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
