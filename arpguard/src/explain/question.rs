//! What is asked of the programs, and what they say: here, or by the agent that holds them.

use std::net::Ipv4Addr;

use arpguard_common::{
    abi::{Book, EVERY_DEVICE, Rule},
    policy::View,
    verdict::{Decider, Direction, Mode, Policy, Reason},
    wire::{Arp, Kind},
};
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use super::Heard;
use crate::{
    check::Check,
    datapath::{Datapath, Egress, Ingress, Maps, Outcome, Place, Ran, Reader, Store},
    device::Device,
    error::{Error, Result},
    host::Host,
    netlink::Netlink,
    terms::Terms,
};

/// What becomes of these frames on a device.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Question {
    /// Its interface index.
    pub device: u32,
    /// Whether this host sends them.
    pub is_sent: bool,
    /// The frames, each with ARP's EtherType.
    pub frames: Vec<Vec<u8>>,
}

/// What does.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Judgement {
    /// By what they were judged; `None`: by nothing.
    pub guarded: Option<Guarded>,
    /// What became of each.
    pub frames: Vec<Judged>,
}

/// How a device is guarded.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Guarded {
    /// The hook.
    pub hook: String,
    /// The program that was run.
    pub program: String,
    /// Whether it has the very instructions of the one that is attached.
    pub is_attached: bool,
    /// What is noted of the hook, as in `status`.
    #[serde(default)]
    pub note: String,
}

/// What became of one frame.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Judged {
    /// The numbers of who decided and of why; `None`: nobody, and the frame went on.
    verdict: Option<(u8, u8)>,
    /// What was done.
    pub outcome: Outcome,
    /// The frame afterwards.
    pub frame: Vec<u8>,
    /// The rule that decided.
    pub rule: Option<Ruled>,
    /// The rule that wants what a sent frame tells kept out of the device's ARP, carried out or not.
    pub kept_out: Option<Ruled>,
}

/// A rule, and where it is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Ruled {
    /// The interface index of its device, or [`EVERY_DEVICE`].
    pub device: u32,
    /// Its prefix.
    pub prefix: Ipv4Net,
    /// What a pin is told beside its addresses.
    pub terms: Option<Terms>,
    /// The check that its answers are under.
    pub check: Option<Check>,
    bytes: [u8; 8],
}

impl Ruled {
    /// The rule itself.
    pub fn rule(&self) -> Option<Rule> {
        Rule::from_bytes(self.bytes)
    }
}

impl Judged {
    fn unjudged(frame: &[u8]) -> Self {
        Self {
            verdict: None,
            outcome: Outcome::Passed,
            frame: frame.to_vec(),
            rule: None,
            kept_out: None,
        }
    }

    /// Whether another sender was put in.
    pub fn is_rewritten(&self) -> bool {
        let carried_out = !matches!(self.decided_by(), Some((_, Mode::Audit)));
        self.reason() == Some(Reason::LeakingRequest) && carried_out
    }

    /// Why; `None` where the program saw no ARP, or there is none.
    pub fn reason(&self) -> Option<Reason> {
        Reason::from_number(self.verdict?.1)
    }

    /// Which policy decided, and how it is applied.
    pub fn decided_by(&self) -> Option<(Policy, Mode)> {
        Decider::from_number(self.verdict?.0)?.policy()
    }
}

impl Question {
    /// The answer where nothing is loaded.
    pub fn unguarded(&self) -> Judgement {
        Judgement {
            guarded: None,
            frames: self
                .frames
                .iter()
                .map(|one| Judged::unjudged(one))
                .collect(),
        }
    }

    /// Has the programs judge.
    ///
    /// # Errors
    /// Where the state cannot be read, is an older version's, or the kernel does not run them.
    pub async fn judge(&self, store: &Store, netlink: &Netlink) -> Result<Judgement> {
        if store.has_former() {
            let why = "an older version of arpguard guards it";
            return Err(Error::new("explain", "this network namespace", why)
                .advise("`arpguard status` puts this version in its place"));
        }
        let reader = Reader::open_as_it_is(store).await?;
        let Some(datapath) = reader.datapath() else {
            return Ok(self.unguarded());
        };
        let host = Host::observe(netlink).await?;
        let device = host.by_index(self.device).ok_or_else(|| {
            Error::new("explain", host.name(self.device), "there is no such device")
        })?;
        self.judge_on(datapath, device, netlink).await
    }

    async fn judge_on(
        &self,
        datapath: &Datapath,
        device: &Device,
        netlink: &Netlink,
    ) -> Result<Judgement> {
        let attached = datapath.attached(netlink, device).await?;
        let direction = match self.is_sent {
            true => Direction::Sent,
            false => Direction::Received,
        };
        let hook = match direction {
            Direction::Received => attached.ingress.map(Ingress::name),
            Direction::Sent => attached.egress.map(Egress::name),
        };
        let mut trial = datapath.trial(device, &attached, direction)?;
        let mut frames = Vec::new();
        for frame in &self.frames {
            let mut judged = match &mut trial {
                Some(trial) => self.judged(trial.run(frame)?, &datapath.maps, frame),
                None => Judged::unjudged(frame),
            };
            judged.kept_out = self.kept_out(&datapath.maps, device, frame);
            frames.push(judged);
        }
        let guarded = trial.zip(hook).map(|(trial, hook)| Guarded {
            hook: hook.to_owned(),
            program: trial.program().to_owned(),
            is_attached: trial.is_attached(),
            note: attached.note.clone(),
        });
        Ok(Judgement { guarded, frames })
    }

    fn judged(&self, ran: Ran, maps: &Maps, frame: &[u8]) -> Judged {
        let about = ran.verdict.and_then(|(_, reason)| {
            let heard = Heard::read(frame)?;
            Some((about(reason, &heard.arp()?)?, self.seen_from(&heard)))
        });
        let rule = about.and_then(|(address, device)| {
            let book = rule_book(ran.verdict?.0)?;
            let rule = View::new(maps, device).longest_match(book, address)?;
            ruled(maps, device, address, rule)
        });
        Judged {
            verdict: ran
                .verdict
                .map(|(decider, reason)| (decider.number(), reason as u8)),
            outcome: ran.outcome,
            frame: ran.frame,
            rule,
            kept_out: None,
        }
    }

    /// The rule that wants the address kept out of the device's ARP which a sent frame tells.
    fn kept_out(&self, maps: &Maps, device: &Device, frame: &[u8]) -> Option<Ruled> {
        if !self.is_sent {
            return None;
        }
        let heard = Heard::read(frame)?;
        let arp = heard.arp()?;
        let address = match arp.kind {
            Kind::Probe => arp.tpa,
            Kind::Request | Kind::Announcement | Kind::Reply => arp.spa,
        };
        let seen_from = self.seen_from(&heard);
        let rule = View::new(maps, seen_from).rule(address)?;
        let is_fine = match rule.policy() {
            Policy::Hide | Policy::Pin => false,
            // Of a device that is not guarded the maps do not know what it owns.
            Policy::Strict => arp.kind == Kind::Probe || device.has(address),
            Policy::Answer | Policy::Bind => true,
        };
        match is_fine {
            true => None,
            false => ruled(maps, seen_from, address, rule),
        }
    }

    /// A VLAN's frame belongs to the VLAN's device: on the parent only rules for every device hold.
    const fn seen_from(&self, heard: &Heard) -> u32 {
        if heard.vlan {
            EVERY_DEVICE
        } else {
            self.device
        }
    }
}

/// The address whose rule decides for a reason; `None` where none does.
const fn about(reason: Reason, arp: &Arp) -> Option<Ipv4Addr> {
    match reason {
        Reason::Permitted | Reason::Unparsed => None,
        // A strict device's, which is for every address, whatever else there is for this one.
        Reason::WrongSubnet => Some(Ipv4Addr::UNSPECIFIED),
        Reason::HiddenRequest
        | Reason::HiddenProbe
        | Reason::ForeignRequest
        | Reason::ForeignProbe
        | Reason::AnsweredRequest
        | Reason::DeferredRequest
        | Reason::ContestedRequest
        | Reason::LeakingProbe => Some(arp.tpa),
        Reason::ShieldedClaim
        | Reason::FalseClaim
        | Reason::FlipFlop
        | Reason::MartianRequest
        | Reason::LeakingRequest
        | Reason::NoRip
        | Reason::LeakingAnnouncement
        | Reason::LeakingReply => Some(arp.spa),
    }
}

/// The book that has the rule of who decides.
fn rule_book(decider: Decider) -> Option<Book> {
    decider.policy().map(|(policy, _)| policy.book())
}

/// Where a rule is that was found for an address on a device: on it, or on every one.
fn ruled(maps: &Maps, device: u32, address: Ipv4Addr, rule: Rule) -> Option<Ruled> {
    let prefix = Ipv4Net::new(address, rule.prefix_len()).ok()?.trunc();
    let place = Place::new(rule.policy(), device, prefix);
    let own = device != EVERY_DEVICE && maps.rule(place) == Some(rule);
    let device = if own { device } else { EVERY_DEVICE };
    // What cannot be read is left out: the rule itself holds all the same.
    let has_terms = rule.terms() != 0;
    let terms = has_terms.then(|| maps.terms().unwrap_or_default());
    Some(Ruled {
        device,
        prefix,
        terms: terms.and_then(|mut terms| terms.remove(&rule.terms())),
        check: maps.check(Place { device, ..place }),
        bytes: rule.to_bytes(),
    })
}
