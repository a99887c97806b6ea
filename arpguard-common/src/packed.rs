//! Verdicts as numbers.
//!
//! The verifier reads a global function by itself, whoever calls it, and so once instead of once for
//! every way to each call; but such a function gives no more than a number, and takes five
//! (`btf_prepare_func_args` in `kernel/bpf/btf.c`). [`crate::wire::Raw`] is a packet for it.

use crate::{
    abi::counter,
    judge::Received,
    verdict::{Decider, Receive},
    wire::Mac,
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

/// What is to be done for what a received frame is judged to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// To the frame: nothing, where the policy is audited.
    pub act: Receive,
    /// Where the frame is counted: [`counter`].
    pub counter: u8,
    /// Who watches what the frame claims.
    pub watched_by: Decider,
}

/// Bits of an action above those of who watches.
const WATCHED_BITS: u32 = 4;

const _: () = assert!(Decider::COUNT <= 1 << WATCHED_BITS);

impl Due {
    /// For what a frame is judged to be.
    #[inline(always)]
    pub fn of(received: &Received) -> Self {
        let Received {
            verdict,
            watched_by,
        } = *received;
        Self {
            act: verdict.act(),
            counter: counter(verdict.decider, verdict.reason) as u8,
            watched_by,
        }
    }

    /// As a number: the hardware address to answer with, and all else.
    #[inline(always)]
    pub fn pack(&self) -> u64 {
        let (act, mac) = match self.act {
            Receive::Pass => (0, 0),
            Receive::Drop => (1, 0),
            Receive::Answer(mac) => (2, mac.pack()),
            Receive::Defer(mac) => (3, mac.pack()),
        };
        let what = self.watched_by.number() | (act << WATCHED_BITS);
        mac | u64::from_ne_bytes([0, 0, 0, 0, 0, 0, what, self.counter])
    }

    /// From a number.
    #[inline(always)]
    pub fn unpack(number: u64) -> Self {
        let mac = Mac::unpack(number);
        let [.., what, counter] = number.to_ne_bytes();
        Self {
            act: match what >> WATCHED_BITS {
                0 => Receive::Pass,
                1 => Receive::Drop,
                2 => Receive::Answer(mac),
                _ => Receive::Defer(mac),
            },
            counter,
            watched_by: Decider::from_number(what & ((1 << WATCHED_BITS) - 1))
                .unwrap_or(Decider::NOBODY),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::{Mode, Policy, Reason, Verdict};
    extern crate std;
    use std::vec::Vec;

    const MAC: Mac = Mac([1, 2, 3, 4, 5, 6]);

    #[test]
    fn a_hardware_address_survives() {
        assert_eq!(Mac::unpack(MAC.pack()), MAC);
    }

    fn deciders() -> Vec<Decider> {
        let modes = [Mode::Enforce, Mode::Audit];
        let all = Policy::ALL
            .iter()
            .flat_map(|policy| modes.map(|mode| Decider::new(*policy, mode)));
        all.chain([Decider::NOBODY]).collect()
    }

    #[test]
    fn what_is_due_survives() {
        let actions = [
            Receive::Pass,
            Receive::Drop,
            Receive::Answer(MAC),
            Receive::Defer(MAC),
        ];
        for reason in Reason::ALL.iter().copied() {
            for decider in deciders() {
                for action in actions {
                    let verdict = Verdict {
                        action,
                        reason,
                        decider,
                    };
                    for watched_by in deciders() {
                        let due = Due::of(&Received {
                            verdict,
                            watched_by,
                        });
                        assert_eq!(due.act, verdict.act());
                        assert_eq!(usize::from(due.counter), counter(decider, reason));
                        assert_eq!(due.watched_by, watched_by);
                        assert_eq!(Due::unpack(due.pack()), due);
                    }
                }
            }
        }
    }
}
