//! A script that is being made.

use std::cmp::Reverse;

use arpguard_common::abi::{Block, Key, Rule, Shape};

use super::{Script, Write, blocks, rank, table};
use crate::datapath::{Change, Place};

/// Where in a script a write stands: before or after others of [`rank`].
type Ranked = ((u8, bool), Write);

pub(super) struct Draft {
    /// How many rules there are once all are written and none is removed; then at the end.
    largest: Shape,
    after: Shape,
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
            largest: before,
            after: before,
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
        if was.is_none() {
            for shape in [&mut self.largest, &mut self.after] {
                more(table(shape, place), 1);
            }
        }
        self.rules.push((rank(place), Write::Rule(place, rule)));
    }

    /// Removes the rule that a place has by itself, once all rules are written.
    pub(super) fn remove(&mut self, place: Place) {
        less(table(&mut self.after, place), 1);
        self.removals.push((rank(place), Write::Removal(place)));
    }

    /// Removes it where its block has got the place, before what has a lower rank is written.
    pub(super) fn give_way(&mut self, place: Place) {
        less(table(&mut self.after, place), 1);
        self.rules.push((rank(place), Write::Removal(place)));
    }

    /// Writes a block, of the rank of `place`, to which members may come.
    pub(super) fn fill(&mut self, place: Place, remade: &Remade) {
        if let Some(write) = self.remake(remade) {
            self.rules.push((rank(place), write));
        }
    }

    /// Writes a block, once all rules are written, from which members may only go.
    pub(super) fn drain(&mut self, place: Place, remade: &Remade) {
        if let Some(write) = self.remake(remade) {
            self.removals.push((rank(place), write));
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
        self.rules.sort_by_key(|(rank, _)| Reverse(*rank));
        self.removals.sort_by_key(|(rank, _)| *rank);
        let mut writes = vec![Write::Shape(self.largest)];
        writes.extend(self.rules.iter().map(|(_, write)| *write));
        writes.extend(self.removals.iter().map(|(_, write)| *write));
        writes.push(Write::Shape(self.after));
        Script {
            writes,
            undo: self.undo,
        }
    }
}

const fn more(count: &mut u32, by: u32) {
    *count = count.saturating_add(by);
}

const fn less(count: &mut u32, by: u32) {
    *count = count.saturating_sub(by);
}
