//! The devices' own addresses, as the maps hold them.

use core::net::Ipv4Addr;

use super::word::Word;

/// What a device has for an address or a subnet of its own: eight bytes, never all zeros.
///
/// In memory order: the address that it uses as sender there, in wire order, 1 for a subnet, 2 for
/// an address that it has or 3 for everything else, and zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Local(Word);

impl Local {
    const SUBNET: u8 = 1;
    const OWN: u8 = 2;
    const ELSEWHERE: u8 = 3;

    /// For a subnet of the device: `primary` is the address that it uses as sender there.
    pub const fn subnet(primary: Ipv4Addr) -> Self {
        Self::new(primary, Self::SUBNET)
    }

    /// For everything else, which is a prefix of no length: `primary` is the address that the device
    /// uses as sender there.
    pub const fn elsewhere(primary: Ipv4Addr) -> Self {
        Self::new(primary, Self::ELSEWHERE)
    }

    /// For an address of the device; `primary` is the first in its subnet.
    pub const fn own(primary: Ipv4Addr) -> Self {
        Self::new(primary, Self::OWN)
    }

    const fn new(primary: Ipv4Addr, kind: u8) -> Self {
        let [a, b, c, d] = primary.octets();
        Self(Word::new([a, b, c, d, kind, 0, 0, 0]))
    }

    /// Whether the entry is for an address that the device has.
    #[inline(always)]
    pub const fn is_own(self) -> bool {
        let [_, _, _, _, kind, ..] = self.to_bytes();
        kind == Self::OWN
    }

    /// Whether the entry is for a subnet of the device, or an address that it has.
    #[inline(always)]
    pub const fn is_on_link(self) -> bool {
        let [_, _, _, _, kind, ..] = self.to_bytes();
        kind != Self::ELSEWHERE
    }

    /// The address that the device uses as sender.
    #[inline(always)]
    pub const fn primary(self) -> Ipv4Addr {
        let [a, b, c, d, ..] = self.to_bytes();
        Ipv4Addr::new(a, b, c, d)
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
