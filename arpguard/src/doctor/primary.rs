//! Hidden addresses that a device has for its own, and prefers.

use super::{
    Cure, Facts, Finding, Severity,
    cure::{key, word},
};
use crate::device::{Address, Device};

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    facts.speaking().flat_map(|one| of(facts, one)).collect()
}

/// Of each subnet the kernel prefers the first address: it is not a secondary one.
fn of(facts: &Facts, device: &Device) -> Vec<Finding> {
    let hidden = |own: &Address| facts.is_hidden(&device.name, own.address);
    let own = || device.addresses.iter().filter(|own| !own.host_scope);
    if own().all(hidden) {
        let first = own().next();
        return first
            .and_then(|own| alone(facts, device, own))
            .into_iter()
            .collect();
    }
    let preferred = own().filter(|own| !own.secondary && hidden(own));
    let found = preferred.filter_map(|first| {
        let rule = facts.policy.rule(&device.name, first.address)?;
        let other = own().any(|other| other.subnet == first.subnet && !hidden(other));
        rule.is_hide().then(|| Finding {
            check: "hidden_primary",
            severity: Severity::Warning,
            subject: device.name.clone(),
            what: format!("{} is hidden, and is its primary address", first.address),
            why: "the kernel takes it for the source of what it sends, and arp_announce for the sender"
                .to_owned(),
            // Without another address in the subnet, the way there would go with it.
            cure: other.then(|| moved(facts, device, first)),
        })
    });
    found.collect()
}

/// A device that has no address but hidden ones, of which this is the first.
fn alone(facts: &Facts, device: &Device, first: &Address) -> Option<Finding> {
    let rule = facts.policy.rule(&device.name, first.address)?;
    rule.is_hide().then(|| Finding {
        check: "hidden_primary",
        severity: Severity::Serious,
        subject: device.name.clone(),
        what: format!("{} is hidden, and is all that it has", first.address),
        why: "there is no address left to ask in the name of, so the LAN loses this host"
            .to_owned(),
        cure: Some(rule.without(first.address, &device.name)),
    })
}

/// Puts the address where no ARP is spoken, unless it is there too.
fn moved(facts: &Facts, device: &Device, first: &Address) -> Cure {
    let (name, address) = (word(&device.name), first.address);
    let promote = word(&format!("{}=1", key(&device.name, "promote_secondaries")));
    let is_there = facts.vips().any(|vip| vip.holder.has(address));
    let add = (!is_there).then(|| format!("ip addr add {address}/32 dev lo"));
    let delete = format!(
        "ip addr del {address}/{} dev {name}",
        first.subnet.prefix_len()
    );
    let commands = [Some(format!("sysctl -w {promote}")), add, Some(delete)];
    Cure::Host(commands.into_iter().flatten().collect())
}
