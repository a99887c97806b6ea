//! Programs of others that are attached to a device already.

use super::{Facts, Finding, Guard, Severity, State};
use crate::{
    datapath::{Other, described},
    device::Device,
};

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    let of = |device| [other_xdp(facts, device), other_tc(facts, device)];
    facts.speaking().flat_map(of).flatten().collect()
}

/// Whether the XDP program of a device is not arpguard's.
pub(super) fn is_foreign(guard: &Guard, device: &Device) -> bool {
    device.xdp.is_some() && !guard.is_xdp()
}

/// Another XDP program, which frames meet first.
fn other_xdp(facts: &Facts, device: &Device) -> Option<Finding> {
    // Where nothing is known of arpguard's own, this may be one.
    if facts.state != State::Read {
        return None;
    }
    let unguarded = Guard::default();
    let guard = facts.guards.get(&device.name).unwrap_or(&unguarded);
    let found = device.xdp.as_ref().filter(|_| is_foreign(guard, device))?;
    let name = facts.xdp.get(&found.program).map(String::as_str);
    let then = match guard.ingress {
        Some(_) => "judges the rest at the TC hook",
        None => "would judge the rest at the TC hook",
    };
    Some(Finding {
        check: "other_xdp",
        severity: Severity::Note,
        subject: device.name.clone(),
        what: format!(
            "the XDP program {} is attached, which is not arpguard's",
            described(found.program, name)
        ),
        why: format!(
            "it sees frames first: what it answers itself arpguard cannot keep back, and {then}"
        ),
        cure: None,
    })
}

/// Programs of others on the TC hooks.
fn other_tc(facts: &Facts, device: &Device) -> Option<Finding> {
    let guard = facts.guards.get(&device.name);
    // One whose name the kernel does not tell may be arpguard's where that is at the same hook.
    let may_be_own = |other: &Other| {
        let own = |guard: &Guard| {
            let hook = if other.is_sent {
                &guard.egress
            } else {
                &guard.ingress
            };
            hook.as_deref() == Some(other.hook.name())
        };
        other.name.is_none() && (facts.state != State::Read || guard.is_some_and(own))
    };
    let others = facts.others.get(&device.name)?.iter();
    let told: Vec<_> = others.filter(|one| !may_be_own(one)).map(text).collect();
    (!told.is_empty()).then(|| Finding {
        check: "other_tc",
        severity: Severity::Note,
        subject: device.name.clone(),
        what: format!("TC programs of others are attached: {}", told.join(", ")),
        why:
            "arpguard's come before those that are there; what comes before it later, or redirects \
              frames elsewhere, it cannot judge"
                .to_owned(),
        cure: None,
    })
}

fn text(other: &Other) -> String {
    let name = other.name.as_ref().map(|name| format!("{name:?} "));
    let id = other.program.map(|id| format!("id {id}, "));
    let way = if other.is_sent { "sent" } else { "received" };
    format!(
        "{}({}{}, {way})",
        name.unwrap_or_default(),
        id.unwrap_or_default(),
        other.hook.name()
    )
}
