//! Rules that are of another time: of addresses and devices that were.

use std::collections::{BTreeMap, BTreeSet};

use super::{Cure, Facts, Finding, Rule, Severity, State, cure::word};
use crate::policy::prefix_text;

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    let found = [lost_rip(facts), gone(facts), older(facts)];
    let found = found.into_iter().flatten();
    found.chain(pins(facts)).collect()
}

/// RIPs that this host no longer has.
fn lost_rip(facts: &Facts) -> Option<Finding> {
    let lost = |rule: &&Rule| {
        let rip = rule.rip().filter(|rip| facts.host.owner(*rip).is_none());
        rip.is_some() && is_there(facts, rule)
    };
    let rules: Vec<_> = facts.policy.iter().filter(lost).collect();
    let first = rules.first()?;
    let rips: BTreeSet<_> = rules.iter().map(|rule| rule.rip.as_str()).collect();
    let rips: Vec<_> = rips.into_iter().collect();
    let auto = Rule {
        rip: "auto".to_owned(),
        ..Rule::clone(first)
    };
    let (what, cure) = match rules.len() {
        1 => (
            format!("it is the RIP of {}", prefix_text(first.prefix())),
            auto.again(&facts.host, ""),
        ),
        rules => {
            let dots = rips.join("|").replace('.', r"\.");
            let edit = format!(r#"sed -E 's/^rip = "({dots})"$/rip = "auto"/'"#);
            (
                format!("it is the RIP of {rules} rules"),
                Cure::Saved(Some(edit)),
            )
        }
    };
    Some(Finding {
        check: "lost_rip",
        severity: Severity::Warning,
        subject: rips.join(", "),
        what: format!("{what}, and this host does not have it"),
        why: "a device without an address of its own would still ask in its name, and be answered \
              elsewhere"
            .to_owned(),
        cure: Some(cure),
    })
}

fn is_there(facts: &Facts, rule: &Rule) -> bool {
    let device = rule.device.as_ref();
    // One with a fallback comes back by itself.
    rule.home.is_some() || device.is_none_or(|name| facts.host.device(name).is_some())
}

/// Rules for devices that are gone. What `save` prints leaves them out.
fn gone(facts: &Facts) -> Option<Finding> {
    let gone: Vec<_> = facts
        .policy
        .iter()
        .filter(|rule| !is_there(facts, rule))
        .collect();
    let first = gone.first()?;
    let devices: BTreeSet<_> = gone
        .iter()
        .filter_map(|rule| rule.device.as_deref())
        .collect();
    let devices: Vec<_> = devices.into_iter().collect();
    Some(Finding {
        check: "device_gone",
        severity: Severity::Note,
        subject: devices.join(", "),
        what: match gone.len() {
            1 => format!("a rule is for it: {}", prefix_text(first.prefix())),
            rules => format!(
                "{rules} rules are for it, the first for {}",
                prefix_text(first.prefix())
            ),
        },
        why: "they hold for nothing, take room, and a device that comes anew has another number"
            .to_owned(),
        cure: Some(Cure::Saved(None)),
    })
}

/// Pins that are away from their device, and those that have nowhere to go.
fn pins(facts: &Facts) -> Vec<Finding> {
    let mut away = BTreeMap::<_, Vec<_>>::new();
    let mut stuck = BTreeMap::<_, Vec<_>>::new();
    for rule in facts.policy.iter() {
        let Some(home) = &rule.home else { continue };
        let Some(fallback) = &home.fallback else {
            continue;
        };
        let prefix = prefix_text(rule.prefix());
        if let Some(why) = &home.moved {
            let pair = (&home.device, fallback, why);
            away.entry(pair).or_default().push(prefix);
        } else if facts.host.device(fallback).is_none() {
            stuck.entry(fallback).or_default().push(prefix);
        }
    }
    let away = away
        .into_iter()
        .map(|((device, fallback, why), pins)| Finding {
            check: "pin_moved",
            severity: Severity::Warning,
            subject: first(&pins),
            what: format!("pinned to {device}, and now on {fallback}"),
            why: format!("{device} is {why}, and a second fault would leave it to nobody"),
            cure: (why == "down").then(|| Cure::host(format!("ip link set {} up", word(device)))),
        });
    let stuck = stuck.into_iter().map(|(fallback, pins)| Finding {
        check: "fallback_gone",
        severity: Severity::Note,
        subject: first(&pins),
        what: format!("its fallback is {fallback}, and there is no such device"),
        why: "where its device fails, it has nowhere to go".to_owned(),
        cure: None,
    });
    away.chain(stuck).collect()
}

/// The first of several, and how many more there are.
fn first(pins: &[String]) -> String {
    match pins {
        [first, others @ ..] if !others.is_empty() => {
            format!("{first} and {} more", others.len())
        }
        pins => pins.concat(),
    }
}

/// What an older version has left.
fn older(facts: &Facts) -> Option<Finding> {
    (facts.state == State::Older).then(|| Finding {
        check: "older_version",
        severity: Severity::Warning,
        subject: "arpguard".to_owned(),
        what: "an older version's programs guard here".to_owned(),
        why: "this one cannot tell what they hide; any other command of it brings that over"
            .to_owned(),
        cure: Some(Cure::arpguard("status")),
    })
}
