//! What a declared policy means on one host.

use std::collections::{BTreeMap, btree_map::Entry};

use arpguard_common::{abi::Rule, policy::View};
use toml::Spanned;

use super::{Config, Pattern, READ, Spot, file::Word};
use crate::{
    datapath::Place,
    device::Device,
    error::Result,
    host::Host,
    plan::{self, Rules, Wanted},
    policy::{self, Placed, prefix_text},
};

impl Config {
    /// What shall be in force on `host`.
    ///
    /// # Errors
    /// Where a device is missing or cannot be guarded, the host does not have a RIP or would be cut
    /// off, or two blocks contradict each other there.
    pub fn on(&self, host: &Host) -> Result<Wanted> {
        let chosen = self.chosen(host)?;
        let blocks = self.hides.iter().zip(&self.origins);
        let placed = blocks.map(|(hide, origin)| {
            Ok(Placed {
                hide,
                devices: match &origin.dev {
                    Some(dev) => self.select(host, &dev.elements, origin.source, Some(&chosen))?,
                    None => chosen.clone(),
                },
                everywhere: origin.dev.is_none(),
            })
        });
        let placed: Vec<_> = placed.collect::<Result<_>>()?;
        let rules = self.rules(host, &placed)?;
        let hidden = |address| {
            let mut devices = chosen.iter().map(|device| device.index);
            devices.any(|device| View::new(&rules, device).rule(address).is_some())
        };
        policy::check_on(&placed, host, hidden).map_err(|refusal| self.refusal(refusal))?;
        Ok(Wanted {
            devices: chosen.into_iter().cloned().collect(),
            attach: self.attach.map(|(_, mode)| mode).unwrap_or_default(),
            rules,
        })
    }

    /// The devices to guard.
    fn chosen<'a>(&self, host: &'a Host) -> Result<Vec<&'a Device>> {
        let Some((spot, list)) = &self.devices else {
            return policy::devices(host, &[]);
        };
        let chosen = self.select(host, &list.elements, spot.source, None)?;
        // To guard nothing is well where nothing is to be hidden.
        if chosen.is_empty() && !self.hides.is_empty() {
            return Err(self.refuse(
                *spot,
                "no device here is one of these, so nothing is hidden",
            ));
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

    fn rules(&self, host: &Host, placed: &[Placed<'_>]) -> Result<Rules> {
        let mut known: BTreeMap<Place, (Rule, Spot)> = BTreeMap::new();
        for (placed, origin) in placed.iter().zip(&self.origins) {
            let spots = origin.prefixes.iter().map(|offset| Spot {
                source: origin.source,
                offset: *offset,
            });
            // For each device the rules come in the order of the prefixes.
            for (change, spot) in plan::hide(placed).iter().zip(spots.cycle()) {
                let Some(rule) = change.rule else { continue };
                match known.entry((change.device, change.prefix)) {
                    Entry::Vacant(entry) => {
                        entry.insert((rule, spot));
                    }
                    Entry::Occupied(entry) if entry.get().0 == rule => {}
                    Entry::Occupied(entry) => {
                        let on = host
                            .by_index(change.device)
                            .map(|device| format!(" on {}", device.name))
                            .unwrap_or_default();
                        let first = self.place(entry.get().1);
                        let prefix = prefix_text(change.prefix);
                        let why = format!("{prefix}: it is hidden otherwise{on} at {first}");
                        return Err(self.refuse(spot, why));
                    }
                }
            }
        }
        let mut rules = Rules::default();
        for (place, (rule, _)) in known {
            rules.insert(place, rule);
        }
        Ok(rules)
    }
}
