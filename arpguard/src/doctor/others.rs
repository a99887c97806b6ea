//! Programs of others that are attached to a device already.

use super::{Cure, Facts, Finding, Guard, Severity, State, cure::word};
use crate::{
    datapath::{Egress, INGRESS, Other, described},
    device::Device,
};

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    let of = |device| {
        [
            ingress_qdisc(facts, device),
            other_xdp(facts, device),
            other_tc(facts, device),
        ]
    };
    facts.speaking().flat_map(of).flatten().collect()
}

/// Whether the XDP program of a device is not arpguard's.
pub(super) fn is_foreign(guard: &Guard, device: &Device) -> bool {
    device.xdp.is_some() && !guard.is_xdp()
}

/// Whether a device cannot be guarded, as the kernel has no other hook for sent frames than clsact.
pub(super) fn is_in_the_way(facts: &Facts, device: &Device) -> bool {
    facts.tc == Some(Egress::Clsact) && facts.lacks_clsact.contains(&device.name)
}

/// An ingress qdisc, which has the place of clsact.
fn ingress_qdisc(facts: &Facts, device: &Device) -> Option<Finding> {
    if !is_in_the_way(facts, device) {
        return None;
    }
    let others = facts.others.get(&device.name);
    let is_empty = others.is_some_and(|others| others.iter().all(|one| one.hook != INGRESS));
    let name = word(&device.name);
    let cure = Cure::Host(vec![
        format!("tc qdisc del dev {name} ingress"),
        format!("tc qdisc add dev {name} clsact"),
    ]);
    Some(Finding {
        check: "ingress_qdisc",
        severity: Severity::Warning,
        subject: device.name.clone(),
        what: "it has an ingress qdisc, so it cannot be guarded".to_owned(),
        why: "before Linux 6.6 sent frames are judged in a clsact qdisc, whose place that has; a \
              clsact qdisc takes its filters"
            .to_owned(),
        // Its filters would be gone with it.
        cure: is_empty.then_some(cure),
    })
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
            hook.as_deref() == Some(other.hook)
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
        other.hook
    )
}
