//! What is done with a frame, and why.

use core::net::Ipv4Addr;

use crate::wire::Mac;

macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])+ $variant:ident = $word:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum $name { $($(#[$doc])+ $variant,)+ }

        impl $name {
            /// All of them, in the order of their numbers.
            pub const ALL: &[Self] = &[$(Self::$variant),+];
            /// How many there are.
            pub const COUNT: usize = Self::ALL.len();

            /// The one with this number.
            #[inline(always)]
            pub const fn from_number(number: u8) -> Option<Self> {
                match number {
                    $(number if number == Self::$variant as u8 => Some(Self::$variant),)+
                    _ => None,
                }
            }

            /// The one word for it in counters, events, logs and metrics.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }
    };
}

words! {
    /// Why a verdict is what it is. Each reason belongs to one verdict.
    Reason {
        /// ARP that no policy is about: passed.
        Permitted = "permitted",
        /// ARP that cannot be parsed: passed.
        Unparsed = "unparsed",
        /// Received: a request for a hidden address: dropped.
        HiddenRequest = "hidden_request",
        /// Received: a probe for a hidden address, which the kernel would defend: dropped.
        HiddenProbe = "hidden_probe",
        /// Received by a strict device: a request for an address that is not its own: dropped.
        ForeignRequest = "foreign_request",
        /// Received by a strict device: a probe for an address that is not its own, which the kernel
        /// would defend if another device had it: dropped.
        ForeignProbe = "foreign_probe",
        /// Received by a strict device: a request from outside of its subnets: dropped.
        WrongSubnet = "wrong_subnet",
        /// Received: somebody's claim of a shielded address: dropped.
        ShieldedClaim = "shielded_claim",
        /// Received: a request for an address of the device from a hidden one, which the kernel
        /// would discard as a martian: answered.
        MartianRequest = "martian_request",
        /// Received: a request or probe for an address that this host answers for: answered.
        AnsweredRequest = "answered_request",
        /// Received: a request or probe whose answer is left to user space: dropped.
        DeferredRequest = "deferred_request",
        /// Received: a request or probe for an address that this host would answer for, if nobody
        /// else were heard to have it: dropped, as the kernel may have it, too.
        ContestedRequest = "contested_request",
        /// Received: a claim of an address that is bound to another hardware address: dropped.
        FalseClaim = "false_claim",
        /// Received: a claim of an address that a policy is about, by another station than the last:
        /// noted, whatever becomes of it.
        FlipFlop = "flip_flop",
        /// Sent: a request from a hidden address, or one that a strict device does not own: sent from
        /// the RIP instead.
        LeakingRequest = "leaking_request",
        /// Sent: such a request, with no RIP to take its sender's place: dropped.
        NoRip = "no_rip",
        /// Sent: an announcement of a hidden address, or one that a strict device does not own:
        /// dropped.
        LeakingAnnouncement = "leaking_announcement",
        /// Sent: a reply from a hidden address, or one that a strict device does not own: dropped.
        LeakingReply = "leaking_reply",
        /// Sent: a probe for a hidden address: dropped.
        LeakingProbe = "leaking_probe",
    }
}

impl Reason {
    /// What happens to a frame for this reason, when its policy is not merely audited.
    pub const fn outcome(self) -> &'static str {
        match self {
            Self::Permitted | Self::Unparsed => "passed",
            Self::MartianRequest | Self::AnsweredRequest => "answered",
            Self::DeferredRequest => "deferred",
            Self::FlipFlop => "noted",
            Self::LeakingRequest => "rewritten",
            Self::HiddenRequest
            | Self::HiddenProbe
            | Self::ForeignRequest
            | Self::ForeignProbe
            | Self::WrongSubnet
            | Self::ShieldedClaim
            | Self::ContestedRequest
            | Self::FalseClaim
            | Self::NoRip
            | Self::LeakingAnnouncement
            | Self::LeakingReply
            | Self::LeakingProbe => "dropped",
        }
    }
}

words! {
    /// Which way a frame goes.
    Direction {
        /// To this host.
        Received = "received",
        /// From this host.
        Sent = "sent",
    }
}

words! {
    /// A kind of policy.
    Policy {
        /// The LAN never learns from this host that it has the address.
        Hide = "hide",
        /// Of this host's devices only one answers and speaks for the address.
        Pin = "pin",
        /// The device answers and speaks only for what it owns and what is pinned to it.
        Strict = "strict",
        /// arpguard itself replies for the address on one device, whoever owns it.
        Answer = "answer",
        /// Only one hardware address may claim the address.
        Bind = "bind",
    }
}

/// What is done with a received frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receive {
    /// The kernel gets it.
    Pass,
    /// Nobody gets it.
    Drop,
    /// It is answered at once, in the name of its target, with this hardware address.
    Answer(Mac),
    /// User space may answer it so; nobody else gets it.
    Defer(Mac),
}

/// What is done with a frame that is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Send {
    /// It goes out.
    Pass,
    /// It does not.
    Drop,
    /// It goes out with this address as its sender (SPA).
    Rewrite(Ipv4Addr),
}

/// A decision about one frame. Whoever holds one must count it and act on it.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict<A> {
    /// What the policy wants done, audited or not. [`Verdict::act`] is what to do.
    pub action: A,
    /// Why.
    pub reason: Reason,
    /// The policy that decided, if one did.
    pub decider: Decider,
}

/// A policy that decided, and how it is applied; or nobody.
///
/// One byte, of which nothing is ever undefined: of an `Option` of two enums the second is where the
/// first is none, and the verifier takes no program that as much as moves such a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(transparent)]
pub struct Decider(u8);

impl Decider {
    /// No policy.
    pub const NOBODY: Self = Self(0);
    /// How many there are: nobody, and each policy in each mode.
    pub const COUNT: usize = 1 + Policy::COUNT * Mode::COUNT;

    /// A policy, in a mode.
    #[inline(always)]
    pub const fn new(policy: Policy, mode: Mode) -> Self {
        Self(1 + policy as u8 + mode as u8 * Policy::COUNT as u8)
    }

    /// The one with this number; `None` where nobody has it.
    #[inline(always)]
    pub const fn from_number(number: u8) -> Option<Self> {
        if (number as usize) < Self::COUNT {
            Some(Self(number))
        } else {
            None
        }
    }

    /// Its number, below [`Self::COUNT`].
    #[inline(always)]
    pub const fn number(self) -> u8 {
        self.0
    }

    /// The policy and its mode; `None` for nobody.
    pub const fn policy(self) -> Option<(Policy, Mode)> {
        let Some(number) = self.0.checked_sub(1) else {
            return None;
        };
        match Policy::from_number(number % Policy::COUNT as u8) {
            Some(policy) => Some((policy, self.mode())),
            None => None,
        }
    }

    /// How the verdict is applied. Nobody's is carried out.
    #[inline(always)]
    pub const fn mode(self) -> Mode {
        if self.0 > Policy::COUNT as u8 {
            Mode::Audit
        } else {
            Mode::Enforce
        }
    }
}

impl From<Option<(Policy, Mode)>> for Decider {
    fn from(decided_by: Option<(Policy, Mode)>) -> Self {
        decided_by.map_or(Self::NOBODY, |(policy, mode)| Self::new(policy, mode))
    }
}

/// How a policy is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Mode {
    /// Verdicts are carried out.
    Enforce,
    /// Verdicts are counted and reported, and the frame goes on.
    Audit,
}

impl Mode {
    /// How many there are.
    pub const COUNT: usize = 2;
}

/// An action that can be withheld.
pub trait Action: Copy {
    /// Leaving the frame alone.
    const PASS: Self;
}

impl Action for Receive {
    const PASS: Self = Self::Pass;
}

impl Action for Send {
    const PASS: Self = Self::Pass;
}

impl<A: Action> Verdict<A> {
    /// ARP that cannot be parsed.
    pub const UNPARSED: Self = Self {
        action: A::PASS,
        reason: Reason::Unparsed,
        decider: Decider::NOBODY,
    };
    /// ARP that no policy is about.
    pub const PERMITTED: Self = Self {
        action: A::PASS,
        reason: Reason::Permitted,
        decider: Decider::NOBODY,
    };

    /// What to do with the frame: under audit, nothing.
    #[inline(always)]
    pub fn act(self) -> A {
        match self.decider.mode() {
            Mode::Audit => A::PASS,
            Mode::Enforce => self.action,
        }
    }
}
