//! Where the kernel itself would not answer on a device for what is pinned there.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use crate::{
    device::Device,
    host::{Host, Setting, Sysctls},
};

/// By which settings, in a line each with what mends it, the kernel does not answer on `device` for what
/// of `prefixes` this host has elsewhere. `route`: whether its replies leave by that device.
pub fn deaf(
    prefixes: &[Ipv4Net],
    device: &Device,
    route: bool,
    host: &Host,
    sysctls: &Sysctls,
) -> Vec<String> {
    let is_pinned = |address: Ipv4Addr| prefixes.iter().any(|one| one.contains(&address));
    let others = host
        .devices
        .iter()
        .filter(|other| other.index != device.index);
    let mut others = others.flat_map(|other| &other.addresses);
    let elsewhere = |address: Ipv4Addr| is_pinned(address) && !device.has(address);
    let name = &device.name;
    let mut told = Vec::new();
    let ignored = sysctls.effective(name, Setting::ArpIgnore);
    // As `arp_ignore` in `net/ipv4/arp.c`.
    if matches!(ignored, 1 | 2 | 8) && others.clone().any(|own| elsewhere(own.address)) {
        let cure = cure(sysctls, name, Setting::ArpIgnore, 0);
        told.push(format!(
            "pin: on {name} the kernel does not answer for what another device has \
             (arp_ignore={ignored}), so nobody does while it is there: {cure}"
        ));
    }
    // As `__fib_validate_source` in `net/ipv4/fib_frontend.c`.
    let shared = others.any(|own| {
        let mut subnets = device.addresses.iter().map(|here| here.subnet);
        own.subnet.prefix_len() < 32 && subnets.any(|subnet| own.subnet.contains(&subnet))
    });
    if sysctls.effective(name, Setting::RpFilter) == 1 && shared && !route {
        let cure = cure(sysctls, name, Setting::RpFilter, 2);
        told.push(format!(
            "pin: on {name} the kernel hears only what it would reply to by {name} (rp_filter=1), and \
             another device is in the same subnet: pin with --route, or {cure}"
        ));
    }
    told
}

/// Sets what counts: the larger of the device's value and that of all.
fn cure(sysctls: &Sysctls, device: &str, setting: Setting, to: u32) -> String {
    let name = setting.name();
    let key = |of: &str| format!("net.ipv4.conf.{of}.{name}={to}");
    let keys: Vec<_> = match to {
        // The larger one counts, so one that is larger is enough.
        1.. => vec![key(device)],
        0 => ["all", device]
            .into_iter()
            .filter(|of| sysctls.own(of, setting) != 0)
            .map(key)
            .collect(),
    };
    format!("sysctl -w {}", keys.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::fixture::device;

    #[test]
    fn each_setting_is_told_with_what_mends_it() {
        let host = Host {
            devices: vec![
                device(1, "lo", &["127.0.0.1/8", "10.0.0.9/32"]),
                device(2, "eth3", &["10.0.0.3/24"]),
                device(3, "eth4", &["10.0.0.4/24"]),
                device(4, "eth5", &["10.0.5.5/24"]),
            ],
            ..Host::default()
        };
        let told = |ip: &str, at: &str, route, settings: &[(&str, Setting, u32)]| {
            let mut sysctls = Sysctls::default();
            for (of, setting, value) in settings {
                sysctls.set(of, *setting, *value);
            }
            let at = host.device(at).unwrap();
            deaf(&[ip.parse().unwrap()], at, route, &host, &sysctls)
        };
        let (ignore, filter) = (Setting::ArpIgnore, Setting::RpFilter);
        let nothing: [&str; 0] = [];
        assert_eq!(told("10.0.0.9/32", "eth4", false, &[]), nothing);
        let ignored = |keys: &str| {
            format!(
                "pin: on eth4 the kernel does not answer for what another device has (arp_ignore=1), so \
                 nobody does while it is there: sysctl -w {keys}"
            )
        };
        let own = "net.ipv4.conf.eth4.arp_ignore=0";
        let all = "net.ipv4.conf.all.arp_ignore=0";
        for (settings, keys) in [
            (&[("eth4", ignore, 1)][..], own.to_owned()),
            (&[("all", ignore, 1)], all.to_owned()),
            (
                &[("all", ignore, 1), ("eth4", ignore, 1)],
                format!("{all} {own}"),
            ),
        ] {
            assert_eq!(
                told("10.0.0.3/32", "eth4", true, settings),
                [ignored(&keys)]
            );
            assert_eq!(told("10.0.0.4/32", "eth4", true, settings), nothing);
            assert_eq!(told("10.0.0.7/32", "eth4", true, settings), nothing);
        }
        let strict = [("all", filter, 1)];
        let filtered = "pin: on eth4 the kernel hears only what it would reply to by eth4 (rp_filter=1), \
                        and another device is in the same subnet: pin with --route, or sysctl -w \
                        net.ipv4.conf.eth4.rp_filter=2";
        assert_eq!(told("10.0.0.9/32", "eth4", false, &strict), [filtered]);
        assert_eq!(told("10.0.0.9/32", "eth4", true, &strict), nothing);
        assert_eq!(told("10.0.0.9/32", "eth5", false, &strict), nothing);
        let loose = [("eth4", filter, 2), ("all", filter, 1)];
        assert_eq!(told("10.0.0.9/32", "eth4", false, &loose), nothing);
    }
}
