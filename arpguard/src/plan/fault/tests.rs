use arpguard_common::verdict::{Mode, Policy};

use super::*;
use crate::device::fixture;

fn rules(all: &[(u32, &str, Mode)]) -> Rules {
    let mut rules = Rules::default();
    for (device, prefix, mode) in all {
        let prefix: Ipv4Net = prefix.parse().unwrap();
        rules.insert(
            Place::new(Policy::Hide, *device, prefix),
            Rule::hide(prefix.prefix_len(), None, *mode, false),
        );
    }
    rules
}

const WANTED: &[(u32, &str, Mode)] = &[
    (EVERY_DEVICE, "10.0.0.0/24", Mode::Enforce),
    (EVERY_DEVICE, "10.0.1.1/32", Mode::Enforce),
    (7, "10.0.2.0/24", Mode::Enforce),
];

#[test]
fn what_is_missing_is_counted_and_the_first_named() {
    let wanted = rules(WANTED);
    let now = rules(&[
        (EVERY_DEVICE, "10.0.0.0/24", Mode::Enforce),
        (EVERY_DEVICE, "10.0.1.1/32", Mode::Audit),
    ]);
    assert_eq!(missing(&wanted, |place| wanted.at(place)), None);
    let (first, count) = missing(&wanted, |place| now.at(place)).unwrap();
    assert_eq!((first.to_string(), count), ("10.0.1.1/32".into(), 2));
}

#[test]
fn a_rule_beside_the_wanted_ones_is_a_fault_only_where_it_holds_in_their_place() {
    use Mode::{Audit, Enforce};
    for ((device, prefix, mode), told) in [
        // Of other addresses, or another device.
        ((EVERY_DEVICE, "10.0.3.1/32", Audit), None),
        ((8, "10.0.2.0/25", Audit), None),
        // Around a wanted one, which is longer.
        ((EVERY_DEVICE, "10.0.0.0/8", Audit), None),
        ((7, "10.0.2.0/23", Audit), None),
        ((8, "10.0.1.0/24", Audit), None),
        // A wanted one of a single device comes first.
        ((EVERY_DEVICE, "10.0.2.0/24", Audit), None),
        // Inside a wanted one, and says the same.
        ((EVERY_DEVICE, "10.0.0.7/32", Enforce), None),
        ((8, "10.0.0.0/24", Enforce), None),
        // Inside a wanted one, and says something else.
        ((EVERY_DEVICE, "10.0.0.7/32", Audit), Some("10.0.0.0/24")),
        ((EVERY_DEVICE, "10.0.2.1/32", Audit), Some("10.0.2.0/24")),
        ((8, "10.0.0.7/32", Audit), Some("10.0.0.0/24")),
        ((7, "10.0.2.9/32", Audit), Some("10.0.2.0/24")),
        // Of the same length, on a single device.
        ((8, "10.0.0.0/24", Audit), Some("10.0.0.0/24")),
        ((8, "10.0.1.1/32", Audit), Some("10.0.1.1/32")),
    ] {
        let wanted = Wanted {
            rules: rules(WANTED),
            devices: vec![
                fixture::device(7, "eth7", &[]),
                fixture::device(8, "eth8", &[]),
            ],
            ..Wanted::default()
        };
        let mut all = WANTED.to_vec();
        all.push((device, prefix, mode));
        let found = overruled(&wanted, &rules(&all)).map(|prefix| prefix.to_string());
        assert_eq!(found.as_deref(), told, "{prefix} {mode:?} on {device}");
    }
}
