//! What a judge is given and gives, as numbers.
//!
//! The verifier reads a global function by itself, whoever calls it, and so once instead of once for
//! every way to each call; but such a function gives no more than a number, and takes five
//! (`btf_prepare_func_args` in `kernel/bpf/btf.c`). [`crate::wire::Raw`] is a packet for it.

use crate::{
    abi::{Rule, counted, counter},
    verdict::{Decider, Mode, Policy, Reason, Receive, Verdict},
    wire::{Arp, Kind, Mac, Raw},
};

impl Mac {
    /// As a number.
    #[inline(always)]
    pub fn pack(self) -> u64 {
        // They are copied as they are, so that no compiler takes them apart.
        let mut bytes = [0; 8];
        bytes[..6].copy_from_slice(&self.0);
        u64::from_ne_bytes(bytes)
    }

    /// From a number.
    #[inline(always)]
    pub fn unpack(number: u64) -> Self {
        let mut bytes = [0; 6];
        bytes.copy_from_slice(&number.to_ne_bytes()[..6]);
        Self(bytes)
    }
}

/// What a received frame is judged to be, and who watches what it claims, as a number: the hardware
/// address to answer with, what is done, and where it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Ruling(u64);

/// Bits of the byte before the counter. The lowest are who watches.
const WATCHED: u8 = 0b1111;
/// The action: to pass, to drop, to answer, to defer.
const ACTION_AT: u32 = 4;
/// Whether a policy has decided, and whether what it wants is carried out.
const DECIDED: u8 = 1 << 6;
const ENFORCED: u8 = 1 << 7;

const _: () = assert!(Decider::COUNT <= 1 << WATCHED.count_ones());

const fn behind_mac(what: u8, counter: u8) -> u64 {
    u64::from_ne_bytes([0, 0, 0, 0, 0, 0, what, counter])
}

impl Ruling {
    /// ARP that no policy is about.
    pub const PERMITTED: Self = Self(0);

    /// That of a verdict.
    #[inline(always)]
    pub fn of(verdict: Verdict<Receive>) -> Self {
        let Verdict {
            action,
            reason,
            decider,
        } = verdict;
        let (action, mac) = match action {
            Receive::Pass => (0, 0),
            Receive::Drop => (1, 0),
            Receive::Answer(mac) => (2, mac.pack()),
            Receive::Defer(mac) => (3, mac.pack()),
        };
        let by = match (decider, decider.mode()) {
            (Decider::NOBODY, _) => 0,
            (_, Mode::Audit) => DECIDED,
            (_, Mode::Enforce) => DECIDED | ENFORCED,
        };
        let counter = counter(decider, reason) as u8;
        Self(mac | behind_mac(action << ACTION_AT | by, counter))
    }

    /// What `rule` wants.
    ///
    /// As [`Self::of`] of its verdict, without a branch by its mode, of which the verifier would follow
    /// both ways.
    #[inline(always)]
    pub fn by(rule: Rule, action: Receive, reason: Reason) -> Self {
        let wanted = Self::of(Verdict {
            action,
            reason,
            decider: Decider::new(rule.policy(), Mode::Enforce),
        });
        let audit = rule.mode_number();
        let rows = (Policy::COUNT * Reason::COUNT) as u8;
        let enforced = behind_mac(audit * ENFORCED, 0);
        Self((wanted.0 ^ enforced) + behind_mac(0, audit * rows))
    }

    /// The verdict.
    #[inline(always)]
    pub fn verdict(self) -> Verdict<Receive> {
        let (decider, reason) =
            counted(usize::from(self.counter())).unwrap_or((Decider::NOBODY, Reason::Permitted));
        Verdict {
            action: self.action(),
            reason,
            decider,
        }
    }

    /// What to do with the frame: under audit, nothing.
    #[inline(always)]
    pub fn act(self) -> Receive {
        if self.is_settled() {
            self.action()
        } else {
            Receive::Pass
        }
    }

    #[inline(always)]
    fn action(self) -> Receive {
        let mac = Mac::unpack(self.0);
        match self.what() >> ACTION_AT & 0b11 {
            0 => Receive::Pass,
            1 => Receive::Drop,
            2 => Receive::Answer(mac),
            _ => Receive::Defer(mac),
        }
    }

    /// Where the frame is counted: [`counter`].
    #[inline(always)]
    pub const fn counter(self) -> u8 {
        let [.., counter] = self.0.to_ne_bytes();
        counter
    }

    /// Who watches what the frame claims.
    #[inline(always)]
    pub fn watched_by(self) -> Decider {
        Decider::from_number(self.what() & WATCHED).unwrap_or(Decider::NOBODY)
    }

    /// The same, with somebody who watches what the frame claims.
    #[inline(always)]
    #[must_use]
    pub const fn and_watched(self, by: Decider) -> Self {
        Self(self.0 | behind_mac(by.number(), 0))
    }

    /// Whether nothing else that policy says changes what becomes of the frame: this is carried out.
    #[inline(always)]
    pub const fn is_settled(self) -> bool {
        self.what() & ENFORCED != 0
    }

    /// This, unless `other` is one that counts more: any where no policy has decided, and one that is
    /// carried out where this is only audited.
    #[inline(always)]
    #[must_use]
    pub fn or(self, other: impl FnOnce() -> Self) -> Self {
        if self.is_settled() {
            return self;
        }
        let other = other();
        if other.is_settled() || self.what() & DECIDED == 0 {
            other
        } else {
            self
        }
    }

    #[inline(always)]
    const fn what(self) -> u8 {
        let [.., what, _] = self.0.to_ne_bytes();
        what
    }

    /// As the number that it is.
    #[inline(always)]
    pub const fn to_number(self) -> u64 {
        self.0
    }

    /// From a number that [`Self::to_number`] gave.
    #[inline(always)]
    pub const fn from_number(number: u64) -> Self {
        Self(number)
    }
}

/// A received packet that more has to be looked at for than what a flood asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    /// The packet.
    pub arp: Arp,
    /// Whom the frame is for.
    pub destination: Mac,
    /// The rule that was found for what it asks for.
    pub found: Option<Rule>,
    /// Whether that keeps the address out of the device's ARP.
    pub is_barred: bool,
    /// Whether it claims what is bound to another hardware address, by a rule that is only audited.
    pub is_lie: bool,
}

/// Bits of the number behind a destination: the kind of a packet, whether it asks for what is barred, whether
/// it lies.
const KIND: u8 = 0b11;
const BARRED: u8 = 1 << 2;
const LIE: u8 = 1 << 3;

impl Pending {
    /// As four numbers.
    #[inline(always)]
    pub fn pack(self) -> [u64; 4] {
        let Self {
            arp,
            destination,
            found,
            is_barred,
            is_lie,
        } = self;
        let kind = match arp.kind {
            Kind::Request => 0,
            Kind::Probe => 1,
            Kind::Announcement => 2,
            Kind::Reply => 3,
        };
        let what = kind | (u8::from(is_barred) * BARRED) | (u8::from(is_lie) * LIE);
        let found = found.map_or(0, |rule| u64::from_ne_bytes(rule.to_bytes()));
        let ([a, b, c, d], [e, f, g, h]) = (arp.spa.octets(), arp.tpa.octets());
        let addresses = u64::from_ne_bytes([a, b, c, d, e, f, g, h]);
        let frame = destination.pack() | behind_mac(what, 0);
        [found, arp.sha.pack(), addresses, frame]
    }

    /// From what [`Self::pack`] gave.
    #[inline(always)]
    pub fn unpack([found, sender, addresses, frame]: [u64; 4]) -> Self {
        let [.., what, _] = frame.to_ne_bytes();
        let kind = match what & KIND {
            0 => Kind::Request,
            1 => Kind::Probe,
            2 => Kind::Announcement,
            _ => Kind::Reply,
        };
        let raw = Raw {
            header: 0,
            sender,
            addresses,
        };
        Self {
            arp: raw.sides(kind),
            destination: Mac::unpack(frame),
            found: Rule::from_bytes(found.to_ne_bytes()),
            is_barred: what & BARRED != 0,
            is_lie: what & LIE != 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    extern crate std;
    use std::vec::Vec;

    const MAC: Mac = Mac([1, 2, 3, 4, 5, 6]);

    #[test]
    fn a_hardware_address_survives() {
        assert_eq!(Mac::unpack(MAC.pack()), MAC);
    }

    const ACTIONS: [Receive; 4] = [
        Receive::Pass,
        Receive::Drop,
        Receive::Answer(MAC),
        Receive::Defer(MAC),
    ];

    fn policies() -> Vec<Decider> {
        let modes = [Mode::Enforce, Mode::Audit];
        let all = Policy::ALL
            .iter()
            .flat_map(|policy| modes.map(|mode| Decider::new(*policy, mode)));
        all.collect()
    }

    fn is_settled(verdict: Verdict<Receive>) -> bool {
        verdict.decider != Decider::NOBODY && verdict.decider.mode() == Mode::Enforce
    }

    /// Nobody wants anything but to pass a frame.
    fn verdicts() -> Vec<Verdict<Receive>> {
        let mut all = std::vec![Verdict::PERMITTED, Verdict::UNPARSED];
        for reason in Reason::ALL.iter().copied() {
            for decider in policies() {
                all.extend(ACTIONS.map(|action| Verdict {
                    action,
                    reason,
                    decider,
                }));
            }
        }
        all
    }

    #[test]
    fn a_ruling_tells_all_that_was_put_in() {
        for verdict in verdicts() {
            let ruling = Ruling::of(verdict);
            assert_eq!(ruling.watched_by(), Decider::NOBODY);
            for watched_by in policies() {
                let ruling = ruling.and_watched(watched_by);
                assert_eq!(ruling.verdict(), verdict);
                assert_eq!(ruling.act(), verdict.act());
                let counter = counter(verdict.decider, verdict.reason);
                assert_eq!(usize::from(ruling.counter()), counter);
                assert_eq!(ruling.is_settled(), is_settled(verdict));
                assert_eq!(ruling.watched_by(), watched_by);
                assert_eq!(Ruling::from_number(ruling.to_number()), ruling);
            }
        }
        assert_eq!(Ruling::of(Verdict::PERMITTED), Ruling::PERMITTED);
    }

    #[test]
    fn what_is_pending_survives() {
        let rules = [
            None,
            Some(Rule::hide(
                32,
                Some([10, 0, 0, 9].into()),
                Mode::Audit,
                true,
            )),
            Some(Rule::answer(24, Some(MAC), Mode::Enforce, true, false)),
        ];
        for kind in [Kind::Request, Kind::Probe, Kind::Announcement, Kind::Reply] {
            for found in rules {
                for (is_barred, is_lie) in
                    [(false, false), (true, false), (false, true), (true, true)]
                {
                    let pending = Pending {
                        arp: Arp {
                            kind,
                            sha: Mac([6, 5, 4, 3, 2, 1]),
                            spa: [192, 168, 18, 129].into(),
                            tpa: [192, 168, 18, 10].into(),
                        },
                        destination: MAC,
                        found,
                        is_barred,
                        is_lie,
                    };
                    assert_eq!(Pending::unpack(pending.pack()), pending);
                }
            }
        }
    }

    #[test]
    fn what_counts_more_holds() {
        for first in verdicts() {
            for other in [Verdict::PERMITTED, Verdict::UNPARSED].into_iter().chain(
                policies().into_iter().map(|decider| Verdict {
                    action: Receive::Drop,
                    reason: Reason::HiddenRequest,
                    decider,
                }),
            ) {
                let holds = Ruling::of(first).or(|| Ruling::of(other));
                let should = if first.decider == Decider::NOBODY
                    || (!is_settled(first) && is_settled(other))
                {
                    other
                } else {
                    first
                };
                assert_eq!(holds.verdict(), should);
            }
        }
    }

    #[test]
    fn a_rule_rules_as_its_policy_and_mode() {
        for mode in [Mode::Enforce, Mode::Audit] {
            for rule in [
                Rule::hide(24, None, mode, true),
                Rule::pin(32, 7, mode),
                Rule::strict(true, mode),
                Rule::answer(32, Some(MAC), mode, true, true),
                Rule::bind(32, MAC, mode),
            ] {
                for reason in Reason::ALL.iter().copied() {
                    for action in ACTIONS {
                        let verdict = Verdict {
                            action,
                            reason,
                            decider: Decider::new(rule.policy(), mode),
                        };
                        assert_eq!(Ruling::by(rule, action, reason), Ruling::of(verdict));
                    }
                }
            }
        }
    }
}
