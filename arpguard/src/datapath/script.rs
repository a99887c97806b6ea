//! The order in which rules are written, so that frames are judged well in the middle of it.

use std::collections::BTreeMap;

use arpguard_common::abi::{EVERY_DEVICE, Rule, Shape};

use super::{Change, Place};

/// One write to the maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    /// Which tables have entries.
    Shape(Shape),
    /// A rule that is new, or new at its place.
    Rule(Place, Rule),
    /// The removal of the rule at a place.
    Removal(Place),
}

/// All writes of a change, one after the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Script {
    /// What to write, in this order.
    pub writes: Vec<Write>,
    /// The changes that undo these: what `old` told of each place that is written to.
    pub undo: Vec<Change>,
}

/// What to write for `changes`, where `old` tells the rule at a place now and `before` how many
/// there are. Of two changes of one place the later one counts.
///
/// After each write every address on every device has either the rule that it had before the
/// first one, or the rule that it has after the last: never that of a third policy, nor none where
/// both have one. Rules are written before any is removed. The rule that a longer prefix or a
/// device of its own prefers is written first, so that none is overruled for a moment by what it
/// shall itself overrule; and it is removed last, so that it uncovers nothing.
pub fn script(changes: &[Change], before: Shape, old: impl Fn(Place) -> Option<Rule>) -> Script {
    let changes: BTreeMap<Place, Option<Rule>> = changes
        .iter()
        .map(|change| (change.place, change.rule))
        .collect();
    let (mut largest, mut after) = (before, before);
    let (mut rules, mut removals, mut undo) = (Vec::new(), Vec::new(), Vec::new());
    for (place, rule) in changes {
        let was = old(place);
        match (was, rule) {
            _ if was == rule => continue,
            (None, Some(_)) => {
                more(table(&mut largest, place));
                more(table(&mut after, place));
            }
            (Some(_), None) => less(table(&mut after, place)),
            _ => {}
        }
        match rule {
            Some(rule) => rules.push((place, rule)),
            None => removals.push(place),
        }
        undo.push(Change { place, rule: was });
    }
    if undo.is_empty() {
        return Script::default();
    }
    rules.sort_by_key(|(place, _)| std::cmp::Reverse(rank(*place)));
    removals.sort_by_key(|place| rank(*place));
    let mut writes = vec![Write::Shape(largest)];
    writes.extend(rules.iter().map(|(place, rule)| Write::Rule(*place, *rule)));
    writes.extend(removals.iter().map(|place| Write::Removal(*place)));
    writes.push(Write::Shape(after));
    Script { writes, undo }
}

/// Which rule wins, as [`arpguard_common::policy::View::rule`] has it: the longest prefix, and of
/// equal ones that of the device. The books have nothing to do with each other.
fn rank(place: Place) -> (u8, bool) {
    (place.prefix.prefix_len(), place.device != EVERY_DEVICE)
}

/// How many rules there are in the table that has `place`.
pub fn table(shape: &mut Shape, place: Place) -> &mut u32 {
    let counts = shape.of_mut(place.book);
    match (
        place.device == EVERY_DEVICE,
        place.prefix.prefix_len() == 32,
    ) {
        (true, true) => &mut counts.exact,
        (false, true) => &mut counts.exact_on_device,
        (true, false) => &mut counts.prefixes,
        (false, false) => &mut counts.prefixes_on_device,
    }
}

const fn more(count: &mut u32) {
    *count = count.saturating_add(1);
}

const fn less(count: &mut u32) {
    *count = count.saturating_sub(1);
}
