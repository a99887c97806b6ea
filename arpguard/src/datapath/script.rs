//! The order in which rules are written, so that frames are judged well in the middle of it.

mod draft;
mod pool;

use std::collections::BTreeMap;

use arpguard_common::abi::{Block, Book, EVERY_DEVICE, Key, Rule, Shape};

use self::{draft::Draft, pool::Pool};
use super::{Change, Place};

/// One write to the maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    /// Which tables have entries.
    Shape(Shape),
    /// A wait until every program has ended that has begun to look before.
    GracePeriod,
    /// A rule that is new, or new at its place, by itself.
    Rule(Place, Rule),
    /// The removal of the rule that a place has by itself.
    Removal(Place),
    /// A block that is new, or new at its key.
    Block {
        /// See [`Key::of_block`].
        key: Key,
        /// What it is to be; `None` removes it.
        block: Option<Block>,
        /// How many places have their new rule by this.
        places: usize,
    },
}

/// All writes of a change, one after the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Script {
    /// What to write, in this order.
    pub writes: Vec<Write>,
    /// The changes that undo these: what the rule was at each place whose rule changes.
    pub undo: Vec<Change>,
}

/// What to write for `changes`, where `entry` tells the rule that a place has by itself and `block` the
/// block at a key now, and `before` how many rules there are. Of two changes of one place the later one
/// counts.
///
/// After each write every address on every device has either the rule that it had before the
/// first one, or the rule that it has after the last: never that of a third policy, nor none where
/// both have one. Rules are written before any is removed. The rule that a longer prefix or a
/// device of its own prefers is written first, so that none is overruled for a moment by what it
/// shall itself overrule; and it is removed last, so that it uncovers nothing.
///
/// A program looks into one table after the other, and what is written meanwhile it may find or have passed by.
/// So a grace period comes between what it has passed by and what it may yet find: only where there
/// are both, as it takes the kernel some ten milliseconds.
///
/// Single addresses are in blocks or by themselves, as `Pool` has it. What was left half done may have
/// an address in both; each that is among `changes` is in one of them afterwards.
pub fn script(
    changes: &[Change],
    before: Shape,
    entry: impl Fn(Place) -> Option<Rule>,
    block: impl Fn(Key) -> Option<Block>,
) -> Script {
    let changes: BTreeMap<Place, Option<Rule>> = changes
        .iter()
        .map(|change| (change.place, change.rule))
        .collect();
    let mut draft = Draft::new(before);
    let mut pools = BTreeMap::<Key, Pool>::new();
    for (place, rule) in changes {
        let was = entry(place);
        match in_block(place) {
            Some(at) => pools
                .entry(at)
                .or_insert_with(|| Pool::new(at, block(at)))
                .add(place, was, rule),
            None => draft.change(place, was, rule),
        }
    }
    for pool in pools.into_values() {
        pool.write(&mut draft);
    }
    draft.finish()
}

/// Where the block is that may have a place's rule.
fn in_block(place: Place) -> Option<Key> {
    let may_be = place.book == Book::Own && place.prefix.prefix_len() == 32;
    may_be.then(|| place.key().of_block())
}

/// Which rule wins, as [`arpguard_common::policy::View::rule`] has it: the longest prefix, and of
/// equal ones that of the device. The books have nothing to do with each other.
fn rank(place: Place) -> (u8, bool) {
    (place.prefix.prefix_len(), place.device != EVERY_DEVICE)
}

/// How many rules there are in the table that has `place` by itself.
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

/// How many rules there are in the blocks of a key's book and device, or of all of its book.
pub fn blocks(shape: &mut Shape, key: Key) -> &mut u32 {
    let counts = shape.of_mut(key.book());
    if key.device() == EVERY_DEVICE {
        &mut counts.in_blocks
    } else {
        &mut counts.in_blocks_on_device
    }
}
