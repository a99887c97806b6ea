//! Where pins are that have terms: from what the terms want, what is in force, and the links.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use arpguard_common::{
    abi::{EVERY_DEVICE, Rule},
    verdict::Policy,
};

use ipnet::Ipv4Net;

use super::{Plan, State, Wanted};
use crate::{
    datapath::Place,
    device::{Device, Link},
    error::{Error, Result},
    host::Host,
    policy::clash,
    terms::{Numbered, Terms},
};

/// Who moves pins from one of their devices to the other.
#[derive(Clone, Copy)]
pub enum Mover<'a> {
    /// Nobody: a pin that is in force stays where it is. A command looks once, and only who looks
    /// again may move.
    Nobody,
    /// Who follows the links. It tells whether a device has held its carrier for so many seconds.
    Follower(&'a dyn Fn(&Device, u32) -> bool),
}

/// What of the rules in force stays, though it is not declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Nothing.
    Nothing,
    /// Pins that commands have given terms to.
    ByHand,
    /// Everything.
    All,
}

/// Gives rules their terms' numbers, and the home that they have at present.
pub struct Settling<'a> {
    host: &'a Host,
    known: &'a Numbered,
    mover: Mover<'a>,
    /// The terms that are not noted yet.
    fresh: Numbered,
}

impl<'a> Settling<'a> {
    /// For a host where the terms `known` are noted.
    pub const fn new(host: &'a Host, known: &'a Numbered, mover: Mover<'a>) -> Self {
        Self {
            host,
            known,
            mover,
            fresh: Numbered::new(),
        }
    }

    /// The rule of a pin under `terms`, where `was` is in force; `used` tells the numbers that rules
    /// have.
    ///
    /// # Errors
    /// Where there is no number left, or `used` has one.
    pub fn settle(
        &mut self,
        rule: Rule,
        terms: &Terms,
        was: Option<Rule>,
        used: impl FnOnce() -> Result<BTreeSet<u8>>,
    ) -> Result<Rule> {
        let same = |was: &Rule| {
            let known = self.known.get(&was.terms());
            was.policy() == Policy::Pin && known.is_some_and(|known| known.names_the_same(terms))
        };
        let present = was.filter(same).map(Rule::home);
        let home = home(terms, present, self.host, self.mover).unwrap_or_else(|| rule.home());
        let number = self.number(terms, used)?;
        Ok(rule.at(home).under(number))
    }

    /// The terms that have to be noted before the rules are written.
    pub fn fresh(self) -> Numbered {
        self.fresh
    }

    fn number(&mut self, terms: &Terms, used: impl FnOnce() -> Result<BTreeSet<u8>>) -> Result<u8> {
        let mut noted = self.fresh.iter().chain(self.known);
        if let Some((number, _)) = noted.find(|(_, noted)| *noted == terms) {
            return Ok(*number);
        }
        let is_fresh = |number: &u8| self.fresh.contains_key(number);
        let mut numbers = 1..=u8::MAX;
        let unknown = numbers.find(|number| !is_fresh(number) && !self.known.contains_key(number));
        let number = match unknown {
            Some(number) => number,
            // Some terms may be of rules that are gone.
            None => {
                let used = used()?;
                let mut numbers = 1..=u8::MAX;
                numbers
                    .find(|number| !is_fresh(number) && !used.contains(number))
                    .ok_or_else(|| {
                        let why = "there is room for 255 different pairs of devices, times and \
                                   routes, all taken";
                        Error::new("pin to", &terms.dev, why)
                    })?
            }
        };
        self.fresh.insert(number, terms.clone());
        Ok(number)
    }
}

/// The interface index of the device where addresses under `terms` are to be, of which `present` has
/// them now; `None` where neither device is there.
fn home(terms: &Terms, present: Option<u32>, host: &Host, mover: Mover<'_>) -> Option<u32> {
    let first = host.device(&terms.dev);
    let fallback = terms.fallback.as_ref();
    let second = fallback.and_then(|fallback| host.device(&fallback.dev));
    let usable = |device: Option<&Device>| device.is_some_and(Device::is_usable);
    let index = |device: Option<&Device>| device.map(|device| device.index);
    let stays = present.filter(|at| [index(first), index(second)].contains(&Some(*at)));
    let is_away = stays.is_some() && stays == index(second);
    match (stays, mover) {
        (Some(_), Mover::Nobody) => stays,
        (Some(_), Mover::Follower(holds)) if is_away && usable(first) && usable(second) => {
            let hold = fallback.map_or(0, |fallback| fallback.hold);
            let back = first.filter(|device| holds(device, hold));
            index(back).or(stays)
        }
        // One that is gone stays what the rule names, until another takes its place.
        _ if usable(first) => index(first),
        _ if usable(second) => index(second),
        _ => stays.or(present).or(index(first)).or(index(second)),
    }
}

/// Why the addresses of a pin are on its second device; `None` where they are not.
pub fn away(terms: &Terms, home: u32, host: &Host) -> Option<&'static str> {
    let fallback = terms.fallback.as_ref()?;
    let at = host.by_index(home)?;
    (at.name == fallback.dev).then(|| state(&terms.dev, host))
}

/// What a device is at present, after "it is".
fn state(name: &str, host: &Host) -> &'static str {
    match host.device(name) {
        None => "gone",
        Some(device) if device.unguardable.is_some() => "no device for ARP",
        Some(device) => match device.link {
            Link::Down => "down",
            Link::NoCarrier => "without carrier",
            Link::Up => "up again, and has to hold",
        },
    }
}

/// A pin that changes its device.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Move {
    /// Where it was.
    pub from: String,
    /// Where it goes.
    pub to: String,
    /// Why.
    pub why: String,
}

/// The pins that a plan moves from one of their devices to the other, by the reason.
pub fn moves(plan: &Plan, now: &State, host: &Host) -> BTreeMap<Move, Vec<Ipv4Net>> {
    let mut moves = BTreeMap::<_, Vec<_>>::new();
    let under = |rule: Rule| {
        let known = now.terms.get(&rule.terms());
        plan.terms.get(&rule.terms()).or(known)
    };
    for change in &plan.changes {
        let was = now.rules.at(change.place);
        let (Some(was), Some(rule)) = (was, change.rule) else {
            continue;
        };
        let (Some(before), Some(terms)) = (now.terms.get(&was.terms()), under(rule)) else {
            continue;
        };
        let Some(fallback) = terms
            .fallback
            .as_ref()
            .filter(|_| before.names_the_same(terms))
        else {
            continue;
        };
        if was.home() == rule.home() {
            continue;
        }
        let to = host.name(rule.home());
        let (from, why) = if to == fallback.dev {
            let from = terms.dev.clone();
            let why = format!("{from} is {}", state(&from, host));
            (from, why)
        } else {
            let from = fallback.dev.clone();
            let why = match host.device(&from).filter(|device| device.is_usable()) {
                Some(_) => format!("{to} has held its carrier"),
                None => format!("{from} is {}", state(&from, host)),
            };
            (from, why)
        };
        let one = Move { from, to, why };
        moves.entry(one).or_default().push(change.place.prefix);
    }
    moves
}

/// The numbers of the terms that rules are under.
pub fn used<'a>(rules: impl IntoIterator<Item = &'a Rule>) -> BTreeSet<u8> {
    rules.into_iter().map(|rule| rule.terms()).collect()
}

impl Wanted {
    /// What is in force, to be kept as it is.
    pub fn of(now: &State) -> Self {
        let mut wanted = Self {
            devices: now
                .devices
                .iter()
                .map(|(device, _)| device.clone())
                .collect(),
            ..Self::default()
        };
        wanted.keep(now, Keep::All);
        wanted
    }

    /// Wants rules that are in force, too, where nothing else is wanted.
    pub fn keep(&mut self, now: &State, keep: Keep) {
        if keep == Keep::Nothing || (keep == Keep::ByHand && now.terms.is_empty()) {
            return;
        }
        let mut terms = BTreeMap::<u8, Arc<Terms>>::new();
        for (place, rule) in now.rules.iter() {
            let under = now.terms.get(&rule.terms());
            let stays = match keep {
                Keep::Nothing => false,
                Keep::ByHand => under.is_some_and(|terms| terms.by_hand),
                Keep::All => true,
            };
            if !stays
                || self.rules.at(*place).is_some()
                || clash(*place, *rule, |place| self.rules.at(place)).is_some()
            {
                continue;
            }
            self.rules.insert(*place, *rule);
            if let Some(under) = under {
                let shared = terms.entry(rule.terms());
                let shared = shared.or_insert_with(|| Arc::new(under.clone()));
                self.terms.insert(place.prefix, Arc::clone(shared));
            }
        }
    }

    /// Puts the rules that have terms where they are to be on `host` at present.
    ///
    /// # Errors
    /// Where there is no number left for terms.
    pub fn settle(&mut self, now: &State, host: &Host, mover: Mover<'_>) -> Result<()> {
        let mut settling = Settling::new(host, &now.terms, mover);
        for (prefix, terms) in &self.terms {
            let place = Place::new(Policy::Pin, EVERY_DEVICE, *prefix);
            if let Some(rule) = self.rules.at(place) {
                let in_use = || Ok(used(now.rules.iter().map(|(_, rule)| rule)));
                let rule = settling.settle(rule, terms, now.rules.at(place), in_use)?;
                self.rules.insert(place, rule);
            }
        }
        self.fresh = settling.fresh();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
