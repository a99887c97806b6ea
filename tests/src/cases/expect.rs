//! What a row of the table expects.

use std::net::Ipv4Addr;

use arpguard_common::{
    abi::counter,
    verdict::{Mode, Policy, Reason},
    wire::Mac,
};

use crate::{
    arp::{self, Frame},
    fixture::Device,
};

/// What is counted for a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judged {
    /// Nothing: it is not ARP, or too deep to be seen.
    Uncounted,
    /// A verdict that no policy has to do with.
    Undecided(Reason),
    /// A policy's verdict that is carried out.
    By(Policy, Reason),
    /// A policy's verdict that is only reported.
    Audited(Policy, Reason),
}

impl Judged {
    /// What a verdict is, by its reason and who decided.
    pub fn of(reason: Reason, decided_by: Option<(Policy, Mode)>) -> Self {
        match decided_by {
            None => Self::Undecided(reason),
            Some((policy, Mode::Enforce)) => Self::By(policy, reason),
            Some((policy, Mode::Audit)) => Self::Audited(policy, reason),
        }
    }

    /// Where it is counted in a row of the counters.
    pub fn counter(self) -> Option<usize> {
        Some(match self {
            Self::Uncounted => return None,
            Self::Undecided(reason) => counter(None, reason),
            Self::By(policy, reason) => counter(Some((policy, Mode::Enforce)), reason),
            Self::Audited(policy, reason) => counter(Some((policy, Mode::Audit)), reason),
        })
    }

    /// Whether the frame goes back as an answer.
    pub fn is_answered(self) -> bool {
        matches!(
            self.done_for(),
            Some(Reason::MartianRequest | Reason::AnsweredRequest)
        )
    }

    /// Why, where it is carried out.
    pub fn done_for(self) -> Option<Reason> {
        match self {
            Self::Undecided(reason) | Self::By(_, reason) => Some(reason),
            Self::Uncounted | Self::Audited(..) => None,
        }
    }
}

/// What a row says of a frame.
#[derive(Clone, Copy, Debug)]
pub(super) enum Expect {
    /// It goes on, and nothing is counted.
    Unseen,
    /// It goes on.
    Pass(Reason),
    /// It goes on, though a policy would have it otherwise.
    Audit(Reason),
    /// It goes no further.
    Drop(Reason),
    /// It is answered.
    Answer,
    /// It is answered with this hardware address.
    AnswerWith(Mac),
    /// It goes on with this sender.
    Rewrite(Ipv4Addr),
}

impl Expect {
    pub(super) const PERMIT: Self = Self::Pass(Reason::Permitted);
    pub(super) const UNPARSED: Self = Self::Pass(Reason::Unparsed);

    /// What is counted and what goes on, where `policy` decides.
    pub(super) fn of(
        self,
        frame: &Frame,
        device: Device,
        policy: Policy,
    ) -> (Judged, Option<Vec<u8>>) {
        let same = || Some(frame.bytes());
        match self {
            Self::Unseen => (Judged::Uncounted, same()),
            Self::Pass(reason) => (Judged::Undecided(reason), same()),
            Self::Audit(reason) => (Judged::Audited(policy, reason), same()),
            Self::Drop(reason) => (Judged::By(policy, reason), None),
            Self::Answer => Self::AnswerWith(device.mac()).of(frame, device, policy),
            Self::AnswerWith(mac) => {
                let reason = match policy {
                    Policy::Answer => Reason::AnsweredRequest,
                    Policy::Hide | Policy::Pin | Policy::Strict | Policy::Bind => {
                        Reason::MartianRequest
                    }
                };
                let reply = arp::reply(mac, frame.tpa, frame.sha, frame.spa);
                (Judged::By(policy, reason), Some(reply.bytes()))
            }
            Self::Rewrite(rip) => (
                Judged::By(policy, Reason::LeakingRequest),
                Some(frame.clone().from(rip).bytes()),
            ),
        }
    }
}
