//! How devices are guarded, and what stands in the way.

use std::net::Ipv4Addr;

use super::{Facts, Finding, Guard, Rule, Severity, others::is_foreign};
use crate::device::Device;

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    let of = |device| {
        [
            unguarded(facts, device),
            hook(facts, device),
            no_rip(facts, device),
        ]
    };
    let speaking = facts.speaking().flat_map(of).flatten();
    let unreadable = facts.unreadable().filter_map(|one| unguarded(facts, one));
    speaking.chain(unreadable).collect()
}

/// A rule that is meant for the device.
fn rule<'a>(facts: &'a Facts, device: &Device) -> Option<&'a Rule> {
    let mut rules = facts.policy.iter();
    rules.find(|rule| rule.is_for(&device.name))
}

/// A device that rules are for and that nothing is attached to.
fn unguarded(facts: &Facts, device: &Device) -> Option<Finding> {
    let rule = rule(facts, device)?;
    if facts.is_guarded(&device.name) {
        return None;
    }
    let rules = match rule.holds_on() {
        Some(_) => "rules are for it",
        None => "rules are for every device",
    };
    let (cannot, cure) = match &device.unguardable {
        Some(reason) => (format!(": {reason}"), None),
        None => (String::new(), Some(rule.again(&facts.host, ""))),
    };
    Some(Finding {
        check: "unguarded",
        severity: Severity::Warning,
        subject: device.name.clone(),
        what: format!("{rules}, and it is not guarded{cannot}"),
        why: "nothing is judged there, so what is hidden elsewhere is seen by it".to_owned(),
        cure,
    })
}

/// A device that is judged behind the driver where it need not be. On veth the TC hook is the best.
fn hook(facts: &Facts, device: &Device) -> Option<Finding> {
    let guard = facts.guards.get(&device.name)?;
    let is_veth = device.kind.as_deref() == Some("veth");
    let best = |guard: &Guard| match is_veth {
        true => !guard.is_xdp(),
        false => guard.ingress.as_deref() == Some("xdp-native"),
    };
    if !facts.is_guarded(&device.name) || best(guard) || is_foreign(guard, device) {
        return None;
    }
    let attach = if is_veth { "tc" } else { "native" };
    let mut hiding = facts.policy.hiding();
    let rule = hiding.find(|rule| rule.is_for(&device.name));
    let note = match guard.note.as_str() {
        "" => "why not by a better one is not known",
        note => note,
    };
    // Native XDP on veth transmits to nobody who has no XDP program too.
    let loses = is_veth && guard.ingress.as_deref() == Some("xdp-native");
    Some(Finding {
        check: "hook",
        severity: if loses {
            Severity::Warning
        } else {
            Severity::Note
        },
        subject: device.name.clone(),
        what: format!(
            "received frames are judged by {}",
            guard.ingress.as_deref().unwrap_or("-")
        ),
        why: match loses {
            true => format!("{note}; {attach} loses none, and costs less for each packet"),
            false => format!("{attach} would cost less for each packet: {note}"),
        },
        // What has been tried fails again; what was told can be told otherwise.
        cure: rule
            .filter(|_| note == TOLD || is_veth)
            .map(|rule| rule.again(&facts.host, &format!(" --attach {attach}"))),
    })
}

/// The note on a device whose hook a user has chosen.
const TOLD: &str = "as told";

/// A guarded device without an address to take in place of a hidden one.
fn no_rip(facts: &Facts, device: &Device) -> Option<Finding> {
    let name = &device.name;
    let mut own = device.addresses.iter();
    // Where all of them are hidden, that is found as such.
    if !facts.is_guarded(name) || own.any(|own| !own.host_scope) {
        return None;
    }
    let auto = |rule: &&Rule| rule.is_for(name) && rule.rip().is_none() && !rule.audit;
    let rule = facts.policy.hiding().find(auto)?;
    let rip = rip(facts)?;
    let again = Rule {
        rip: rip.to_string(),
        ..rule.clone()
    };
    Some(Finding {
        check: "no_rip",
        severity: Severity::Note,
        subject: name.clone(),
        what: "it has no address to ask in the name of".to_owned(),
        why: "requests with a hidden sender are dropped there (no_rip)".to_owned(),
        cure: Some(again.again(&facts.host, "")),
    })
}

/// An address of another device, which the LAN knows this host by.
fn rip(facts: &Facts) -> Option<Ipv4Addr> {
    let own = facts.host.guardable().flat_map(|device| {
        let own = device.addresses.iter().filter(|own| !own.host_scope);
        own.map(|own| (device.name.as_str(), own.address))
    });
    own.filter(|(name, address)| !facts.is_hidden(name, *address))
        .map(|(_, address)| address)
        .next()
}
