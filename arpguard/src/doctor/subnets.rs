//! One subnet on several devices.

use ipnet::Ipv4Net;

use super::{
    Cure, Facts, Finding, Severity,
    cure::word,
    reach::{is_answered, is_told},
};
use crate::{
    device::{Address, Device, Link},
    host::{Host, Setting},
};

/// A subnet, and the devices that are in it or in a part of it.
pub(super) struct Shared<'a> {
    pub(super) subnet: Ipv4Net,
    pub(super) devices: Vec<&'a Device>,
}

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    let looked_at = |shared: &Shared<'_>| {
        let mut devices = shared.devices.iter();
        devices.any(|one| facts.speaking().any(|other| other.index == one.index))
    };
    let shared = shared(&facts.host).into_iter().filter(looked_at);
    shared
        .flat_map(|shared| [flux(facts, &shared), strict(facts, &shared)])
        .flatten()
        .collect()
}

/// The subnets that several devices are in. Those that overlap are one segment to whoever is in both.
pub(super) fn shared(host: &Host) -> Vec<Shared<'_>> {
    let up = |device: &&Device| device.link != Link::Down;
    let mut own: Vec<_> = host
        .guardable()
        .filter(up)
        .flat_map(|device| device.addresses.iter().map(move |own| (own.subnet, device)))
        .filter(|(subnet, _)| subnet.prefix_len() < 32)
        .collect();
    // A subnet comes before its parts.
    own.sort_by_key(|(subnet, device)| (*subnet, device.index));
    let mut all = Vec::<Shared<'_>>::new();
    for (subnet, device) in own {
        match all.last_mut() {
            Some(last) if last.subnet.contains(&subnet) => {
                if !last.devices.iter().any(|known| known.index == device.index) {
                    last.devices.push(device);
                }
            }
            _ => all.push(Shared {
                subnet,
                devices: vec![device],
            }),
        }
    }
    all.retain(|shared| shared.devices.len() > 1);
    all
}

impl<'a> Shared<'a> {
    /// The addresses of a device in the subnet.
    pub(super) fn of(&self, device: &'a Device) -> impl Iterator<Item = &'a Address> {
        let subnet = self.subnet;
        let own = device.addresses.iter();
        own.filter(move |own| subnet.contains(&own.address))
    }

    /// The names of the devices that give away an address of another one, by what `gives` says.
    fn giving(&self, facts: &Facts, gives: impl Fn(&Device, &Address) -> bool) -> Vec<&'a str> {
        let others = |one: &Device| {
            let others = self.devices.iter().filter(|other| other.index != one.index);
            let mut addresses = others.flat_map(|other| self.of(other));
            addresses.any(|other| !facts.is_hidden(&one.name, other.address) && gives(one, other))
        };
        let devices = self.devices.iter().filter(|one| others(one));
        devices.map(|one| one.name.as_str()).collect()
    }

    fn names(&self) -> String {
        let names: Vec<_> = self.devices.iter().map(|one| one.name.as_str()).collect();
        names.join(", ")
    }
}

/// Devices that answer for each other's addresses, or ask in their name.
fn flux(facts: &Facts, shared: &Shared<'_>) -> Option<Finding> {
    let answering = shared.giving(facts, |one, other| {
        is_answered(facts, one, !other.host_scope)
    });
    let telling = shared.giving(facts, |one, other| {
        is_told(facts, one, other.address.into())
    });
    let (loose, verb, object, why) = if !answering.is_empty() {
        let why = "neighbours see one address at several MAC addresses, and take the last that \
                   answers (ARP flux)";
        (answering, "answer", "for the others' addresses", why)
    } else {
        let why = "a neighbour that is asked learns the address from the question, at the MAC \
                   address of the device that asks (ARP flux); arp_announce=2 or arpguard keeps to \
                   the device's own";
        (telling, "ask", "in the name of the others' addresses", why)
    };
    if loose.is_empty() {
        return None;
    }
    let devs: Vec<_> = loose
        .iter()
        .map(|name| format!("--dev {}", word(name)))
        .collect();
    Some(Finding {
        check: "flux",
        severity: Severity::Warning,
        subject: shared.subnet.to_string(),
        what: format!(
            "{} are in it, and {} {object}",
            shared.names(),
            match loose.as_slice() {
                [one] => format!("{one} {verb}s"),
                _ => format!("{} {verb}", loose.join(", ")),
            }
        ),
        why: why.to_owned(),
        cure: Some(Cure::arpguard(format!("strict on {}", devs.join(" ")))),
    })
}

/// Devices that discard what comes by them, since the way back is by another one.
fn strict(facts: &Facts, shared: &Shared<'_>) -> Option<Finding> {
    let is_strict = |name: &&str| facts.sysctls.effective(name, Setting::RpFilter) == 1;
    let is_refused = |name: &&str| facts.refused.contains(&((*name).to_owned(), shared.subnet));
    let names = shared.devices.iter().map(|device| device.name.as_str());
    let names: Vec<_> = names.filter(is_strict).filter(is_refused).collect();
    if names.is_empty() {
        return None;
    }
    Some(Finding {
        check: "rp_filter",
        severity: Severity::Warning,
        subject: shared.subnet.to_string(),
        what: format!(
            "{} are in it, and rp_filter=1 counts on {}",
            shared.names(),
            names.join(", ")
        ),
        why: "the way back is by another of them, so what these receive is discarded, ARP included"
            .to_owned(),
        cure: Some(Cure::sysctl(
            names
                .iter()
                .map(|name| (*name, Setting::RpFilter.name(), 2)),
        )),
    })
}
