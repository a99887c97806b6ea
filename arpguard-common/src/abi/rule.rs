//! Rules, as the maps hold them.

use core::net::Ipv4Addr;

use super::{EVERY_DEVICE, word::Word};
use crate::{
    verdict::{Mode, Policy},
    wire::Mac,
};

/// What policy says of an address or a prefix: eight bytes, which are never all zeros.
///
/// In memory order: the policy's number plus one in the low three bits and flags above, the length in
/// bits of the prefix (32 for a single address) in the low six bits and flags above, and six bytes that are the policy's own. One word
/// with a hole for "no rule" is one load for a program, and nothing of it is ever undefined, which
/// the verifier of Linux 5.10 wants.
///
/// | policy | where | its own six bytes |
/// | --- | --- | --- |
/// | hide | any place | two zeros, the RIP in wire order; zeros: the device's own choice |
/// | pin | under [`EVERY_DEVICE`] | the number of its terms, a zero, the interface index of the device that may speak, in host order |
/// | strict | the prefix without length, which holds every address | zeros |
/// | answer | under a device | the hardware address to answer with; zeros: the device's own |
/// | bind | any place of its own book | the hardware address that may claim the address |
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Rule(Word);

impl Rule {
    const POLICY: u8 = 0b111;
    const AUDIT: u8 = 1 << 3;
    const SHIELD: u8 = 1 << 4;
    const SAME_SUBNET: u8 = 1 << 5;
    const DEFERRED: u8 = 1 << 6;
    const FORCED: u8 = 1 << 7;

    /// The second byte: the length, and these.
    const LENGTH: u8 = 0b11_1111;
    const PROMOTED: u8 = 1 << 6;
    const LENT: u8 = 1 << 7;

    /// A rule that hides. `rip`: the sender to use instead, `None` for the device's own choice.
    pub const fn hide(prefix_len: u8, rip: Option<Ipv4Addr>, mode: Mode, shield: bool) -> Self {
        let flags = if shield { Self::SHIELD } else { 0 };
        let own = match rip {
            Some(rip) => rip.octets(),
            None => [0; 4],
        };
        Self::new(Policy::Hide, flags, prefix_len, behind_zeros(own), mode)
    }

    /// A rule that leaves an address to one device: that with the interface index `home`.
    pub const fn pin(prefix_len: u8, home: u32, mode: Mode) -> Self {
        let own = behind_zeros(home.to_ne_bytes());
        Self::new(Policy::Pin, 0, prefix_len, own, mode)
    }

    /// A rule that leaves a device only what it owns. `same_subnet`: and only to who is in a subnet
    /// of the device.
    pub const fn strict(same_subnet: bool, mode: Mode) -> Self {
        let flags = if same_subnet { Self::SAME_SUBNET } else { 0 };
        Self::new(Policy::Strict, flags, 0, [0; 6], mode)
    }

    /// The same of an address that this host is the director of, until it is demoted: it bars
    /// nothing.
    #[must_use]
    pub const fn promoted(self) -> Self {
        let [first, second, rest @ ..] = self.to_bytes();
        Self::of(first, second | Self::PROMOTED, rest)
    }

    /// A promoted rule for a single address that another rule hides. It is gone when the address is
    /// demoted.
    #[must_use]
    pub const fn lent(self) -> Self {
        let [first, _, rest @ ..] = self.to_bytes();
        Self::of(first, 32 | Self::PROMOTED | Self::LENT, rest)
    }

    /// The same without a promotion.
    #[must_use]
    pub const fn demoted(self) -> Self {
        let [first, second, rest @ ..] = self.to_bytes();
        Self::of(first, second & Self::LENGTH, rest)
    }

    const fn of(first: u8, second: u8, [a, b, c, d, e, f]: [u8; 6]) -> Self {
        Self(Word::new([first, second, a, b, c, d, e, f]))
    }

    /// The same pin under the terms that user space keeps by this number, zero for none; any other rule
    /// as it is. Programs do not look at it.
    #[must_use]
    pub const fn under(self, terms: u8) -> Self {
        let [first, second, _, rest @ ..] = self.to_bytes();
        let [x, a, b, c, d] = rest;
        match self.policy() {
            Policy::Pin => Self::of(first, second, [terms, x, a, b, c, d]),
            Policy::Hide | Policy::Strict | Policy::Answer | Policy::Bind => self,
        }
    }

    /// The same pin to the device with the interface index `home`; any other rule as it is.
    #[must_use]
    pub const fn at(self, home: u32) -> Self {
        match self.policy() {
            Policy::Pin => Self::pin(self.prefix_len(), home, self.mode()).under(self.terms()),
            Policy::Hide | Policy::Strict | Policy::Answer | Policy::Bind => self,
        }
    }

    /// A rule that answers, with `mac` or else the device's own hardware address. `deferred`: user
    /// space does, if it finds that it should. `forced`: even where somebody else claims the address.
    pub const fn answer(
        prefix_len: u8,
        mac: Option<Mac>,
        mode: Mode,
        deferred: bool,
        forced: bool,
    ) -> Self {
        let flags = if deferred { Self::DEFERRED } else { 0 };
        let flags = flags | if forced { Self::FORCED } else { 0 };
        let own = match mac {
            Some(Mac(bytes)) => bytes,
            None => [0; 6],
        };
        Self::new(Policy::Answer, flags, prefix_len, own, mode)
    }

    /// A rule that lets only `mac` claim an address.
    pub const fn bind(prefix_len: u8, mac: Mac, mode: Mode) -> Self {
        Self::new(Policy::Bind, 0, prefix_len, mac.0, mode)
    }

    const fn new(policy: Policy, flags: u8, prefix_len: u8, own: [u8; 6], mode: Mode) -> Self {
        let audit = match mode {
            Mode::Audit => Self::AUDIT,
            Mode::Enforce => 0,
        };
        let [a, b, c, d, e, f] = own;
        let kind = policy as u8 + 1;
        Self(Word::new([
            kind | flags | audit,
            prefix_len,
            a,
            b,
            c,
            d,
            e,
            f,
        ]))
    }

    /// What reads a rule of an older version ([`super::FORMER`]) from what its maps hold: `None` for
    /// zeros, and where it is no rule of theirs.
    pub const fn reader(version: u32) -> fn([u8; 8]) -> Option<Self> {
        match version {
            ..=3 => Self::from_former,
            _ => Self::from_bytes,
        }
    }

    /// As versions 1 to 3 laid it out: the policy's number plus one, flags of which the lowest three
    /// meant audit, shield and same subnet, the length of the prefix, a zero and four bytes of its own.
    fn from_former([kind, flags, prefix_len, _, own @ ..]: [u8; 8]) -> Option<Self> {
        const AUDIT: u8 = 1;
        let policy = match Policy::from_number(kind.checked_sub(1)?)? {
            policy @ (Policy::Hide | Policy::Pin | Policy::Strict) => policy,
            Policy::Answer | Policy::Bind => return None,
        };
        let mode = if flags & AUDIT == 0 {
            Mode::Enforce
        } else {
            Mode::Audit
        };
        // They stand in the same order as those of now.
        let flags = (flags & 0b111 & !AUDIT) << 3;
        Some(Self::new(
            policy,
            flags,
            prefix_len,
            behind_zeros(own),
            mode,
        ))
    }

    /// Which policy this is a rule of.
    #[inline(always)]
    pub const fn policy(self) -> Policy {
        let [first, ..] = self.to_bytes();
        match Policy::from_number((first & Self::POLICY).wrapping_sub(1)) {
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

    /// The number of [`Self::mode`].
    #[inline(always)]
    pub(crate) const fn mode_number(self) -> u8 {
        let [first, ..] = self.to_bytes();
        (first / Self::AUDIT) & 1
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

    /// Whether user space answers.
    #[inline(always)]
    pub const fn is_deferred(self) -> bool {
        self.has(Self::DEFERRED)
    }

    /// Whether it answers even where somebody else claims the address.
    #[inline(always)]
    pub const fn is_forced(self) -> bool {
        self.has(Self::FORCED)
    }

    /// Whether it hides nothing for the time being, since this host is the director.
    #[inline(always)]
    pub const fn is_promoted(self) -> bool {
        let [_, second, ..] = self.to_bytes();
        second & Self::PROMOTED != 0
    }

    /// Whether it is there for a promotion alone, and another rule hides the address.
    #[inline(always)]
    pub const fn is_lent(self) -> bool {
        let [_, second, ..] = self.to_bytes();
        second & Self::LENT != 0
    }

    #[inline(always)]
    const fn has(self, flag: u8) -> bool {
        let [first, ..] = self.to_bytes();
        first & flag != 0
    }

    /// Length in bits of the prefix that the rule is about; 32 for a single address.
    #[inline(always)]
    pub const fn prefix_len(self) -> u8 {
        let [_, second, ..] = self.to_bytes();
        second & Self::LENGTH
    }

    /// The sender to use in place of the address; `None` for the device's own choice.
    #[inline(always)]
    pub const fn rip(self) -> Option<Ipv4Addr> {
        let [.., a, b, c, d] = self.to_bytes();
        let rip = Ipv4Addr::new(a, b, c, d);
        match self.policy() {
            Policy::Hide if !rip.is_unspecified() => Some(rip),
            Policy::Hide | Policy::Pin | Policy::Strict | Policy::Answer | Policy::Bind => None,
        }
    }

    /// The interface index of the device that the address is pinned to; [`EVERY_DEVICE`] where it is
    /// to none.
    #[inline(always)]
    pub const fn home(self) -> u32 {
        let [.., a, b, c, d] = self.to_bytes();
        match self.policy() {
            Policy::Pin => u32::from_ne_bytes([a, b, c, d]),
            Policy::Hide | Policy::Strict | Policy::Answer | Policy::Bind => EVERY_DEVICE,
        }
    }

    /// The hardware address to answer with, or that may claim the address; `None` for the device's
    /// own.
    #[inline(always)]
    pub fn mac(self) -> Option<Mac> {
        let [_, _, mac @ ..] = self.to_bytes();
        match self.policy() {
            Policy::Answer | Policy::Bind if mac != [0; 6] => Some(Mac(mac)),
            Policy::Answer | Policy::Bind | Policy::Hide | Policy::Pin | Policy::Strict => None,
        }
    }

    /// Whether two rules say the same, of whatever prefixes.
    pub fn says_as(self, other: Self) -> bool {
        let said = |rule: Self| {
            let [first, _, own @ ..] = rule.demoted().to_bytes();
            (first, own)
        };
        said(self) == said(other)
    }

    /// The number of the terms that a pin is under; zero for none.
    #[inline(always)]
    pub const fn terms(self) -> u8 {
        let [_, _, terms, ..] = self.to_bytes();
        match self.policy() {
            Policy::Pin => terms,
            Policy::Hide | Policy::Strict | Policy::Answer | Policy::Bind => 0,
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

const fn behind_zeros([a, b, c, d]: [u8; 4]) -> [u8; 6] {
    [0, 0, a, b, c, d]
}

const _: () = assert!(Policy::COUNT < Rule::POLICY as usize);
const _: () = assert!(Mode::Enforce as u8 == 0 && Mode::Audit as u8 == 1);

#[cfg(test)]
mod tests {
    use super::*;

    const RIP: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 9);
    const MAC: Mac = Mac([0, 0, 0x5e, 0, 1, 51]);

    #[test]
    fn bytes_and_back() {
        let index = 0x0102_0304_u32;
        let [a, b, c, d] = index.to_ne_bytes();
        for (rule, bytes) in [
            (
                Rule::hide(24, Some(RIP), Mode::Audit, true),
                [0x19, 24, 0, 0, 10, 0, 0, 9],
            ),
            (
                Rule::hide(32, None, Mode::Enforce, false),
                [1, 32, 0, 0, 0, 0, 0, 0],
            ),
            (
                Rule::pin(32, index, Mode::Enforce),
                [2, 32, 0, 0, a, b, c, d],
            ),
            (Rule::strict(true, Mode::Audit), [0x2b, 0, 0, 0, 0, 0, 0, 0]),
            (
                Rule::answer(32, Some(MAC), Mode::Enforce, false, true),
                [0x84, 32, 0, 0, 0x5e, 0, 1, 51],
            ),
            (
                Rule::answer(24, None, Mode::Audit, true, false),
                [0x4c, 24, 0, 0, 0, 0, 0, 0],
            ),
            (
                Rule::bind(32, MAC, Mode::Enforce),
                [5, 32, 0, 0, 0x5e, 0, 1, 51],
            ),
        ] {
            assert_eq!(rule.to_bytes(), bytes);
            assert_eq!(Rule::from_bytes(bytes), Some(rule));
        }
        assert_eq!(Rule::from_bytes([0; 8]), None);
    }

    #[test]
    fn each_policy_reads_its_own_bytes() {
        let hide = Rule::hide(32, Some(RIP), Mode::Enforce, true);
        let pin = Rule::pin(32, 7, Mode::Enforce);
        let strict = Rule::strict(true, Mode::Enforce);
        let answer = Rule::answer(32, Some(MAC), Mode::Enforce, true, true);
        let bind = Rule::bind(32, MAC, Mode::Enforce);
        let read = |rule: Rule| (rule.policy(), rule.rip(), rule.home(), rule.mac());
        assert_eq!(read(hide), (Policy::Hide, Some(RIP), 0, None));
        assert_eq!(read(pin), (Policy::Pin, None, 7, None));
        assert_eq!(read(strict), (Policy::Strict, None, 0, None));
        assert_eq!(read(answer), (Policy::Answer, None, 0, Some(MAC)));
        assert_eq!(read(bind), (Policy::Bind, None, 0, Some(MAC)));
        let flags = |rule: Rule| {
            [
                rule.shields(),
                rule.wants_same_subnet(),
                rule.is_deferred(),
                rule.is_forced(),
            ]
        };
        assert_eq!(flags(hide), [true, false, false, false]);
        assert_eq!(flags(pin), [false; 4]);
        assert_eq!(flags(strict), [false, true, false, false]);
        assert_eq!(flags(answer), [false, false, true, true]);
    }

    #[test]
    fn a_promotion_changes_nothing_else() {
        let rule = Rule::hide(24, Some(RIP), Mode::Audit, true);
        let promoted = rule.promoted();
        assert_eq!(promoted.to_bytes(), [0x19, 0x40 | 24, 0, 0, 10, 0, 0, 9]);
        assert!(promoted.is_promoted() && !promoted.is_lent() && !rule.is_promoted());
        assert_eq!(promoted.prefix_len(), 24);
        let lent = rule.lent();
        assert_eq!(lent.to_bytes(), [0x19, 0xc0 | 32, 0, 0, 10, 0, 0, 9]);
        assert!(lent.is_promoted() && lent.is_lent());
        assert_eq!(promoted.demoted(), rule);
        assert_eq!(lent.demoted().to_bytes(), [0x19, 32, 0, 0, 10, 0, 0, 9]);
    }

    #[test]
    fn a_pin_may_be_under_terms() {
        let pin = Rule::pin(32, 7, Mode::Enforce).under(9);
        let [a, b, c, d] = 7_u32.to_ne_bytes();
        assert_eq!(pin.to_bytes(), [2, 32, 9, 0, a, b, c, d]);
        assert_eq!((pin.home(), pin.terms()), (7, 9));
        assert_eq!((pin.at(8).home(), pin.at(8).terms()), (8, 9));
        let hide = Rule::hide(32, Some(RIP), Mode::Enforce, false);
        assert_eq!((hide.under(9), hide.at(8), hide.terms()), (hide, hide, 0));
    }

    #[test]
    fn former_rules_mean_the_same() {
        let answer = Rule::answer(32, None, Mode::Enforce, true, false);
        assert_eq!(Rule::reader(4)(answer.to_bytes()), Some(answer));
        let [a, b, c, d] = 7_u32.to_ne_bytes();
        for (former, rule) in [
            (
                [1, 3, 24, 0, 10, 0, 0, 9],
                Some(Rule::hide(24, Some(RIP), Mode::Audit, true)),
            ),
            (
                [1, 0, 32, 0, 0, 0, 0, 0],
                Some(Rule::hide(32, None, Mode::Enforce, false)),
            ),
            (
                [2, 0, 32, 0, a, b, c, d],
                Some(Rule::pin(32, 7, Mode::Enforce)),
            ),
            (
                [3, 5, 0, 0, 0, 0, 0, 0],
                Some(Rule::strict(true, Mode::Audit)),
            ),
            ([0; 8], None),
            ([4, 0, 32, 0, 0, 0, 0, 0], None),
        ] {
            assert_eq!(Rule::reader(3)(former), rule);
        }
    }
}
