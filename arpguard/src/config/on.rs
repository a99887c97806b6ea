//! What a declared policy means on one host.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::Arc,
};

use arpguard_common::{abi::Rule, policy::View, verdict::Policy};
use ipnet::Ipv4Net;
use toml::Spanned;

use super::{
    Config, Dev, Origin, Pattern, READ, Spot,
    file::{Name, Word},
};
use crate::{
    datapath::{Checks, Place},
    device::Device,
    error::{Error, Result},
    host::Host,
    plan::{self, Rules, Wanted},
    policy::{self, Block, Placed, Scope, clash, participle, prefix_text, state_text},
    terms::{ByPrefix, Numbered},
};

impl Config {
    /// What shall be in force on `host`.
    ///
    /// # Errors
    /// Where a device is missing or cannot be guarded, the host does not have a RIP or would be cut
    /// off, or two blocks contradict each other there.
    pub fn on(&self, host: &Host) -> Result<Wanted> {
        let chosen = self.chosen(host)?;
        let blocks = self.blocks.iter().zip(&self.origins);
        let placed: Vec<_> = blocks
            .map(|(block, origin)| self.place_block(host, &chosen, block, origin))
            .collect::<Result<_>>()?;
        let (rules, terms, checks) = self.rules(host, &placed)?;
        let hidden = |address| {
            let devices = chosen.iter().map(|device| device.index);
            devices
                .filter_map(|device| View::new(&rules, device).hidden_by(address))
                .any(|rule| policy::is_hidden(rule, address, host))
        };
        policy::check_on(&placed, host, hidden).map_err(|refusal| self.refusal(refusal))?;
        Ok(Wanted {
            devices: chosen.into_iter().cloned().collect(),
            attach: self.attach.map(|(_, mode)| mode).unwrap_or_default(),
            rules,
            terms,
            checks,
            fresh: Numbered::new(),
        })
    }

    /// What a block is about, where the `chosen` devices are guarded.
    fn place_block<'a>(
        &self,
        host: &'a Host,
        chosen: &[&'a Device],
        block: &'a Block,
        origin: &Origin,
    ) -> Result<Placed<'a>> {
        let source = origin.source;
        Ok(match &origin.dev {
            Dev::Every => Placed {
                block,
                devices: chosen.to_vec(),
                scope: Scope::Every,
            },
            Dev::These(list) => Placed {
                block,
                devices: self.select(host, &list.elements, source, Some(chosen))?,
                scope: Scope::Each,
            },
            Dev::Home(name, fallback) => {
                let home = self.home(host, name, fallback.as_ref(), source)?;
                if let Some(fallback) = fallback {
                    self.check_guarded(&[name, fallback], host, chosen, source)?;
                }
                Placed::pinned(block, chosen.to_vec(), home)
            }
        })
    }

    /// The device of this name. While there is none, its fallback; not while both are gone.
    fn home<'a>(
        &self,
        host: &'a Host,
        name: &Spanned<Word<Name>>,
        fallback: Option<&Spanned<Word<Name>>>,
        source: usize,
    ) -> Result<&'a Device> {
        let there = |name: &&Spanned<Word<Name>>| host.device(&name.get_ref().0.0).is_some();
        for other in fallback.into_iter().filter(there) {
            self.guardable(host, other, source)?;
        }
        match fallback.filter(there) {
            Some(fallback) if !there(&name) => self.guardable(host, fallback, source),
            Some(_) | None => self.guardable(host, name, source),
        }
    }

    /// Of two devices each has to be guarded: the addresses are hidden on the one while they are on
    /// the other.
    fn check_guarded(
        &self,
        names: &[&Spanned<Word<Name>>],
        host: &Host,
        chosen: &[&Device],
        source: usize,
    ) -> Result<()> {
        let is_left_out = |name: &str| {
            host.device(name).is_some() && !chosen.iter().any(|device| device.name == name)
        };
        for word in names {
            let Name(name) = &word.get_ref().0;
            if is_left_out(name) {
                let offset = word.span().start;
                let why =
                    format!("{name}: it is not one of the `devices` to guard, and both have to be");
                return Err(self.refuse(Spot { source, offset }, why));
            }
        }
        Ok(())
    }

    fn guardable<'a>(
        &self,
        host: &'a Host,
        name: &Spanned<Word<Name>>,
        source: usize,
    ) -> Result<&'a Device> {
        let offset = name.span().start;
        policy::guardable(host, &name.get_ref().0.0)
            .map_err(|error| error.within(READ, self.place(Spot { source, offset })))
    }

    /// The devices to guard.
    fn chosen<'a>(&self, host: &'a Host) -> Result<Vec<&'a Device>> {
        let Some((spot, list)) = &self.devices else {
            return policy::devices(host, &[]);
        };
        let chosen = self.select(host, &list.elements, spot.source, None)?;
        // To guard nothing is well where there is no policy.
        if chosen.is_empty() && !self.blocks.is_empty() {
            let why = "no device here is one of these, so no policy would hold";
            return Err(self.refuse(*spot, why));
        }
        Ok(chosen)
    }

    /// The devices that are `wanted`, in the order of their indexes; of those in `of`, if given.
    fn select<'a>(
        &self,
        host: &'a Host,
        wanted: &[Spanned<Word<Pattern>>],
        source: usize,
        of: Option<&[&'a Device]>,
    ) -> Result<Vec<&'a Device>> {
        let guarded =
            |device: &Device| of.is_none_or(|of| of.iter().any(|one| one.index == device.index));
        for pattern in wanted {
            let Pattern::Name(name) = &pattern.get_ref().0 else {
                continue;
            };
            let spot = Spot {
                source,
                offset: pattern.span().start,
            };
            let device = policy::guardable(host, name)
                .map_err(|error| error.within(READ, self.place(spot)))?;
            if !guarded(device) {
                let why = format!("{name}: it is not one of the `devices` to guard");
                return Err(self.refuse(spot, why));
            }
        }
        let is_wanted = |device: &Device| wanted.iter().any(|one| one.get_ref().0.matches(device));
        Ok(host
            .guardable()
            .filter(|device| guarded(device) && is_wanted(device))
            .collect())
    }

    fn rules(&self, host: &Host, placed: &[Placed<'_>]) -> Result<(Rules, ByPrefix, Checks)> {
        let mut known: BTreeMap<Place, (Rule, Spot)> = BTreeMap::new();
        let mut terms = ByPrefix::new();
        let mut checks = Checks::new();
        for (placed, origin) in placed.iter().zip(&self.origins) {
            let spots = origin.prefixes.iter().map(|offset| Spot {
                source: origin.source,
                offset: *offset,
            });
            // For each device the rules come in the order of the prefixes.
            for (change, spot) in plan::set(placed).iter().zip(spots.cycle()) {
                let Some(rule) = change.rule else { continue };
                let place = change.place;
                let at = |place| known.get(&place).map(|(rule, _)| *rule);
                let under = origin.terms.as_ref();
                let elsewhere = || {
                    let mut homes = under.iter().flat_map(|terms| terms.devices());
                    homes.find_map(|name| clash(place, rule.at(host.device(name)?.index), at))
                };
                if let Some((old, other)) = clash(place, rule, at).or_else(elsewhere)
                    && let Some((_, first)) = known.get(&old)
                {
                    let state = state_text(old, other, host);
                    return Err(self.contradicts(spot, place.prefix, &state, *first));
                }
                match known.entry(place) {
                    Entry::Vacant(entry) => {
                        entry.insert((rule, spot));
                        terms.extend(under.map(|under| (place.prefix, Arc::clone(under))));
                        checks.extend(origin.check.iter().map(|check| (place, check.clone())));
                    }
                    Entry::Occupied(entry)
                        if entry.get().0 == rule
                            && checks.get(&place) == origin.check.as_ref()
                            && (rule.policy() != Policy::Pin
                                || terms.get(&place.prefix) == under) => {}
                    Entry::Occupied(entry) => {
                        let on = host
                            .by_index(place.device)
                            .map(|device| format!(" on {}", device.name))
                            .unwrap_or_default();
                        let state = format!("{} otherwise{on}", participle(rule.policy()));
                        let first = entry.get().1;
                        return Err(self.contradicts(spot, place.prefix, &state, first));
                    }
                }
            }
        }
        let mut rules = Rules::default();
        for (place, (rule, _)) in known {
            rules.insert(place, rule);
        }
        Ok((rules, terms, checks))
    }

    /// Refuses a rule for what an earlier block makes something else of.
    fn contradicts(&self, spot: Spot, prefix: Ipv4Net, state: &str, first: Spot) -> Error {
        let prefix = prefix_text(prefix);
        let first = self.place(first);
        self.refuse(spot, format!("{prefix}: it is {state} at {first}"))
    }
}
