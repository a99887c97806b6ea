//! Words for verdicts, rules and what the kernel does.

use std::net::Ipv4Addr;

use arpguard_common::verdict::{Mode, Policy, Reason};

use crate::{
    datapath::{Ingress, Outcome, Place},
    explain::{Account, Heard, Judged, Reaction, Ruled, Then, Why},
    host::Host,
    render::rules::Rule,
};

/// Why a verdict is what it is, in a few words.
pub(super) const fn because(reason: Reason) -> &'static str {
    match reason {
        Reason::Permitted => "no rule says otherwise",
        Reason::Unparsed => "it is not ARP for IPv4 over Ethernet",
        Reason::HiddenRequest => "it asks for an address that is hidden here",
        Reason::HiddenProbe => {
            "it asks for an address that is hidden here, which the kernel would defend"
        }
        Reason::ForeignRequest => "it asks a strict device for what that does not own",
        Reason::ForeignProbe => {
            "it asks a strict device for what that does not own, which the kernel would defend"
        }
        Reason::WrongSubnet => "it comes from outside of the subnets of a strict device",
        Reason::ShieldedClaim => "it claims an address that is shielded here",
        Reason::MartianRequest => {
            "a director asks in the name of a hidden address, which the kernel would discard"
        }
        Reason::AnsweredRequest => "it asks for an address that is answered here",
        Reason::DeferredRequest => {
            "it asks for an address that the agent answers for, while its check holds"
        }
        Reason::ContestedRequest => {
            "it asks for an address that is answered here, but another machine was heard to have it"
        }
        Reason::FalseClaim => "it claims an address that is bound to another hardware address",
        Reason::FlipFlop => "another machine than the last claims an address",
        Reason::LeakingRequest => "its sender is to be kept out of the device's ARP",
        Reason::NoRip => {
            "its sender is to be kept out of the device's ARP, and there is no RIP to take its place"
        }
        Reason::LeakingAnnouncement => "it announces what is to be kept out of the device's ARP",
        Reason::LeakingReply => "it answers for what is to be kept out of the device's ARP",
        Reason::LeakingProbe => "it probes for an address that is hidden here",
    }
}

/// What was done to a frame; for audited rules what would have been, too.
pub(super) fn done(account: &Account) -> String {
    let judged = &account.judged;
    let Some(reason) = judged.reason() else {
        return match account.guarded {
            Some(_) => "passed".to_owned(),
            None => "not judged".to_owned(),
        };
    };
    match (judged.decided_by(), rewritten(judged)) {
        (Some((_, Mode::Audit)), _) => format!("passed (audit: {})", reason.outcome()),
        (_, Some(rip)) => format!("{} to {rip}", reason.outcome()),
        (_, None) => reason.outcome().to_owned(),
    }
}

/// The sender that was put in.
pub(super) fn rewritten(judged: &Judged) -> Option<Ipv4Addr> {
    let arp = Heard::read(&judged.frame)?.arp()?;
    judged.is_rewritten().then_some(arp.spa)
}

/// A rule as `list` tells it.
pub(super) fn shown(ruled: &Ruled, host: &Host) -> Option<Rule> {
    let rule = ruled.rule()?;
    let place = Place::new(rule.policy(), ruled.device, ruled.prefix);
    let terms = ruled
        .terms
        .iter()
        .map(|terms| (rule.terms(), terms.clone()));
    let shown = Rule::of(place, rule, &terms.collect(), host);
    Some(shown.under(ruled.check.as_ref()))
}

/// A rule, with where it holds and how.
pub(super) fn rule_text(ruled: &Ruled, host: &Host) -> Option<String> {
    let (policy, rule) = (ruled.rule()?.policy(), shown(ruled, host)?);
    let address = rule.address_text().unwrap_or_default();
    let device = rule.device.as_deref().unwrap_or("every device");
    let mut text = match policy {
        Policy::Hide => format!("hide {address} on {device}, sender {}", rule.rip),
        Policy::Pin => format!("pin {address} to {device}"),
        Policy::Strict => format!("strict on {device}"),
        Policy::Answer => match &rule.mac {
            Some(mac) => format!("answer {address} on {device} with {mac}"),
            None => format!("answer {address} on {device}"),
        },
        Policy::Bind => {
            let mac = rule.mac.as_deref().unwrap_or_default();
            format!("bind {address} to {mac} on {device}")
        }
    };
    for option in rule.options() {
        text += ", ";
        text += &option;
    }
    Some(text)
}

/// What comes after the programs.
pub(super) fn then(account: &Account) -> String {
    let device = &account.device;
    match &account.then {
        Then::Nothing if account.is_sent => "it never leaves, and its sender is told so".to_owned(),
        Then::Nothing => "the kernel never gets it, and nothing is answered".to_owned(),
        Then::Leaves if account.is_sent => match Heard::read(&account.judged.frame) {
            Some(told) if account.judged.is_rewritten() => {
                format!("it leaves by {device} as {}", super::frame(&told))
            }
            Some(_) | None => format!("it leaves by {device}"),
        },
        Then::Leaves => {
            let answer = Heard::read(&account.judged.frame).map(|told| super::frame(&told));
            let answer = answer.map_or_else(String::new, |answer| format!(": {answer}"));
            let but = transmitted(account).map_or_else(String::new, |note| format!("; {note}"));
            format!("the answer of the program leaves{answer}{but}")
        }
        Then::Kernel { reaction, reply } => {
            let said = kernel(reaction, device);
            match reply {
                Some(reply) => format!("{said}, and the reply {}", replied(reply)),
                None => said,
            }
        }
    }
}

/// What the driver lacks that transmits what XDP answers.
pub(super) fn transmitted(account: &Account) -> Option<&str> {
    let guarded = account.guarded.as_ref()?;
    let by_driver = guarded.hook == Ingress::Native.name() && !account.is_sent;
    let note = guarded.note.as_str();
    (by_driver && matches!(account.then, Then::Leaves) && !note.is_empty()).then_some(note)
}

/// What becomes of the kernel's reply on its way out.
fn replied(reply: &Judged) -> String {
    match (reply.outcome, reply.reason()) {
        (Outcome::Passed, _) => match Heard::read(&reply.frame) {
            Some(told) => format!("leaves: {}", super::frame(&told)),
            None => "leaves".to_owned(),
        },
        (Outcome::Dropped | Outcome::Answered, Some(reason)) => {
            format!("is dropped on its way out, {}", reason.name())
        }
        (Outcome::Dropped | Outcome::Answered, None) => "is dropped on its way out".to_owned(),
    }
}

/// What the kernel does, on this device.
pub(super) fn kernel(reaction: &Reaction, device: &str) -> String {
    match reaction {
        Reaction::Answers => format!("the kernel answers on {device}"),
        Reaction::Proxies => {
            format!("the kernel answers on {device}, for an address behind another device")
        }
        Reaction::Silent(why) => format!("the kernel answers nothing: {}", silence(why, device)),
    }
}

fn silence(why: &Why, device: &str) -> String {
    match why {
        Why::NotUp => format!("{device} is not up"),
        Why::Vlan => "the frame is a VLAN's, whose device is judged on its own".to_owned(),
        Why::OtherStation(mac) => format!("the frame is for {mac}, another station"),
        Why::NotArp => "it takes no such packet".to_owned(),
        Why::NoQuestion => "it is asked nothing".to_owned(),
        Why::NoStation(address) => format!("{address} is no address of a station"),
        Why::NotOwn(address) => format!("{address} is not this host's"),
        Why::Martian(address) => {
            format!("{address} is this host's own, and a packet from it a martian")
        }
        Why::Refused { sender, rp_filter } => {
            format!("it takes nothing from {sender} on {device} (rp_filter is {rp_filter} there)")
        }
        Why::Ignored {
            arp_ignore,
            address,
            owner,
        } => {
            let owner = match owner {
                Some(owner) => format!(", and {address} is {owner}'s"),
                None => String::new(),
            };
            format!("arp_ignore is {arp_ignore} on {device}{owner}")
        }
        Why::Filtered(sender) => {
            format!("arp_filter is set on {device}, and packets to {sender} go out elsewhere")
        }
    }
}

/// The name of what the kernel does, for programs.
pub(super) const fn name(reaction: &Reaction) -> &'static str {
    match reaction {
        Reaction::Answers => "own",
        Reaction::Proxies => "proxy",
        Reaction::Silent(why) => match why {
            Why::NotUp => "not_up",
            Why::Vlan => "vlan",
            Why::OtherStation(_) => "other_station",
            Why::NotArp => "not_arp",
            Why::NoQuestion => "no_question",
            Why::NoStation(_) => "no_station",
            Why::NotOwn(_) => "not_own",
            Why::Martian(_) => "martian",
            Why::Refused { .. } => "refused",
            Why::Ignored { .. } => "arp_ignore",
            Why::Filtered(_) => "arp_filter",
        },
    }
}

/// That the LAN learns of what a rule is to keep from it, and how that comes.
pub(super) fn leak(account: &Account, host: &Host) -> Option<String> {
    let ruled = account.leak()?;
    let rule = rule_text(ruled, host)?;
    let device = &account.device;
    let mode = ruled.rule()?.mode();
    let how = match (mode, &account.guarded) {
        (Mode::Audit, _) => "only counts".to_owned(),
        (Mode::Enforce, None) => format!("does not hold, as nothing is attached to {device}"),
        (Mode::Enforce, Some(_)) => "does not catch it".to_owned(),
    };
    Some(format!(
        "the LAN learns it by {device}: the rule ({rule}) {how}"
    ))
}
