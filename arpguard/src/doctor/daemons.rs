//! Processes that answer, announce or defend addresses themselves.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::{Cure, Facts, Finding, Rule, Severity, cure::word};
use crate::{host::Process, policy::prefix_text};

/// What a process does that a policy has to do with.
enum Habit {
    /// It answers for addresses, or announces them.
    Speaks,
    /// It gives an address up that somebody else claims.
    Yields,
    /// It takes an address of 169.254.0.0/16.
    LinkLocal,
}

/// Names as the kernel has them, cut after 15 bytes.
const KNOWN: &[(&str, Habit)] = &[
    ("keepalived", Habit::Speaks),
    ("kube-vip", Habit::Speaks),
    // MetalLB's
    ("speaker", Habit::Speaks),
    ("cilium-agent", Habit::Speaks),
    ("NetworkManager", Habit::Yields),
    ("systemd-network", Habit::Yields),
    ("dhcpcd", Habit::Yields),
    // connman's
    ("connmand", Habit::Yields),
    ("avahi-autoipd", Habit::LinkLocal),
    ("zcip", Habit::LinkLocal),
];

/// The names of those that there is something to say of.
pub(super) fn names() -> Vec<&'static str> {
    KNOWN.iter().map(|(name, _)| *name).collect()
}

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    let mut found = Vec::<Finding>::new();
    for process in &facts.processes.here {
        let habit = KNOWN.iter().find(|(name, _)| *name == process.name);
        let finding = habit.and_then(|(_, habit)| match habit {
            Habit::Speaks => silenced(facts, process),
            Habit::Yields => yields(facts, process),
            Habit::LinkLocal => link_local(facts, process),
        });
        // Several of one name do the same.
        if let Some(finding) = finding
            && !found.iter().any(|other| other.subject == finding.subject)
        {
            found.push(finding);
        }
    }
    found
}

fn note(
    check: &'static str,
    process: &Process,
    what: &str,
    why: &str,
    cure: Option<Cure>,
) -> Finding {
    Finding {
        check,
        severity: Severity::Note,
        subject: process.name.clone(),
        what: what.to_owned(),
        why: why.to_owned(),
        cure,
    }
}

fn silenced(facts: &Facts, process: &Process) -> Option<Finding> {
    facts.policy.hiding().find(|rule| !rule.audit)?;
    Some(note(
        "silenced_daemon",
        process,
        "it runs here, and answers for addresses or announces them",
        "where it does so for a hidden address, that is dropped: what it is to announce must not be \
         hidden, or be promoted first",
        None,
    ))
}

fn yields(facts: &Facts, process: &Process) -> Option<Finding> {
    let own = |rule: &&Rule| {
        let rule = rule.prefix();
        let mut vips = facts.vips();
        vips.any(|vip| rule.contains(&vip.prefix) || vip.prefix.contains(&rule))
    };
    let rule = facts
        .policy
        .hiding()
        .filter(own)
        .find(|rule| !rule.shield)?;
    let shielded = Rule {
        shield: true,
        ..rule.clone()
    };
    Some(note(
        "unshielded",
        process,
        &format!(
            "it runs here, and hears who else claims {}",
            prefix_text(rule.prefix())
        ),
        "its conflict detection may give the address up when the director announces it",
        Some(shielded.again(&facts.host, "")),
    ))
}

fn link_local(facts: &Facts, process: &Process) -> Option<Finding> {
    let range = Ipv4Net::new(Ipv4Addr::new(169, 254, 0, 0), 16).ok()?;
    let overlaps = |rule: &&Rule| rule.prefix().contains(&range) || range.contains(&rule.prefix());
    let rule = facts.policy.hiding().find(overlaps)?;
    let device = rule.device.as_ref();
    let dev = device.map_or_else(String::new, |name| format!(" --dev {}", word(name)));
    Some(note(
        "silenced_daemon",
        process,
        &format!(
            "it takes an address of {range}, of which {} are hidden",
            prefix_text(rule.prefix())
        ),
        "its probes and announcements for a hidden one are dropped, so it cannot tell a conflict",
        Some(Cure::arpguard(format!(
            "unhide {}{dev}",
            prefix_text(rule.prefix())
        ))),
    ))
}
