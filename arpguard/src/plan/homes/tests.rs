use std::cell::Cell;

use arpguard_common::verdict::Mode;

use super::*;
use crate::{device::fixture, terms::Fallback};

const FIRST: u32 = 3;
const SECOND: u32 = 4;

/// A host with `eth3` and `eth4`, each as is told; `None`: it is not there.
fn host(first: Option<Link>, second: Option<Link>) -> Host {
    let device = |index, link: Option<Link>| {
        link.map(|link| Device {
            link,
            ..fixture::device(index, &format!("eth{index}"), &[])
        })
    };
    Host {
        devices: [device(FIRST, first), device(SECOND, second)]
            .into_iter()
            .flatten()
            .collect(),
        default_sources: Vec::new(),
    }
}

fn terms(dev: &str, fallback: Option<(&str, u32)>) -> Terms {
    Terms {
        dev: dev.to_owned(),
        fallback: fallback.map(|(dev, hold)| Fallback {
            dev: dev.to_owned(),
            hold,
        }),
        route: false,
        by_hand: false,
    }
}

const UP: Option<Link> = Some(Link::Up);
const LOST: Option<Link> = Some(Link::NoCarrier);
const DOWN: Option<Link> = Some(Link::Down);
const GONE: Option<Link> = None;
/// What a device was before it was made anew.
const OLD: u32 = 9;

#[test]
fn a_pin_goes_where_a_link_is_and_comes_back_when_its_own_holds() {
    let terms = terms("eth3", Some(("eth4", 10)));
    for (first, second, present, held, at) in [
        // New: by the links, and where none is, by what is there.
        (UP, UP, None, false, Some(FIRST)),
        (LOST, UP, None, false, Some(SECOND)),
        (DOWN, UP, None, false, Some(SECOND)),
        (GONE, UP, None, false, Some(SECOND)),
        (LOST, LOST, None, false, Some(FIRST)),
        (GONE, DOWN, None, false, Some(SECOND)),
        (GONE, GONE, None, false, None),
        // At home.
        (UP, UP, Some(FIRST), true, Some(FIRST)),
        (LOST, UP, Some(FIRST), true, Some(SECOND)),
        (DOWN, UP, Some(FIRST), true, Some(SECOND)),
        (GONE, UP, Some(FIRST), true, Some(SECOND)),
        (LOST, LOST, Some(FIRST), true, Some(FIRST)),
        (GONE, LOST, Some(FIRST), true, Some(FIRST)),
        // Away.
        (UP, UP, Some(SECOND), false, Some(SECOND)),
        (UP, UP, Some(SECOND), true, Some(FIRST)),
        (LOST, UP, Some(SECOND), true, Some(SECOND)),
        (LOST, LOST, Some(SECOND), true, Some(SECOND)),
        (UP, LOST, Some(SECOND), false, Some(FIRST)),
        (UP, GONE, Some(SECOND), false, Some(FIRST)),
        // The device that it was on is another now.
        (UP, UP, Some(OLD), false, Some(FIRST)),
        (LOST, UP, Some(OLD), false, Some(SECOND)),
        (LOST, GONE, Some(OLD), false, Some(OLD)),
    ] {
        let asked = Cell::new(None);
        let holds = |device: &Device, hold| {
            asked.set(Some((device.index, hold)));
            held
        };
        let host = host(first, second);
        let found = home(&terms, present, &host, Mover::Follower(&holds));
        let case = (first, second, present, held);
        assert_eq!(found, at, "{case:?}");
        assert!([None, Some((FIRST, 10))].contains(&asked.get()), "{case:?}");
        // Who does not follow leaves it where it is, as long as that is there.
        let stays = match (present, first, second) {
            (Some(FIRST), Some(_), _) => Some(FIRST),
            (Some(SECOND), _, Some(_)) => Some(SECOND),
            _ => at,
        };
        assert_eq!(
            home(&terms, present, &host, Mover::Nobody),
            stays,
            "{case:?}"
        );
    }
}

#[test]
fn a_rule_keeps_the_home_that_it_has_under_the_same_devices_only() {
    let host = host(UP, UP);
    let known = Numbered::from([(7, terms("eth3", Some(("eth4", 10))))]);
    let placed = Rule::pin(32, FIRST, Mode::Enforce);
    let away = Rule::pin(32, SECOND, Mode::Enforce);
    for (wanted, was, home, number) in [
        (terms("eth3", Some(("eth4", 10))), away.under(7), SECOND, 7),
        // Told anew, with another time.
        (terms("eth3", Some(("eth4", 20))), away.under(7), SECOND, 1),
        // With other devices.
        (terms("eth3", Some(("eth5", 10))), away.under(7), FIRST, 1),
        (
            terms("eth4", Some(("eth3", 10))),
            placed.under(7),
            SECOND,
            1,
        ),
        // It was pinned to that one without terms.
        (terms("eth3", Some(("eth4", 10))), away, FIRST, 7),
    ] {
        let mut settling = Settling::new(&host, &known, Mover::Nobody);
        let settled = settling
            .settle(placed, &wanted, Some(was), || panic!("there is room"))
            .unwrap();
        assert_eq!(
            (settled.home(), settled.terms()),
            (home, number),
            "{wanted:?}"
        );
        let fresh = settling.fresh();
        assert_eq!(fresh.get(&1), (number == 1).then_some(&wanted));
    }
}

#[test]
fn numbers_of_terms_that_no_rule_is_under_are_given_again() {
    let host = host(UP, UP);
    let known: Numbered = (1..=255)
        .map(|number| (number, terms("eth3", Some(("eth4", number.into())))))
        .collect();
    let rule = Rule::pin(32, FIRST, Mode::Enforce);
    let wanted = terms("eth4", Some(("eth3", 0)));
    let all_but_nine = || Ok((1..=255).filter(|number| *number != 9).collect());
    let mut settling = Settling::new(&host, &known, Mover::Nobody);
    for _ in 0..2 {
        let settled = settling.settle(rule, &wanted, None, all_but_nine).unwrap();
        assert_eq!(settled.terms(), 9);
    }
    let other = terms("eth4", Some(("eth3", 1)));
    let error = settling.settle(rule, &other, None, all_but_nine);
    assert_eq!(
        error.unwrap_err().to_string(),
        "pin to: eth4: there is room for 255 different pairs of devices, times and routes, all taken"
    );
}

#[test]
fn a_pin_on_its_fallback_is_away_and_it_is_told_why() {
    let two = terms("eth3", Some(("eth4", 10)));
    for (first, why) in [
        (UP, "up again, and has to hold"),
        (LOST, "without carrier"),
        (DOWN, "down"),
        (GONE, "gone"),
    ] {
        assert_eq!(away(&two, SECOND, &host(first, UP)), Some(why));
        assert_eq!(away(&two, FIRST, &host(first, UP)), None);
    }
    assert_eq!(away(&terms("eth3", None), SECOND, &host(LOST, UP)), None);
}
