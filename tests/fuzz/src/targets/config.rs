//! The config reader: TOML to policy, and policy to rules on a host.

use arpguard::{
    config::Config,
    device::{Address, Device, Link, Unguardable},
    error::Error,
    host::Host,
};
use arpguard_common::wire::Mac;
use ipnet::Ipv4Net;

/// A policy file.
pub fn config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let config = match Config::given(text) {
        Ok(config) => config,
        Err(error) => return check(&error),
    };
    let host = host();
    match config.on(&host) {
        Err(error) => check(&error),
        Ok(wanted) => {
            for (place, rule) in wanted.rules.iter() {
                assert!(place.device == 0 || host.by_index(place.device).is_some());
                assert_eq!(place.prefix, place.prefix.trunc());
                assert_eq!(rule.prefix_len(), place.prefix.prefix_len());
                assert_eq!(rule.policy().book(), place.book);
            }
            for device in &wanted.devices {
                assert_eq!(device.unguardable, None);
            }
        }
    }
}

/// An error is one line, and tells where in the file its reason is, whatever stands there.
fn check(error: &Error) {
    let text = error.to_string();
    assert!(!text.contains(char::is_control), "{text:?}");
    assert!(text.contains("what was given:"), "{text:?}");
}

fn host() -> Host {
    let device = |index, name: &str, addresses: &[&str]| Device {
        index,
        name: name.to_owned(),
        kind: None,
        mac: Some(Mac([2, 0, 0, 0, 0, index as u8])),
        link: Link::Up,
        carrier_changes: 0,
        unguardable: (name == "lo").then_some(Unguardable::Loopback),
        xdp: None,
        addresses: addresses.iter().map(|text| address(text)).collect(),
    };
    Host {
        devices: vec![
            device(1, "lo", &["127.0.0.1/8", "192.168.18.101/32"]),
            device(2, "eth0", &["192.168.18.10/24", "192.168.18.11/24"]),
            device(3, "eth1", &["10.0.0.10/8"]),
            device(4, "bond0", &[]),
        ],
        default_sources: vec![(2, [192, 168, 18, 11].into())],
    }
}

fn address(text: &str) -> Address {
    let subnet: Ipv4Net = text.parse().unwrap();
    Address {
        address: subnet.addr(),
        subnet: subnet.trunc(),
        broadcast: Some(subnet.broadcast()),
        secondary: false,
        host_scope: subnet.addr().is_loopback(),
    }
}
