use std::{cell::Cell, collections::BTreeMap, iter, net::Ipv4Addr};

use arpguard_common::{
    abi::{Block, Book, EVERY_DEVICE, InUse, Key, Local, Rule, Shape},
    policy::{Tables, View},
    verdict::{Mode, Policy},
    wire::Mac,
};
use ipnet::Ipv4Net;
use proptest::{collection::vec, prelude::*};

use super::*;
use crate::{
    datapath::{Place, Script, Write, blocks, script, table},
    policy::EVERY_ADDRESS,
};

/// The tables in the kernel, with a shape that is written, as theirs is.
#[derive(Clone, Default)]
struct Kernel {
    /// What places have by themselves.
    entries: Rules,
    blocks: BTreeMap<Key, Block>,
    shape: Shape,
}

impl Kernel {
    /// With a policy that was reached by another one: what is in a block depends on it.
    fn by_way_of(first: &Rules, rules: &Rules) -> Self {
        let mut kernel = Self::default();
        kernel.apply(&between(&Rules::default(), first));
        kernel.apply(&between(first, rules));
        kernel
    }

    fn write(&mut self, write: Write) {
        match write {
            Write::Shape(shape) => self.shape = shape,
            Write::GracePeriod => {}
            Write::Rule(place, rule) => {
                self.entries.insert(place, rule);
            }
            Write::Removal(place) => {
                assert!(self.entries.remove(place).is_some(), "{place:?}");
            }
            Write::Block {
                key,
                block: Some(block),
                ..
            } => {
                assert!(!block.is_empty());
                self.blocks.insert(key, block);
            }
            Write::Block {
                key, block: None, ..
            } => {
                assert!(self.blocks.remove(&key).is_some(), "{key:?}");
            }
        }
        let (counted, told) = (self.count().to_words(), self.shape.to_words());
        let is_enough = counted.iter().zip(told).all(|(count, told)| *count <= told);
        assert!(is_enough, "{counted:?} are told as {told:?}");
    }

    /// Applies a change, and gives the tables after each write.
    fn apply(&mut self, changes: &[Change]) -> (Vec<Self>, Script) {
        let script = script(
            changes,
            self.shape,
            |place| self.entries.at(place),
            |key| self.blocks.get(&key).copied(),
        );
        let steps = script.writes.iter().map(|write| {
            self.write(*write);
            self.clone()
        });
        (steps.collect(), script.clone())
    }

    fn members(&self) -> impl Iterator<Item = (Place, Rule)> {
        self.blocks.iter().flat_map(|(key, block)| {
            block.members().map(|last| {
                let [a, b, c, _] = key.address;
                let place = Place {
                    device: key.device(),
                    prefix: Ipv4Addr::new(a, b, c, last).into(),
                    book: key.book(),
                };
                (place, block.rule().unwrap())
            })
        })
    }

    /// The policy that it has.
    fn rules(&self) -> Rules {
        let mut rules = Rules::default();
        let entries = self.entries.iter().map(|(place, rule)| (*place, *rule));
        for (place, rule) in entries.chain(self.members()) {
            rules.insert(place, rule);
        }
        rules
    }

    /// How many rules there are in each table.
    fn count(&self) -> Shape {
        let mut shape = Shape::default();
        for (place, _) in self.entries.iter() {
            *table(&mut shape, *place) += 1;
        }
        for (key, block) in &self.blocks {
            *blocks(&mut shape, *key) += block.len();
        }
        shape
    }

    /// Each rule is in one table, and that is counted.
    fn check_tables(&self) -> Result<(), TestCaseError> {
        prop_assert_eq!(self.count(), self.shape);
        for (place, _) in self.members() {
            prop_assert_eq!(self.entries.at(place), None, "{:?}", place);
        }
        Ok(())
    }
}

impl Tables for Kernel {
    fn in_use(&self) -> InUse {
        self.shape.in_use()
    }

    fn exact(&self, key: Key) -> Option<Rule> {
        self.entries.exact(key)
    }

    fn block(&self, key: Key) -> Option<Rule> {
        assert_eq!(key.book(), Book::Own);
        let block = self.blocks.get(&key.of_block())?;
        block.rule_of(key.last_octet())
    }

    fn prefix(&self, key: Key) -> Option<Rule> {
        self.entries.prefix(key)
    }

    fn claimant(&self, key: Key) -> Option<Mac> {
        self.entries.claimant(key)
    }

    fn local(&self, device: u32, target: Ipv4Addr) -> Option<Local> {
        self.entries.local(device, target)
    }

    fn mac(&self, device: u32) -> Option<Mac> {
        self.entries.mac(device)
    }
}

/// The tables as they are while a frame is judged, for which others are written: those of each moment,
/// and how many moments pass before each look.
struct Passing<'a> {
    moments: &'a [Kernel],
    now: Cell<usize>,
    paces: &'a [usize],
    looks: Cell<usize>,
    /// What there was before all of these, where the sieve is read before it is opened.
    sieve: Option<&'a Rules>,
}

impl<'a> Passing<'a> {
    fn through(moments: &'a [Kernel], paces: &'a [usize], sieve: Option<&'a Rules>) -> Self {
        let (now, looks) = (Cell::new(0), Cell::new(0));
        Self {
            moments,
            now,
            paces,
            looks,
            sieve,
        }
    }

    fn look(&self) -> &Kernel {
        let pace = self.paces[self.looks.get() % self.paces.len()];
        self.looks.set(self.looks.get() + 1);
        let now = (self.now.get() + pace).min(self.moments.len() - 1);
        self.now.set(now);
        &self.moments[now]
    }
}

impl Tables for Passing<'_> {
    fn in_use(&self) -> InUse {
        self.look().in_use()
    }

    fn may_have(&self, address: Ipv4Addr) -> bool {
        let has = |rules: &Rules| {
            rules
                .iter()
                .any(|(place, _)| place.prefix == address.into())
        };
        self.sieve.is_none_or(has)
    }

    fn exact(&self, key: Key) -> Option<Rule> {
        self.look().exact(key)
    }

    fn block(&self, key: Key) -> Option<Rule> {
        self.look().block(key)
    }

    fn prefix(&self, key: Key) -> Option<Rule> {
        self.look().prefix(key)
    }

    fn claimant(&self, key: Key) -> Option<Mac> {
        self.look().claimant(key)
    }

    fn local(&self, device: u32, target: Ipv4Addr) -> Option<Local> {
        self.look().local(device, target)
    }

    fn mac(&self, device: u32) -> Option<Mac> {
        self.look().mac(device)
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

/// Many addresses with one of a few rules, of a device or of every device.
fn pool() -> impl Strategy<Value = Vec<(Place, Rule)>> {
    let rule = prop_oneof![
        Just(Rule::hide(32, None, Mode::Enforce, false)),
        Just(Rule::hide(32, None, Mode::Audit, false)),
        Just(Rule::hide(32, None, Mode::Enforce, false).promoted()),
        Just(Rule::pin(32, 1, Mode::Enforce)),
    ];
    let members = prop_oneof![any::<u32>(), any::<[u32; 2]>().prop_map(|[a, b]| a | b)];
    (EVERY_DEVICE..2, rule, members).prop_map(|(device, rule, members)| {
        let last = (0..POOL).filter(|last| members >> last & 1 != 0);
        let address = last.map(|last| Ipv4Addr::new(10, 0, 0, last));
        let placed = |address: Ipv4Addr| placed(device, address.into(), rule);
        address.map(placed).collect()
    })
}

/// How many addresses of a network may have rules.
const POOL: u8 = 18;

fn policy() -> impl Strategy<Value = Rules> {
    (vec(pool(), 0..4), vec(rule(), 0..12)).prop_map(|(pools, rules)| {
        let mut policy = Rules::default();
        for (place, rule) in pools.into_iter().flatten().chain(rules) {
            policy.insert(place, rule);
        }
        policy
    })
}

/// What each device sees of each address: the rule of each book that is found.
fn seen(tables: &impl Tables) -> Vec<Option<Rule>> {
    everywhere(|device, address| {
        let view = View::new(tables, device);
        [view.found(address), view.bound(address)]
    })
}

/// The same, where each look-up is in tables of its own.
fn seen_anew<T: Tables>(begun: impl Fn() -> T) -> Vec<Option<Rule>> {
    everywhere(|device, address| {
        let found = View::new(&begun(), device).found(address);
        [found, View::new(&begun(), device).bound(address)]
    })
}

/// What is told of each address on each device.
fn everywhere(look: impl Fn(u32, Ipv4Addr) -> [Option<Rule>; 2]) -> Vec<Option<Rule>> {
    let devices = EVERY_DEVICE..3;
    let addresses = |device| (0..=POOL).map(move |last| (device, Ipv4Addr::new(10, 0, 0, last)));
    let each = devices.flat_map(addresses);
    each.flat_map(|(device, address)| look(device, address))
        .collect()
}

/// A frame that is judged while this is written has the rule of the one policy or of the other.
fn check_passing(
    before: &Kernel,
    steps: &[Kernel],
    script: &Script,
    wanted: &Rules,
    (paces, is_early): (&[usize], bool),
) -> Result<(), TestCaseError> {
    let (old, new) = (seen(before), seen(wanted));
    let then = before.rules();
    // Where nothing is in force yet, a frame may come upon a part of it.
    let is_first = then.is_empty();
    let moments: Vec<_> = iter::once(before).chain(steps).cloned().collect();
    let mut begin = 0;
    for stretch in script.writes.split(|write| *write == Write::GracePeriod) {
        // What has begun by its last write ends in the wait.
        let end = begin + stretch.len();
        for start in begin..=end {
            let sieve = (is_early && begin == 0).then_some(&then);
            let passing = || Passing::through(&moments[start..=end], paces, sieve);
            for ((found, old), new) in seen_anew(passing).iter().zip(&old).zip(&new) {
                let is_either = found == old || found == new;
                prop_assert!(is_either || is_first, "{found:?}: {old:?} or {new:?}");
            }
        }
        begin = end + 1;
    }
    Ok(())
}

fn of(steps: &[Kernel], at: prop::sample::Index) -> Option<&Kernel> {
    (!steps.is_empty()).then(|| at.get(steps))
}

/// At each step every address has the rule of the one policy or of the other.
fn check_steps(
    steps: &[Kernel],
    one: &impl Tables,
    other: &impl Tables,
) -> Result<(), TestCaseError> {
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
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_plan_makes_the_second_policy_of_the_first(
        first in policy(),
        now in policy(),
        wanted in policy(),
    ) {
        let mut kernel = Kernel::by_way_of(&first, &now);
        kernel.check_tables()?;
        let changes = between(&now, &wanted);
        prop_assert_eq!(changes.is_empty(), now == wanted);
        let (_, script) = kernel.apply(&changes);
        prop_assert_eq!(kernel.rules(), wanted.clone());
        kernel.check_tables()?;
        prop_assert_eq!(between(&wanted, &kernel.rules()), []);
        let told = script.writes.iter().map(|write| match write {
            Write::Shape(_) | Write::GracePeriod => 0,
            Write::Rule(..) | Write::Removal(_) => 1,
            Write::Block { places, .. } => *places,
        });
        prop_assert_eq!(told.sum::<usize>(), changes.len());
        prop_assert_eq!(script.undo.len(), changes.len());
    }

    #[test]
    fn at_each_step_an_address_has_its_old_rule_or_its_new_one(
        first in policy(),
        now in policy(),
        wanted in policy(),
    ) {
        let mut kernel = Kernel::by_way_of(&first, &now);
        let (steps, _) = kernel.apply(&between(&now, &wanted));
        check_steps(&steps, &now, &wanted)?;
    }

    /// A frame is judged by what it finds at several moments, with no grace period between them.
    #[test]
    fn while_rules_are_written_a_frame_is_judged_by_the_old_one_or_the_new_one(
        first in policy(),
        now in policy(),
        wanted in policy(),
        at in any::<prop::sample::Index>(),
        paces in vec(0_usize..6, 1..24),
        is_early in any::<bool>(),
    ) {
        let mut kernel = Kernel::by_way_of(&first, &now);
        let before = kernel.clone();
        let (steps, script) = kernel.apply(&between(&now, &wanted));
        check_passing(&before, &steps, &script, &wanted, (&paces, is_early))?;
        let Some(middle) = of(&steps, at) else {
            return Ok(());
        };
        let mut failed = middle.clone();
        let (steps, script) = failed.apply(&script.undo);
        check_passing(middle, &steps, &script, &now, (&paces, is_early))?;
    }

    #[test]
    fn a_change_that_fails_at_any_step_is_undone_as_gently(
        first in policy(),
        now in policy(),
        wanted in policy(),
        at in any::<prop::sample::Index>(),
        again in any::<prop::sample::Index>(),
    ) {
        let mut kernel = Kernel::by_way_of(&first, &now);
        let (steps, script) = kernel.apply(&between(&now, &wanted));
        if steps.is_empty() {
            return Ok(());
        }
        let mut failed = at.get(&steps).clone();
        let middle = failed.clone();
        let (steps, _) = failed.apply(&script.undo);
        check_steps(&steps, &middle, &now)?;
        // What undoes it may die as well.
        for mut failed in steps.last().into_iter().chain(of(&steps, again)).cloned() {
            let middle = failed.clone();
            let (steps, _) = failed.apply(&script.undo);
            check_steps(&steps, &middle, &now)?;
            prop_assert_eq!(failed.rules(), now.clone());
            failed.shape = failed.count();
            failed.check_tables()?;
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
        let changes = between(now, wanted);
        let script = script(&changes, now.shape, |place| now.at(place), |_| None);
        let place = |write: &Write| match write {
            Write::Rule(place, _) | Write::Removal(place) => Some(*place),
            Write::Shape(_) | Write::Block { .. } | Write::GracePeriod => None,
        };
        script.writes.iter().filter_map(place).collect::<Vec<_>>()
    };
    let empty = Rules::default();
    assert_eq!(written(&policy, &empty), places);
    let mut reversed = places;
    reversed.reverse();
    assert_eq!(written(&empty, &policy), reversed);
}

fn hidden(last: impl IntoIterator<Item = u8>, rule: Rule) -> Vec<Change> {
    let of = |last| Change {
        place: Place::new(
            Policy::Hide,
            EVERY_DEVICE,
            Ipv4Addr::new(10, 0, 0, last).into(),
        ),
        rule: Some(rule),
    };
    last.into_iter().map(of).collect()
}

fn shown(last: impl IntoIterator<Item = u8>) -> Vec<Change> {
    let mut changes = hidden(last, Rule::hide(32, None, Mode::Enforce, false));
    for change in &mut changes {
        change.rule = None;
    }
    changes
}

/// How many are in blocks, and how many by themselves.
fn counts(kernel: &Kernel) -> (u32, u32) {
    kernel.check_tables().unwrap();
    (kernel.shape.own.in_blocks, kernel.shape.own.exact)
}

#[test]
fn addresses_of_a_pool_are_one_block() {
    let (one, other) = (
        Rule::hide(32, None, Mode::Enforce, false),
        Rule::hide(32, None, Mode::Audit, false),
    );
    let mut kernel = Kernel::default();
    kernel.apply(&hidden(0..7, one));
    assert_eq!(counts(&kernel), (0, 7), "too few");
    kernel.apply(&hidden(10..18, one));
    assert_eq!(counts(&kernel), (8, 7));
    kernel.apply(&hidden([20], one));
    assert_eq!(counts(&kernel), (9, 7), "one joins");
    kernel.apply(&hidden(100..200, other));
    assert_eq!(counts(&kernel), (9, 107), "another rule does not");
    kernel.apply(&hidden([10], other));
    assert_eq!(counts(&kernel), (8, 108), "one leaves");
    kernel.apply(&hidden(10..21, other));
    assert_eq!(counts(&kernel), (10, 108), "all have another rule");
    kernel.apply(&hidden(0..200, other));
    assert_eq!(
        counts(&kernel),
        (99, 101),
        "who has the rule stays where it is"
    );
    kernel.apply(&shown(10..21));
    kernel.apply(&shown(0..200));
    assert_eq!(counts(&kernel), (0, 0));
    assert!(kernel.blocks.is_empty());
}

/// A pool that is hidden or shown at once takes one write beside those of the shape.
#[test]
fn a_pool_is_written_in_one() {
    let rule = Rule::hide(32, None, Mode::Enforce, false);
    let mut kernel = Kernel::default();
    for changes in [
        hidden(0..=255, rule),
        hidden(0..=255, rule.promoted()),
        shown(0..=255),
    ] {
        let (_, script) = kernel.apply(&changes);
        assert_eq!(script.writes.len(), 3, "{:?}", script.writes);
        assert_eq!(script.undo.len(), 256);
    }
}
