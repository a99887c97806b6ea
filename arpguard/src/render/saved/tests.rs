use arpguard_common::abi::Rule;
use ipnet::Ipv4Net;

use super::*;
use crate::{
    datapath::{Attached, Egress, Ingress, Place},
    device::fixture::device,
    plan::Rules,
    policy::EVERY_ADDRESS,
};

fn host() -> Host {
    Host {
        devices: vec![
            device(2, "eth0", &["192.168.18.10/24"]),
            device(3, "a*\"b", &["10.0.0.10/24"]),
        ],
        default_sources: Vec::new(),
    }
}

fn saved(rules: &[(u32, &str, Option<&str>, Mode)], guarded: usize) -> String {
    let rules = rules.iter().map(|(device, prefix, rip, mode)| {
        let prefix: Ipv4Net = prefix.parse().unwrap();
        let rip = rip.map(|rip| rip.parse().unwrap());
        let rule = Rule::hide(prefix.prefix_len(), rip, *mode, false);
        ((*device, prefix), rule)
    });
    written(rules, guarded)
}

fn written(rules: impl IntoIterator<Item = (Place, Rule)>, guarded: usize) -> String {
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
    for (place, rule) in rules {
        state.rules.insert(place, rule);
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

#[test]
fn pins_name_their_device_and_strict_those_that_it_is_on_for() {
    let place = |device: u32, text: &str| (device, text.parse().unwrap());
    let pin = |length, home| Rule::pin(length, home, Mode::Enforce);
    let rules = [
        (place(EVERY_DEVICE, "192.168.18.101/32"), pin(32, 2)),
        (place(EVERY_DEVICE, "192.168.18.96/28"), pin(28, 2)),
        (place(EVERY_DEVICE, "10.0.0.10/32"), pin(32, 2)),
        (place(EVERY_DEVICE, "10.0.0.11/32"), pin(32, 3)),
        // To a device that is gone.
        (place(EVERY_DEVICE, "10.0.0.12/32"), pin(32, 7)),
        (
            (EVERY_DEVICE, EVERY_ADDRESS),
            Rule::strict(false, Mode::Audit),
        ),
        ((3, EVERY_ADDRESS), Rule::strict(true, Mode::Enforce)),
    ];
    let blocks = "
[[pin]]
ip = \"10.0.0.11\"
dev = 'a*\"b'

[[pin]]
ip = [
  \"192.168.18.96/28\",
  \"192.168.18.101\",
]
dev = \"eth0\"

[[pin]]
ip = \"10.0.0.10\"
dev = \"eth0\"
force = true

[[strict]]
audit = true

[[strict]]
dev = ['a[*]\"b']
same-subnet = true
";
    let saved = written(rules, 2);
    assert_eq!(saved.strip_prefix(HEADER), Some(blocks), "{saved}");
}
