//! Settings of the kernel that do nothing, or more than meant.

use std::net::Ipv4Addr;

use super::{
    Cure, Facts, Finding, Severity,
    cure::{key, word},
};
use crate::{
    device::{Device, Unguardable},
    host::Setting,
};

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    on_loopback(facts)
        .chain(proxies(facts))
        .chain(entries(facts))
        .collect()
}

/// `arp_ignore` and the like on `lo`, where no ARP is spoken.
fn on_loopback(facts: &Facts) -> impl Iterator<Item = Finding> {
    let loopback = |one: &&Device| one.unguardable == Some(Unguardable::Loopback);
    let of = |name: &str, setting: Setting| {
        let value = facts.sysctls.own(name, setting);
        (value > facts.sysctls.all(setting)).then(|| Finding {
            check: "loopback_setting",
            severity: Severity::Note,
            subject: name.to_owned(),
            what: format!("{}={value} does nothing", key(name, setting.name())),
            why: "no ARP comes or goes by it: what counts is the device that does, and the larger \
                  of its value and that of all"
                .to_owned(),
            cure: Some(Cure::sysctl(
                [(name, setting.name(), facts.sysctls.all(setting))].into_iter(),
            )),
        })
    };
    let settings = [
        Setting::ArpIgnore,
        Setting::ArpAnnounce,
        Setting::ArpFilter,
        Setting::ProxyArp,
        Setting::ProxyArpPvlan,
    ];
    facts
        .host
        .devices
        .iter()
        .filter(loopback)
        .flat_map(move |device| {
            settings
                .into_iter()
                .filter_map(move |setting| of(&device.name, setting))
        })
}

/// Devices that answer for what is behind others.
fn proxies(facts: &Facts) -> impl Iterator<Item = Finding> {
    let counts = |name: &str, setting| facts.sysctls.effective(name, setting) > 0;
    let proxy = move |one: &&Device| {
        counts(&one.name, Setting::ProxyArp) && counts(&one.name, Setting::Forwarding)
    };
    facts.speaking().filter(proxy).map(|device| {
        let name = device.name.as_str();
        let all = ("all", facts.sysctls.all(Setting::ProxyArp));
        let own = (name, facts.sysctls.own(name, Setting::ProxyArp));
        let set = [all, own].into_iter().filter(|(_, value)| *value > 0);
        Finding {
            check: "proxy_arp",
            severity: Severity::Warning,
            subject: name.to_owned(),
            what: "it answers for every address that is routed by another device (proxy_arp)"
                .to_owned(),
            why:
                "arp_ignore is not consulted for these; what arpguard hides it does not answer for"
                    .to_owned(),
            cure: Some(Cure::sysctl(
                set.map(|(of, _)| (of, Setting::ProxyArp.name(), 0)),
            )),
        }
    })
}

/// Devices that answer for single addresses, and were told to (`ip neigh add proxy`).
fn entries(facts: &Facts) -> impl Iterator<Item = Finding> {
    let forwards =
        |device: &&Device| facts.sysctls.effective(&device.name, Setting::Forwarding) > 0;
    facts.speaking().filter(forwards).filter_map(|device| {
        let name = &device.name;
        let answered = |entry: &&(String, Ipv4Addr)| {
            entry.0 == *name && !facts.is_hidden(name, entry.1)
        };
        let entries = facts.proxied.iter().filter(answered);
        let addresses: Vec<_> = entries.map(|(_, address)| address.to_string()).collect();
        let delete = |address: &String| format!("ip neigh del proxy {address} dev {}", word(name));
        (!addresses.is_empty()).then(|| Finding {
            check: "proxy_entry",
            severity: Severity::Warning,
            subject: name.clone(),
            what: format!("it answers for {} (ip neigh proxy)", addresses.join(", ")),
            why: "what neighbours send there comes to this host, which forwards it by another device; \
                  arp_ignore is not consulted for these"
                .to_owned(),
            cure: Some(Cure::Host(addresses.iter().map(delete).collect())),
        })
    })
}
