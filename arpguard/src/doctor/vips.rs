//! VIPs that the LAN can learn this host by.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::Ipv4Net;

use super::{
    Cure, Facts, Finding, Rule, Severity, State, Vip,
    cure::word,
    reach::{is_answered, is_told},
};
use crate::{device::Device, policy::prefix_text};

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    // An older version still hides what it hid.
    if facts.state == State::Older {
        return Vec::new();
    }
    let mut found: Vec<_> = promoted(facts).into_iter().collect();
    let mut same = BTreeMap::<_, Vec<_>>::new();
    for vip in facts.vips() {
        if let Some(seen) = seen(facts, &vip) {
            same.entry(seen).or_default().push(vip.prefix);
        }
    }
    let known = facts.state == State::Read;
    let finding = |(seen, vips): (Seen, Vec<Ipv4Net>)| {
        let vips = outermost(&vips);
        Finding {
            check: seen.check,
            severity: match seen.severity {
                Severity::Serious if !known => Severity::Warning,
                severity => severity,
            },
            subject: subject(&vips),
            what: match known {
                true => seen.what,
                false => format!("{}, unless arpguard hides it", seen.what),
            },
            why: seen.why.to_owned(),
            cure: Some(match seen.cure {
                How::Again(cure) => cure,
                How::Hide(options) => {
                    Cure::arpguard(format!("hide {} {options}", list(&vips, " ")))
                }
            }),
        }
    };
    found.extend(same.into_iter().map(finding));
    found
}

/// Addresses that this host is the director of.
fn promoted(facts: &Facts) -> Option<Finding> {
    let rules = facts.policy.iter().filter(|rule| rule.promoted);
    let vips: BTreeSet<_> = rules.map(Rule::prefix).collect();
    let vips: Vec<_> = vips.into_iter().collect();
    let all = (!vips.is_empty()).then(|| list(&vips, " "))?;
    Some(Finding {
        check: "promoted",
        severity: Severity::Note,
        subject: subject(&vips),
        what: "promoted: this host is the director".to_owned(),
        why: "it answers until it is told to demote, whatever becomes of who has told it to promote; \
              no other host may answer meanwhile"
            .to_owned(),
        cure: Some(Cure::arpguard(format!("demote {all}"))),
    })
}

/// How addresses are seen. Those of one kind are told together.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Seen {
    check: &'static str,
    severity: Severity,
    what: String,
    why: &'static str,
    cure: How,
}

/// What hides them.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum How {
    /// A rule that is there, said once more.
    Again(Cure),
    /// `hide`, with these options.
    Hide(String),
}

/// As many addresses as are told by themselves.
const FEW: usize = 4;

fn subject(vips: &[Ipv4Net]) -> String {
    match vips {
        [first, .., last] if vips.len() > FEW => {
            let single = vips.iter().all(|vip| vip.prefix_len() == 32);
            let kind = if single { "addresses" } else { "prefixes" };
            let count = vips.len();
            format!(
                "{count} {kind}, {} to {}",
                prefix_text(*first),
                prefix_text(*last)
            )
        }
        few => list(few, ", "),
    }
}

fn list(vips: &[Ipv4Net], between: &str) -> String {
    let vips: Vec<_> = vips.iter().map(|vip| prefix_text(*vip)).collect();
    vips.join(between)
}

/// Those that no other one has in it, in their order.
fn outermost(vips: &[Ipv4Net]) -> Vec<Ipv4Net> {
    let sorted: BTreeSet<_> = vips.iter().copied().collect();
    let mut outermost = Vec::<Ipv4Net>::new();
    for vip in sorted {
        if !outermost.last().is_some_and(|last| last.contains(&vip)) {
            outermost.push(vip);
        }
    }
    outermost
}

fn seen(facts: &Facts, vip: &Vip<'_>) -> Option<Seen> {
    let open = || {
        // A device that has the address itself is to answer: this host is the director there.
        let has = |device: &Device| vip.prefix.prefix_len() == 32 && device.has(vip.prefix.addr());
        let open = move |device: &&Device| {
            let rule = facts.policy.rule(&device.name, vip.prefix);
            !has(device)
                && !rule.is_some_and(|rule| rule.lets_answer(&device.name))
                && !facts.is_hidden(&device.name, vip.prefix)
        };
        facts.speaking().filter(open)
    };
    let answered = |one: &&Device| is_answered(facts, one, vip.is_confirmed);
    let answering: Vec<_> = open().filter(answered).collect();
    let told = |one: &&Device| is_told(facts, one, vip.prefix);
    let telling: Vec<_> = open().filter(told).collect();
    let (check, severity, devices, what, why) = if !answering.is_empty() {
        let what = format!("answered for on {}", names(&answering));
        let why = "Linux answers for each address of the host, and takes the traffic of the VIP away \
                   from the director";
        ("vip_answered", Severity::Serious, answering, what, why)
    } else if !telling.is_empty() {
        let what = format!("the sender of requests on {}", names(&telling));
        let why = "arp_ignore keeps back answers alone: a neighbour that is asked for learns the \
                   address from the question; arp_announce=2 or arpguard rewrites it";
        ("vip_announced", Severity::Serious, telling, what, why)
    } else {
        let kept: Vec<_> = open().collect();
        if kept.is_empty() {
            return None;
        }
        let what = format!(
            "kept back on {} by arp_ignore and arp_announce alone",
            names(&kept)
        );
        let why = "they hold for what the kernel itself asks and answers: not for what programs \
                   announce (arping, keepalived), nor for proxied addresses, nor, unless they are set \
                   for all, on a device that comes later";
        ("vip_by_sysctl", Severity::Note, kept, what, why)
    };
    let audited = devices.iter().any(|device| {
        let rule = facts.policy.rule(&device.name, vip.prefix);
        facts.is_guarded(&device.name) && rule.is_some_and(|rule| rule.audit)
    });
    let audit = if audited {
        ", as the policy only audits"
    } else {
        ""
    };
    let cure = again(facts, vip, &devices).map_or_else(
        || How::Hide(options(facts, vip.prefix, &devices)),
        How::Again,
    );
    Some(Seen {
        check,
        severity,
        what: format!("on {}, and {what}{audit}", vip.holder.name),
        why,
        cure,
    })
}

fn names(devices: &[&Device]) -> String {
    let names: Vec<_> = devices.iter().map(|device| device.name.as_str()).collect();
    names.join(", ")
}

/// The rule that would keep the VIP from all these devices, if it was attached there. One that pins
/// would do so too if it did more than count, and to hide the VIP would silence its device.
fn again(facts: &Facts, vip: &Vip<'_>, devices: &[&Device]) -> Option<Cure> {
    let mut rules = devices
        .iter()
        .map(|device| facts.policy.rule(&device.name, vip.prefix));
    let first = rules.next()??;
    if !rules.all(|rule| rule == Some(first)) {
        return None;
    }
    let hides = |device: &&Device| facts.policy.hides(device, vip.prefix);
    if devices.iter().all(hides) {
        return Some(first.again(&facts.host, ""));
    }
    let enforced = Rule {
        audit: false,
        address: Some(vip.prefix),
        ..first.clone()
    };
    first.is_pin().then(|| enforced.again(&facts.host, ""))
}

/// Hides the VIP where it is seen, as it is hidden elsewhere.
fn options(facts: &Facts, vip: Ipv4Net, devices: &[&Device]) -> String {
    let rules = || {
        let speaking = facts.speaking();
        let held = speaking.filter_map(|device| facts.policy.rule(&device.name, vip));
        held.filter(|rule| rule.is_hide())
    };
    // One that this host has lost would be refused.
    let rip = rules()
        .filter_map(Rule::rip)
        .find(|rip| facts.host.owner(*rip).is_some());
    let rip = rip.map_or_else(|| "auto".to_owned(), |rip| rip.to_string());
    let mut line = format!("--rip {rip}");
    // A rule of the device itself would hold in place of one for every device, and where this host
    // is the director, or lets a device answer, nothing is to be hidden.
    let has = |device: &Device| {
        let mut own = device.addresses.iter();
        own.any(|own| vip.contains(&own.address))
            || facts
                .policy
                .rule(&device.name, vip)
                .is_some_and(|rule| rule.lets_answer(&device.name))
    };
    let director = || facts.host.guardable().any(has);
    let own_rule = |device: &&&Device| {
        let rule = facts.policy.rule(&device.name, vip);
        rule.is_some_and(|rule| rule.holds_on().is_some())
    };
    if !facts.chosen.is_empty() || director() || devices.iter().any(|device| own_rule(&device)) {
        for device in devices {
            line += &format!(" --dev {}", word(&device.name));
        }
    }
    if rules().any(|rule| rule.shield) {
        line += " --shield";
    }
    line
}
