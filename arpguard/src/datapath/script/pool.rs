//! The single addresses of one /24, on a device or on every device: which of them are in its block, and
//! which have their rule by themselves.

use std::collections::HashMap;

use arpguard_common::abi::{Block, Key, MAX_ADDRESSES, MAX_BLOCKS, Rule};

use super::draft::{Draft, Remade};
use crate::datapath::Place;

/// How many addresses of a /24 have to get one rule at once for a block to be made of them. Of as many
/// addresses as there is room for by themselves, there is room for all blocks.
const MIN_BLOCK: u32 = 8;

const _: () = assert!(MIN_BLOCK * MAX_BLOCKS == MAX_ADDRESSES);

/// What changes in one /24.
///
/// While a member of its block does not change, the block's rule stays. Where all do, or there is no
/// block, it gets the rule that most of the changes are to, if these are enough. Who gets the block's
/// rule is made a member, who gets another one has it by itself.
///
/// The block's rule wins over one that a member has by itself. So who leaves the block gets its own rule
/// before, and who comes loses it after. The block is written in one, whoever comes and leaves.
pub(super) struct Pool {
    key: Key,
    block: Option<Block>,
    changes: Vec<Single>,
}

/// A single address that changes, or has been left both by itself and in the block.
struct Single {
    place: Place,
    /// In the block.
    at: u8,
    /// What it has by itself.
    entry: Option<Rule>,
    /// What it is to have.
    rule: Option<Rule>,
}

impl Pool {
    pub(super) const fn new(key: Key, block: Option<Block>) -> Self {
        Self {
            key,
            block,
            changes: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, place: Place, entry: Option<Rule>, rule: Option<Rule>) {
        let [.., at] = place.prefix.addr().octets();
        self.changes.push(Single {
            place,
            at,
            entry,
            rule,
        });
    }

    pub(super) fn write(mut self, draft: &mut Draft) {
        let block = self.block;
        let member_of = |at: u8| block.and_then(|block| block.rule_of(at));
        self.changes.retain(|single| {
            let was = member_of(single.at).or(single.entry);
            if was != single.rule {
                draft.undo(single.place, was);
            }
            was != single.rule || single.entry.is_some() && member_of(single.at).is_some()
        });
        // All are of one rank.
        let Some(place) = self.changes.first().map(|single| single.place) else {
            return;
        };
        let rule = self.rule();
        let shares = |single: &&Single| single.rule.is_some() && single.rule == rule;
        let filled = self.filled(rule);
        for single in &self.changes {
            if let Some(own) = single.rule.filter(|_| !shares(&single)) {
                draft.set(single.place, single.entry, own);
            }
        }
        let joining = || self.changes.iter().filter(shares);
        draft.fill(
            place,
            &Remade {
                key: self.key,
                was: block,
                block: filled,
                places: joining().filter(|single| single.entry.is_none()).count(),
            },
        );
        for single in joining().filter(|single| single.entry.is_some()) {
            draft.remove(single.place);
        }
        let removed = || self.changes.iter().filter(|single| single.rule.is_none());
        // What a member has by itself as well goes unnoticed.
        for single in removed().filter(|single| single.entry.is_some()) {
            draft.remove(single.place);
        }
        let drained = without(filled, removed());
        draft.drain(
            place,
            &Remade {
                key: self.key,
                was: filled,
                block: drained,
                places: removed().filter(|single| single.entry.is_none()).count(),
            },
        );
    }

    /// The rule of the block; `None` where there is to be no block.
    fn rule(&self) -> Option<Rule> {
        // Who is removed has the block's rule until all others are written.
        let elsewhere = self.changes.iter().filter(|single| single.rule.is_some());
        match without(self.block, elsewhere) {
            Some(kept) => kept.rule(),
            None => self.most_frequent(),
        }
    }

    /// That which most of the changes are to, where they are enough.
    fn most_frequent(&self) -> Option<Rule> {
        let mut counts = HashMap::<Rule, u32>::new();
        for rule in self.changes.iter().filter_map(|single| single.rule) {
            *counts.entry(rule).or_default() += 1;
        }
        let enough = counts.into_iter().filter(|(_, count)| *count >= MIN_BLOCK);
        let most = enough.max_by_key(|(rule, count)| (*count, rule.to_bytes()));
        most.map(|(rule, _)| rule)
    }

    /// The block once all rules are written, and none is removed.
    fn filled(&self, rule: Option<Rule>) -> Option<Block> {
        let leaving = |single: &&Single| single.rule.is_some() && single.rule != rule;
        let rest = without(self.block, self.changes.iter().filter(leaving));
        let Some(rule) = rule else {
            return rest;
        };
        // Where the rule is a new one, all that are left get it too.
        let rest = rest.filter(|block| block.rule() == Some(rule));
        let mut block = rest.unwrap_or(Block::new(rule));
        for single in &self.changes {
            if single.rule == Some(rule) {
                block.insert(single.at);
            }
        }
        (!block.is_empty()).then_some(block)
    }
}

/// The block without these, where any are left.
fn without<'a>(block: Option<Block>, gone: impl Iterator<Item = &'a Single>) -> Option<Block> {
    let mut block = block?;
    for single in gone {
        block.remove(single.at);
    }
    (!block.is_empty()).then_some(block)
}
