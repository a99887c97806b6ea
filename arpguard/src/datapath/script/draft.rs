//! A script that is being made.

use std::cmp::Reverse;

use arpguard_common::abi::{Block, Key, Rule, Shape};

use super::{Script, Write, blocks, rank, table};
use crate::datapath::{Change, Place};

/// A write, and where in a script it stands.
struct Ranked {
    /// Before or after others of [`rank`].
    rank: (u8, bool),
    write: Write,
    /// Whether a place comes to have a rule there by it, or ceases to: a program that has looked there just
    /// before knows nothing of that.
    shifts: bool,
}

pub(super) struct Draft {
    before: Shape,
    /// How many rules there are once all are written and none is removed; then at the end.
    largest: Shape,
    after: Shape,
    /// Whether a place leaves its block for a table that may not have been in use.
    is_left: bool,
    rules: Vec<Ranked>,
    removals: Vec<Ranked>,
    undo: Vec<Change>,
}

/// A block as it is, and as it shall be.
pub(super) struct Remade {
    pub(super) key: Key,
    pub(super) was: Option<Block>,
    pub(super) block: Option<Block>,
    /// How many places have their new rule by it.
    pub(super) places: usize,
}

impl Draft {
    pub(super) const fn new(before: Shape) -> Self {
        Self {
            before,
            largest: before,
            after: before,
            is_left: false,
            rules: Vec::new(),
            removals: Vec::new(),
            undo: Vec::new(),
        }
    }

    /// Changes the rule that a place has by itself.
    pub(super) fn change(&mut self, place: Place, was: Option<Rule>, rule: Option<Rule>) {
        if was == rule {
            return;
        }
        self.undo(place, was);
        match rule {
            Some(rule) => self.set(place, was, rule),
            None => self.remove(place),
        }
    }

    /// Notes what the rule was at a place where it changes.
    pub(super) fn undo(&mut self, place: Place, was: Option<Rule>) {
        self.undo.push(Change { place, rule: was });
    }

    /// Writes a rule that a place is to have by itself.
    pub(super) fn set(&mut self, place: Place, was: Option<Rule>, rule: Rule) {
        if was == Some(rule) {
            return;
        }
        let is_new = was.is_none();
        if is_new {
            for shape in [&mut self.largest, &mut self.after] {
                more(table(shape, place), 1);
            }
        }
        self.rules.push(Ranked {
            rank: rank(place),
            write: Write::Rule(place, rule),
            shifts: is_new,
        });
    }

    /// Removes the rule that a place has by itself, once all rules are written.
    pub(super) fn remove(&mut self, place: Place) {
        less(table(&mut self.after, place), 1);
        self.removals.push(Ranked {
            rank: rank(place),
            write: Write::Removal(place),
            shifts: true,
        });
    }

    /// Writes a block, of the rank of `place`, to which members may come. Who leaves it has its own rule.
    pub(super) fn fill(&mut self, place: Place, remade: &Remade) {
        if let Some(write) = self.remake(remade) {
            self.is_left |= lacks(remade.block, remade.was);
            self.rules.push(Ranked {
                rank: rank(place),
                write,
                shifts: lacks(remade.was, remade.block),
            });
        }
    }

    /// Writes a block, once all rules are written, from which members may only go.
    pub(super) fn drain(&mut self, place: Place, remade: &Remade) {
        if let Some(write) = self.remake(remade) {
            self.removals.push(Ranked {
                rank: rank(place),
                write,
                shifts: true,
            });
        }
    }

    fn remake(&mut self, remade: &Remade) -> Option<Write> {
        let Remade {
            key,
            was,
            block,
            places,
        } = *remade;
        if block == was {
            return None;
        }
        let count = |block: Option<Block>| block.map_or(0, |block| block.len());
        let (was, now) = (count(was), count(block));
        more(blocks(&mut self.largest, key), now.saturating_sub(was));
        let after = blocks(&mut self.after, key);
        more(after, now);
        less(after, was);
        Some(Write::Block { key, block, places })
    }

    pub(super) fn finish(mut self) -> Script {
        if self.rules.is_empty() && self.removals.is_empty() {
            return Script::default();
        }
        self.rules.sort_by_key(|ranked| Reverse(ranked.rank));
        self.removals.sort_by_key(|ranked| ranked.rank);
        let mut writes = vec![Write::Shape(self.largest)];
        if self.is_left && self.largest.in_use() != self.before.in_use() {
            writes.push(Write::GracePeriod);
        }
        // Where there is no rule yet, none can be missed.
        let is_guarded = self.before != Shape::default();
        let is_same = |a: &Ranked, b: &Ranked| a.rank == b.rank;
        let [rules, removals] = [&self.rules, &self.removals].map(|of| of.chunk_by(is_same));
        let mut has_shifted = false;
        for ranked in rules.chain(removals) {
            if has_shifted && is_guarded {
                writes.push(Write::GracePeriod);
                has_shifted = false;
            }
            has_shifted |= ranked.iter().any(|ranked| ranked.shifts);
            writes.extend(ranked.iter().map(|ranked| ranked.write));
        }
        writes.push(Write::Shape(self.after));
        Script {
            writes,
            undo: self.undo,
        }
    }
}

/// Whether `block` lacks members of `other`.
fn lacks(block: Option<Block>, other: Option<Block>) -> bool {
    let has = |at| block.is_some_and(|block| block.rule_of(at).is_some());
    other.is_some_and(|other| other.members().any(|at| !has(at)))
}

const fn more(count: &mut u32, by: u32) {
    *count = count.saturating_add(by);
}

const fn less(count: &mut u32, by: u32) {
    *count = count.saturating_sub(by);
}
