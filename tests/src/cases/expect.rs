//! What a row of the table expects.

use std::net::Ipv4Addr;

use arpguard_common::{
    abi::counter,
    verdict::{Mode, Policy, Reason},
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
    /// A verdict that is carried out.
    By(Reason),
    /// A verdict that is only reported.
    Audited(Reason),
}

impl Judged {
    /// Where it is counted in a row of the counters.
    pub fn counter(self) -> Option<usize> {
        match self {
            Self::Uncounted => None,
            Self::By(reason @ (Reason::Permitted | Reason::Unparsed)) => {
                Some(counter(None, reason))
            }
            Self::By(reason) => Some(counter(Some((Policy::Hide, Mode::Enforce)), reason)),
            Self::Audited(reason) => Some(counter(Some((Policy::Hide, Mode::Audit)), reason)),
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
    /// It goes on with this sender.
    Rewrite(Ipv4Addr),
}

impl Expect {
    pub(super) const PERMIT: Self = Self::Pass(Reason::Permitted);
    pub(super) const UNPARSED: Self = Self::Pass(Reason::Unparsed);

    /// What is counted and what goes on.
    pub(super) fn of(self, frame: &Frame, device: Device) -> (Judged, Option<Vec<u8>>) {
        let same = || Some(frame.bytes());
        match self {
            Self::Unseen => (Judged::Uncounted, same()),
            Self::Pass(reason) => (Judged::By(reason), same()),
            Self::Audit(reason) => (Judged::Audited(reason), same()),
            Self::Drop(reason) => (Judged::By(reason), None),
            Self::Answer => {
                let reply = arp::reply(device.mac(), frame.tpa, frame.sha, frame.spa);
                (Judged::By(Reason::MartianRequest), Some(reply.bytes()))
            }
            Self::Rewrite(rip) => (
                Judged::By(Reason::LeakingRequest),
                Some(frame.clone().from(rip).bytes()),
            ),
        }
    }
}
