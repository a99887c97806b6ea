//! VIPs that the LAN can learn this host by.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
};

use super::{Cure, Facts, Finding, Rule, Severity, State, cure::word};
use crate::{
    device::{Address, Device},
    host::Setting,
};

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    // An older version still hides what it hid.
    if facts.state == State::Older {
        return Vec::new();
    }
    let mut found: Vec<_> = promoted(facts).into_iter().collect();
    let mut same = BTreeMap::<_, Vec<_>>::new();
    for (holder, vip) in facts.vips() {
        if let Some(seen) = seen(facts, holder, vip) {
            same.entry(seen).or_default().push(vip.address);
        }
    }
    let known = facts.state == State::Read;
    let finding = |(seen, vips): (Seen, Vec<Ipv4Addr>)| Finding {
        check: seen.check,
        severity: if known {
            Severity::Serious
        } else {
            Severity::Warning
        },
        subject: subject(&vips),
        what: match known {
            true => seen.what,
            false => format!("{}, unless arpguard hides it", seen.what),
        },
        why: seen.why.to_owned(),
        cure: Some(Cure::arpguard(format!(
            "hide {} {}",
            list(&vips, " "),
            seen.options
        ))),
    };
    found.extend(same.into_iter().map(finding));
    found
}

/// Addresses that this host is the director of.
fn promoted(facts: &Facts) -> Option<Finding> {
    let rules = facts.policy.iter().filter(|rule| rule.promoted);
    let vips: BTreeSet<_> = rules.map(|rule| rule.prefix().addr()).collect();
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
    what: String,
    why: &'static str,
    /// Those of `hide` that hides them.
    options: String,
}

/// As many addresses as are told by themselves.
const FEW: usize = 4;

fn subject(vips: &[Ipv4Addr]) -> String {
    match vips {
        [first, .., last] if vips.len() > FEW => {
            format!("{} addresses, {first} to {last}", vips.len())
        }
        few => list(few, ", "),
    }
}

fn list(vips: &[Ipv4Addr], between: &str) -> String {
    let vips: Vec<_> = vips.iter().map(ToString::to_string).collect();
    vips.join(between)
}

fn seen(facts: &Facts, holder: &Device, vip: &Address) -> Option<Seen> {
    let open = || {
        // A device that has the address itself is to answer: this host is the director there. So is
        // one that it is pinned to, or promoted on.
        let open = |device: &&Device| {
            let rule = facts.policy.rule(&device.name, vip.address);
            !device.has(vip.address)
                && !rule.is_some_and(|rule| rule.pins_to(&device.name) || rule.promoted)
                && !facts.is_hidden(&device.name, vip.address)
        };
        facts.speaking().filter(open)
    };
    let answering: Vec<_> = open().filter(|one| is_answered(facts, one, vip)).collect();
    let telling: Vec<_> = open().filter(|one| is_told(facts, one, vip)).collect();
    let (check, devices, what, why) = if answering.is_empty() {
        let what = format!("the sender of requests on {}", names(&telling)?);
        let why = "arp_ignore keeps back answers alone: a neighbour that is asked for learns the \
                   address from the question; arp_announce=2 or arpguard rewrites it";
        ("vip_announced", telling, what, why)
    } else {
        let what = format!("answered for on {}", names(&answering)?);
        let why = "Linux answers for each address of the host, and takes the traffic of the VIP away \
                   from the director";
        ("vip_answered", answering, what, why)
    };
    let audited = devices.iter().any(|device| {
        let rule = facts.policy.rule(&device.name, vip.address);
        facts.is_guarded(&device.name) && rule.is_some_and(|rule| rule.audit)
    });
    let audit = if audited {
        ", as the policy only audits"
    } else {
        ""
    };
    Some(Seen {
        check,
        what: format!("on {}, and {what}{audit}", holder.name),
        why,
        options: options(facts, vip.address, &devices),
    })
}

fn names(devices: &[&Device]) -> Option<String> {
    let names: Vec<_> = devices.iter().map(|device| device.name.as_str()).collect();
    (!names.is_empty()).then(|| names.join(", "))
}

/// Whether the kernel answers for the VIP on a device: `arp_ignore` in `net/ipv4/arp.c`.
fn is_answered(facts: &Facts, device: &Device, vip: &Address) -> bool {
    match facts.sysctls.effective(&device.name, Setting::ArpIgnore) {
        // Only for addresses of the device.
        1 | 2 => false,
        3 => !vip.host_scope,
        8 => false,
        // 4 to 7 are reserved, and as 0.
        _ => true,
    }
}

/// Whether the kernel takes the VIP for the sender of a request: `arp_solicit` in `net/ipv4/arp.c`.
fn is_told(facts: &Facts, device: &Device, vip: &Address) -> bool {
    let in_subnet = |own: &Address| own.subnet.contains(&vip.address);
    match facts.sysctls.effective(&device.name, Setting::ArpAnnounce) {
        1 => device.addresses.iter().any(in_subnet),
        2 => false,
        _ => true,
    }
}

/// Hides the VIP where it is seen, as it is hidden elsewhere.
fn options(facts: &Facts, vip: Ipv4Addr, devices: &[&Device]) -> String {
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
    // is the director nothing is to be hidden.
    let director = || facts.host.guardable().any(|device| device.has(vip));
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
