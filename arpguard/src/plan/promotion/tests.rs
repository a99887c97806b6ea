use arpguard_common::verdict::Mode;

use super::*;
use crate::device::fixture;

const VIP: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const ALL: On<'_> = On::Wherever(&[1, 2, 3]);

fn net(text: &str) -> Ipv4Net {
    text.parse().unwrap()
}

fn hide(length: u8) -> Rule {
    Rule::hide(
        length,
        Some(Ipv4Addr::new(10, 0, 0, 9)),
        Mode::Enforce,
        true,
    )
}

fn rules(all: &[(u32, &str, Rule)]) -> Rules {
    let mut rules = Rules::default();
    for (device, prefix, rule) in all {
        rules.insert(Place::new(rule.policy(), *device, net(prefix)), *rule);
    }
    rules
}

fn done(mut rules: Rules, changes: &[Change]) -> Rules {
    for change in changes {
        match change.rule {
            Some(rule) => rules.insert(change.place, rule),
            None => rules.remove(change.place),
        };
    }
    rules
}

/// Promotes and demotes, each twice: the second time nothing is left to do, and what was before is
/// as it was.
fn there_and_back(before: &Rules, on: On<'_>, promoted: &[(u32, &str, Rule)]) {
    let there = done(before.clone(), &promote(before, VIP, on).unwrap());
    assert_eq!(there, rules(promoted));
    assert_eq!(promote(&there, VIP, on), Ok(Vec::new()));
    let back = done(there.clone(), &demote(&there, VIP, on).unwrap());
    assert_eq!(back, *before);
    assert_eq!(demote(&back, VIP, on), Ok(Vec::new()));
}

#[test]
fn a_promotion_is_a_flag_or_a_rule_of_its_own_and_leaves_nothing_behind() {
    let every = rules(&[(0, "10.0.0.1/32", hide(32))]);
    there_and_back(&every, ALL, &[(0, "10.0.0.1/32", hide(32).promoted())]);
    there_and_back(
        &every,
        On::Each(&[2, 3]),
        &[
            (0, "10.0.0.1/32", hide(32)),
            (2, "10.0.0.1/32", hide(32).lent()),
            (3, "10.0.0.1/32", hide(32).lent()),
        ],
    );
    let prefix = rules(&[(0, "10.0.0.0/24", hide(24))]);
    let lent = (0, "10.0.0.1/32", hide(24).lent());
    there_and_back(&prefix, ALL, &[(0, "10.0.0.0/24", hide(24)), lent]);
    // A prefix and its address on one device, and on every device another prefix.
    let mixed = [
        (0, "10.0.0.0/16", hide(16)),
        (2, "10.0.0.0/24", hide(24)),
        (3, "10.0.0.1/32", hide(32)),
    ];
    there_and_back(
        &rules(&mixed),
        ALL,
        &[
            mixed[0],
            mixed[1],
            (0, "10.0.0.1/32", hide(16).lent()),
            (3, "10.0.0.1/32", hide(32).promoted()),
        ],
    );
    let on_one = rules(&[(2, "10.0.0.0/24", hide(24))]);
    let lent = (2, "10.0.0.1/32", hide(24).lent());
    there_and_back(&on_one, ALL, &[(2, "10.0.0.0/24", hide(24)), lent]);
}

#[test]
fn what_is_promoted_bars_nothing_and_all_else_is_as_before() {
    let before = rules(&[(0, "10.0.0.0/24", hide(24)), (0, "10.0.0.2/32", hide(32))]);
    let after = done(
        before.clone(),
        &promote(&before, VIP, On::Each(&[2])).unwrap(),
    );
    let bars = |rules: &Rules, device, last| {
        let address = Ipv4Addr::new(10, 0, 0, last);
        View::new(rules, device).rule(address).is_some()
    };
    for (device, last, barred) in [(2, 1, false), (2, 2, true), (2, 3, true), (1, 1, true)] {
        assert!(bars(&before, device, last));
        assert_eq!(bars(&after, device, last), barred, "{device} {last}");
    }
}

#[test]
fn what_is_not_hidden_is_neither_promoted_nor_demoted() {
    let none = |device| Unfit {
        device,
        found: None,
    };
    let pin = Rule::pin(32, 2, Mode::Enforce);
    let pinned = rules(&[(0, "10.0.0.1/32", pin), (0, "10.0.0.0/24", hide(24))]);
    let unfit = Unfit {
        device: 0,
        found: Some(pin),
    };
    type Step = fn(&Rules, Ipv4Addr, On<'_>) -> Result<Vec<Change>, Unfit>;
    let steps: [Step; 2] = [
        |r, vip, on| promote(r, vip, on),
        |r, vip, on| demote(r, vip, on),
    ];
    for of in steps {
        assert_eq!(of(&Rules::default(), VIP, ALL), Err(none(0)));
        let elsewhere = rules(&[(2, "10.0.0.1/32", hide(32))]);
        assert_eq!(of(&elsewhere, VIP, On::Each(&[2, 3])), Err(none(3)));
        assert_eq!(of(&pinned, VIP, ALL), Err(unfit));
    }
    // To hide it again on one device alone would take a rule that nobody has asked for.
    let everywhere = rules(&[(0, "10.0.0.1/32", hide(32).promoted())]);
    let found = Some(hide(32).promoted());
    let unfit = Unfit { device: 2, found };
    assert_eq!(demote(&everywhere, VIP, On::Each(&[2])), Err(unfit));
    assert_eq!(promote(&everywhere, VIP, On::Each(&[2])), Ok(Vec::new()));
}

/// What is promoted once `wanted` is made of `now`, where devices 2 and 3 are guarded.
fn after(wanted: &[(u32, &str, Rule)], now: &[(u32, &str, Rule)]) -> Rules {
    let wanted = Wanted {
        rules: rules(wanted),
        devices: vec![
            fixture::device(2, "eth0", &[]),
            fixture::device(3, "eth1", &[]),
        ],
        ..Wanted::default()
    };
    kept(&wanted, &rules(now)).into_owned()
}

#[test]
fn a_promotion_is_kept_where_the_address_is_still_to_be_hidden() {
    let own = (0, "10.0.0.1/32", hide(32));
    let promoted = (0, "10.0.0.1/32", hide(32).promoted());
    let prefix = (0, "10.0.0.0/24", hide(24));
    let lent = (0, "10.0.0.1/32", hide(24).lent());
    assert_eq!(after(&[own], &[own]), rules(&[own]));
    assert_eq!(after(&[own], &[promoted]), rules(&[promoted]));
    assert_eq!(after(&[prefix], &[prefix, lent]), rules(&[prefix, lent]));
    // The file says it of a prefix now, or of the address.
    assert_eq!(after(&[prefix], &[promoted]), rules(&[prefix, lent]));
    assert_eq!(after(&[own], &[prefix, lent]), rules(&[promoted]));
    // With another RIP.
    let auto = |length| Rule::hide(length, None, Mode::Enforce, false);
    let other = [(0, "10.0.0.0/24", auto(24))];
    let kept = rules(&[other[0], (0, "10.0.0.1/32", auto(24).lent())]);
    assert_eq!(after(&other, &[prefix, lent]), kept);
    // On other devices.
    let on = |device, rule| (device, "10.0.0.1/32", rule);
    let one = [on(2, hide(32))];
    let kept = rules(&[on(2, hide(32).promoted())]);
    assert_eq!(after(&one, &[promoted]), kept);
    let lent_to = |device| on(device, hide(32).lent());
    assert_eq!(after(&[own], &[own, lent_to(2)]), rules(&[own, lent_to(2)]));
    // Not on one that is gone, nor where nothing hides it any more.
    assert_eq!(after(&[own], &[own, lent_to(9)]), rules(&[own]));
    assert_eq!(after(&[], &[prefix, lent]), Rules::default());
    let pin = (0, "10.0.0.1/32", Rule::pin(32, 2, Mode::Enforce));
    assert_eq!(
        after(&[pin, prefix], &[prefix, lent]),
        rules(&[pin, prefix])
    );
}

#[test]
fn what_was_lent_goes_with_the_last_rule_that_could_lend_it() {
    let place = Place::new(Policy::Hide, 2, net("10.0.0.1/32"));
    let orphan = |all: &[(u32, &str, Rule)]| {
        let rules = rules(all);
        is_orphan(place, hide(24).lent(), |place| rules.at(place))
    };
    let lent = hide(24).lent();
    assert!(orphan(&[
        (2, "10.0.0.1/32", lent),
        (0, "10.0.0.1/32", lent)
    ]));
    assert!(orphan(&[(3, "10.0.0.0/24", hide(24))]));
    assert!(orphan(&[(
        0,
        "0.0.0.0/0",
        Rule::strict(false, Mode::Enforce)
    )]));
    assert!(!orphan(&[(2, "10.0.0.0/24", hide(24))]));
    assert!(!orphan(&[(0, "10.0.0.0/8", hide(8))]));
    assert!(!orphan(&[(0, "10.0.0.1/32", hide(32).promoted())]));
    let own = rules(&[]);
    assert!(!is_orphan(place, hide(32).promoted(), |place| own.at(place)));
}
