use arpguard_common::abi::Rule;
use ipnet::Ipv4Net;

use super::*;
use crate::{
    datapath::{Attached, Egress, Ingress},
    device::{Address, Link},
    plan::Rules,
};

fn device(index: u32, name: &str, address: &str) -> Device {
    let subnet: Ipv4Net = address.parse().unwrap();
    Device {
        index,
        name: name.to_owned(),
        kind: None,
        mac: None,
        link: Link::Up,
        unguardable: None,
        xdp: None,
        addresses: vec![Address {
            address: subnet.addr(),
            subnet: subnet.trunc(),
            broadcast: None,
            secondary: false,
            host_scope: false,
        }],
    }
}

fn host() -> Host {
    Host {
        devices: vec![
            device(2, "eth0", "192.168.18.10/24"),
            device(3, "a*\"b", "10.0.0.10/24"),
        ],
        default_sources: Vec::new(),
    }
}

fn saved(rules: &[(u32, &str, Option<&str>, Mode)], guarded: usize) -> String {
    let host = host();
    let attached = Attached {
        ingress: Some(Ingress::Tcx),
        egress: Some(Egress::Tcx),
        note: String::new(),
    };
    let mut state = State {
        rules: Rules::default(),
        devices: host.devices[..guarded]
            .iter()
            .map(|device| (device.clone(), attached.clone()))
            .collect(),
    };
    for (device, prefix, rip, mode) in rules {
        let prefix: Ipv4Net = prefix.parse().unwrap();
        let rip = rip.map(|rip| rip.parse().unwrap());
        let rule = Rule::hide(prefix.prefix_len(), rip, *mode, false);
        state.rules.insert((*device, prefix), rule);
    }
    let mut text = Vec::new();
    write(&mut text, &state, &host).unwrap();
    String::from_utf8(text).unwrap()
}

#[test]
fn where_nothing_is_guarded_nothing_shall_be() {
    assert_eq!(saved(&[], 0), format!("{HEADER}\ndevices = []\n"));
    assert_eq!(saved(&[], 2), HEADER);
}

#[test]
fn blocks_share_attributes_and_addresses_are_in_their_order() {
    let rip = Some("192.168.18.10");
    let rules = [
        (EVERY_DEVICE, "192.168.18.102/32", rip, Mode::Enforce),
        (EVERY_DEVICE, "192.168.18.20/32", rip, Mode::Enforce),
        (EVERY_DEVICE, "192.168.19.0/24", rip, Mode::Enforce),
        (EVERY_DEVICE, "192.168.18.10/32", None, Mode::Enforce),
        (2, "192.168.18.20/32", None, Mode::Audit),
        (3, "192.168.18.20/32", None, Mode::Audit),
        // Gone.
        (7, "192.168.18.20/32", None, Mode::Audit),
    ];
    let blocks = "
[[hide]]
ip = [
  \"192.168.18.20\",
  \"192.168.18.102\",
  \"192.168.19.0/24\",
]
rip = \"192.168.18.10\"

[[hide]]
ip = \"192.168.18.10\"
rip = \"auto\"
force = true

[[hide]]
ip = \"192.168.18.20\"
rip = \"auto\"
dev = [\"eth0\", 'a[*]\"b']
audit = true
";
    let saved = saved(&rules, 2);
    assert_eq!(saved.strip_prefix(HEADER), Some(blocks), "{saved}");
}
