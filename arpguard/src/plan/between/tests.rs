use std::net::Ipv4Addr;

use arpguard_common::{
    abi::{EVERY_DEVICE, InUse, Key, Local, Rule, Shape},
    policy::{Tables, View},
    verdict::{Mode, Policy},
    wire::Mac,
};
use ipnet::Ipv4Net;
use proptest::{collection::vec, prelude::*};

use super::*;
use crate::{
    datapath::{Place, Write, script},
    policy::EVERY_ADDRESS,
};

/// The tables in the kernel, with a shape that is written, as theirs is.
#[derive(Clone, Default)]
struct Kernel {
    rules: Rules,
    shape: Shape,
}

impl Kernel {
    fn of(rules: &Rules) -> Self {
        Self {
            rules: rules.clone(),
            shape: rules.shape,
        }
    }

    fn write(&mut self, write: Write) {
        match write {
            Write::Shape(shape) => self.shape = shape,
            Write::Rule(place, rule) => {
                self.rules.insert(place, rule);
            }
            Write::Removal(place) => {
                self.rules.remove(place);
            }
        }
    }

    /// Applies a change, and gives the tables after each write.
    fn apply(&mut self, changes: &[Change]) -> (Vec<Self>, Vec<Change>) {
        let script = script(changes, self.shape, |place| self.rules.at(place));
        let steps = script.writes.iter().map(|write| {
            self.write(*write);
            self.clone()
        });
        (steps.collect(), script.undo.clone())
    }
}

impl Tables for Kernel {
    fn in_use(&self) -> InUse {
        self.shape.in_use()
    }

    fn exact(&self, key: Key) -> Option<Rule> {
        self.rules.exact(key)
    }

    fn prefix(&self, key: Key) -> Option<Rule> {
        self.rules.prefix(key)
    }

    fn claimant(&self, key: Key) -> Option<Mac> {
        self.rules.claimant(key)
    }

    fn local(&self, device: u32, target: Ipv4Addr) -> Option<Local> {
        self.rules.local(device, target)
    }

    fn mac(&self, device: u32) -> Option<Mac> {
        self.rules.mac(device)
    }
}

/// Small enough that two policies often name the same, and prefixes hold one another.
fn prefix() -> impl Strategy<Value = Ipv4Net> {
    (0_u8..8, 28_u8..=32).prop_map(|(last, length)| {
        Ipv4Net::new(Ipv4Addr::new(10, 0, 0, last), length)
            .unwrap()
            .trunc()
    })
}

fn mode() -> impl Strategy<Value = Mode> {
    prop_oneof![Just(Mode::Enforce), Just(Mode::Audit)]
}

/// A rule of any policy, at a place that it can have.
fn rule() -> impl Strategy<Value = (Place, Rule)> {
    let devices = EVERY_DEVICE..3;
    let hide = (devices.clone(), prefix(), mode(), any::<bool>(), 0_u8..3).prop_map(
        |(device, prefix, mode, shield, rip)| {
            let rip = (rip > 0).then_some(Ipv4Addr::new(10, 0, 1, rip));
            let rule = Rule::hide(prefix.prefix_len(), rip, mode, shield);
            placed(device, prefix, rule)
        },
    );
    let pin = (prefix(), 1_u32..5, mode()).prop_map(|(prefix, home, mode)| {
        let rule = Rule::pin(prefix.prefix_len(), home, mode);
        placed(EVERY_DEVICE, prefix, rule)
    });
    let strict =
        (devices.clone(), any::<bool>(), mode()).prop_map(|(device, same_subnet, mode)| {
            placed(device, EVERY_ADDRESS, Rule::strict(same_subnet, mode))
        });
    let answer =
        (1_u32..3, prefix(), mode(), any::<bool>()).prop_map(|(device, prefix, mode, forced)| {
            let rule = Rule::answer(prefix.prefix_len(), None, mode, false, forced);
            placed(device, prefix, rule)
        });
    let bind = (devices, prefix(), mode(), 1_u8..3).prop_map(|(device, prefix, mode, last)| {
        let rule = Rule::bind(prefix.prefix_len(), Mac([2, 0, 0, 0, 0, last]), mode);
        placed(device, prefix, rule)
    });
    prop_oneof![3 => hide, 3 => pin, 1 => strict, 2 => answer, 2 => bind]
}

fn placed(device: u32, prefix: Ipv4Net, rule: Rule) -> (Place, Rule) {
    (Place::new(rule.policy(), device, prefix), rule)
}

fn policy() -> impl Strategy<Value = Rules> {
    vec(rule(), 0..12).prop_map(|rules| {
        let mut policy = Rules::default();
        for (place, rule) in rules {
            policy.insert(place, rule);
        }
        policy
    })
}

/// What each device sees of each address: the rule of each book that is found.
fn seen(tables: &impl Tables) -> Vec<Option<Rule>> {
    let devices = EVERY_DEVICE..4;
    let view = |device| {
        let view = View::new(tables, device);
        (0..18).flat_map(move |last| {
            let address = Ipv4Addr::new(10, 0, 0, last);
            [view.found(address), view.bound(address)]
        })
    };
    devices.flat_map(view).collect()
}

/// At each step every address has the rule of the one policy or of the other.
fn check_steps(steps: &[Kernel], one: &Rules, other: &Rules) -> Result<(), TestCaseError> {
    let (one, other) = (seen(one), seen(other));
    for step in steps {
        for ((now, one), other) in seen(step).iter().zip(&one).zip(&other) {
            prop_assert!(now == one || now == other, "{now:?}: {one:?} or {other:?}");
            let shown = now.is_none() && one.is_some() && other.is_some();
            prop_assert!(!shown, "{one:?} and {other:?}");
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_plan_makes_the_second_policy_of_the_first(now in policy(), wanted in policy()) {
        let mut kernel = Kernel::of(&now);
        let changes = between(&now, &wanted);
        prop_assert_eq!(changes.is_empty(), now == wanted);
        kernel.apply(&changes);
        prop_assert_eq!(&kernel.rules, &wanted);
        prop_assert_eq!(kernel.shape, wanted.shape);
        prop_assert_eq!(between(&wanted, &kernel.rules), []);
    }

    #[test]
    fn at_each_step_an_address_has_its_old_rule_or_its_new_one(
        now in policy(),
        wanted in policy(),
    ) {
        let mut kernel = Kernel::of(&now);
        let (steps, _) = kernel.apply(&between(&now, &wanted));
        check_steps(&steps, &now, &wanted)?;
    }

    #[test]
    fn a_change_that_fails_at_any_step_is_undone_as_gently(
        now in policy(),
        wanted in policy(),
        at in any::<prop::sample::Index>(),
    ) {
        let mut kernel = Kernel::of(&now);
        let (steps, undo) = kernel.apply(&between(&now, &wanted));
        if !steps.is_empty() {
            let mut failed = at.get(&steps).clone();
            let middle = failed.rules.clone();
            failed.shape = Shape::from_words([12; Shape::WORDS]);
            let (steps, _) = failed.apply(&undo);
            prop_assert_eq!(&failed.rules, &now);
            check_steps(&steps, &middle, &now)?;
        }
    }
}

#[test]
fn the_rules_that_overrule_come_first_and_go_last() {
    let rule = |length| Rule::hide(length, None, Mode::Enforce, false);
    let place = |device, text: &str| Place::new(Policy::Hide, device, text.parse().unwrap());
    let places = [
        place(EVERY_DEVICE, "10.0.0.0/24"),
        place(2, "10.0.0.0/24"),
        place(EVERY_DEVICE, "10.0.0.1/32"),
        place(2, "10.0.0.1/32"),
    ];
    let mut policy = Rules::default();
    for place in places {
        policy.insert(place, rule(place.prefix.prefix_len()));
    }
    let written = |now: &Rules, wanted: &Rules| {
        let script = script(&between(now, wanted), now.shape, |place| now.at(place));
        let place = |write: &Write| match write {
            Write::Rule(place, _) | Write::Removal(place) => Some(*place),
            Write::Shape(_) => None,
        };
        script.writes.iter().filter_map(place).collect::<Vec<_>>()
    };
    let empty = Rules::default();
    assert_eq!(written(&policy, &empty), places);
    let mut reversed = places;
    reversed.reverse();
    assert_eq!(written(&empty, &policy), reversed);
}
