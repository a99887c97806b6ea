use arpguard_common::abi::Rule;
use ipnet::Ipv4Net;

use super::*;
use crate::{
    datapath::{Attached, Checks, Egress, Ingress, Place},
    device::fixture::device,
    plan::Rules,
    policy::EVERY_ADDRESS,
    terms::{Fallback, Numbered, Terms},
};

const MAC: Mac = Mac([0, 0, 0x5e, 0, 1, 0x33]);

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
        (Place::new(Policy::Hide, *device, prefix), rule)
    });
    written(rules, guarded)
}

fn written(rules: impl IntoIterator<Item = (Place, Rule)>, guarded: usize) -> String {
    let host = host();
    let attached = Attached {
        ingress: Some(Ingress::Tcx),
        egress: Some(Egress::Tcx),
        bridged: false,
        note: String::new(),
    };
    let mut state = State {
        checks: Checks::new(),
        rules: Rules::default(),
        terms: Numbered::new(),
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
    let place = |device, prefix: &str| Place::new(Policy::Pin, device, prefix.parse().unwrap());
    let pin = |length, home| Rule::pin(length, home, Mode::Enforce);
    let rules = [
        (place(EVERY_DEVICE, "192.168.18.101/32"), pin(32, 2)),
        (place(EVERY_DEVICE, "192.168.18.96/28"), pin(28, 2)),
        (place(EVERY_DEVICE, "10.0.0.10/32"), pin(32, 2)),
        (place(EVERY_DEVICE, "10.0.0.11/32"), pin(32, 3)),
        // To a device that is gone.
        (place(EVERY_DEVICE, "10.0.0.12/32"), pin(32, 7)),
        (
            Place::new(Policy::Strict, EVERY_DEVICE, EVERY_ADDRESS),
            Rule::strict(false, Mode::Audit),
        ),
        (
            Place::new(Policy::Strict, 3, EVERY_ADDRESS),
            Rule::strict(true, Mode::Enforce),
        ),
        (
            Place::new(Policy::Answer, 2, "10.0.0.13/32".parse().unwrap()),
            Rule::answer(32, Some(MAC), Mode::Enforce, false, true),
        ),
        (
            Place::new(Policy::Answer, 3, "10.0.0.13/32".parse().unwrap()),
            Rule::answer(32, None, Mode::Enforce, false, false),
        ),
        (
            Place::new(Policy::Bind, EVERY_DEVICE, "10.0.0.0/24".parse().unwrap()),
            Rule::bind(24, MAC, Mode::Audit),
        ),
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

[[answer]]
ip = \"10.0.0.13\"
dev = ['a[*]\"b']

[[answer]]
ip = \"10.0.0.13\"
mac = \"00:00:5e:00:01:33\"
dev = [\"eth0\"]
force = true

[[bind]]
ip = \"10.0.0.0/24\"
mac = \"00:00:5e:00:01:33\"
audit = true
";
    let saved = written(rules, 2);
    assert_eq!(saved.strip_prefix(HEADER), Some(blocks), "{saved}");
}

#[test]
fn a_pin_is_saved_as_it_is_wanted_wherever_it_is() {
    let terms = |dev: &str, fallback: Option<(&str, u32)>, route| {
        let fallback = fallback.map(|(dev, hold)| Fallback {
            dev: dev.to_owned(),
            hold,
        });
        Terms::of(dev.to_owned(), fallback, route, true).unwrap()
    };
    let mut state = State {
        terms: Numbered::from([
            (1, terms("eth0", Some(("a*\"b", 30)), true)),
            (2, terms("eth0", None, true)),
            (3, terms("eth7", Some(("eth0", 10)), false)),
        ]),
        ..State::default()
    };
    for (address, home, under) in [
        // One is at home, and one on the fallback.
        ("192.168.18.101", 2, 1),
        ("192.168.18.102", 3, 1),
        ("192.168.18.103", 2, 2),
        // Its device is gone.
        ("192.168.18.104", 2, 3),
    ] {
        let prefix = policy::parse_prefix(address).unwrap();
        let rule = Rule::pin(32, home, Mode::Enforce).under(under);
        state
            .rules
            .insert(Place::new(rule.policy(), EVERY_DEVICE, prefix), rule);
    }
    let mut text = Vec::new();
    write(&mut text, &state, &host()).unwrap();
    let blocks = "
devices = []

[[pin]]
ip = \"192.168.18.103\"
dev = \"eth0\"
route = true

[[pin]]
ip = [
  \"192.168.18.101\",
  \"192.168.18.102\",
]
dev = \"eth0\"
fallback = 'a*\"b'
hold = 30
route = true

[[pin]]
ip = \"192.168.18.104\"
dev = \"eth7\"
fallback = \"eth0\"
hold = 10
";
    let saved = String::from_utf8(text).unwrap();
    assert_eq!(saved.strip_prefix(HEADER), Some(blocks), "{saved}");
}
