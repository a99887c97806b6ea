//! The routes of pins, kept with their rules.

use std::collections::BTreeMap;

use arpguard_common::{
    abi::{EVERY_DEVICE, Rule},
    verdict::{Mode, Policy},
};
use ipnet::Ipv4Net;

use super::{Done, Session};
use crate::{
    datapath::{Change, Place},
    error::Result,
    routing,
};

impl Session {
    /// Makes the programs and the routes follow the host, where no rule changes.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub async fn follow(&mut self) -> Result<()> {
        self.steer(&[]).await?;
        self.refresh()
    }

    /// Makes the routes what the rules want once `changes` are made.
    pub(super) async fn steer(&mut self, changes: &[Change]) -> Result<()> {
        let pins = self.steered(changes)?;
        let observed = routing::observe_for(&self.netlink, &pins).await?;
        let wanted = routing::wanted(&pins, &self.host, &observed.main)?;
        observed.check(&wanted)?;
        let ours = observed.ours;
        if ours == wanted {
            return Ok(());
        }
        // Also where it fails in the middle.
        self.done.push(Done::Steered(ours.clone()));
        routing::change(&self.netlink, &ours, &wanted).await
    }

    /// The pins whose replies are to leave by the device where they are, and its interface index.
    fn steered(&self, changes: &[Change]) -> Result<BTreeMap<Ipv4Net, u32>> {
        let mut pins = BTreeMap::new();
        let Some(datapath) = self.datapath() else {
            return Ok(pins);
        };
        let mut terms = datapath.maps.terms()?;
        terms.retain(|_, terms| terms.route);
        if terms.is_empty() {
            return Ok(pins);
        }
        let mut take = |place: Place, rule: Option<Rule>| {
            if place != Place::new(Policy::Pin, EVERY_DEVICE, place.prefix) {
                return;
            }
            let steered = rule.filter(|rule| {
                rule.policy() == Policy::Pin
                    && rule.mode() == Mode::Enforce
                    && terms.contains_key(&rule.terms())
            });
            match steered {
                Some(rule) => pins.insert(place.prefix, rule.home()),
                None => pins.remove(&place.prefix),
            };
        };
        for rule in datapath.maps.rules() {
            let (place, rule) = rule?;
            take(place, Some(rule));
        }
        for change in changes {
            take(change.place, change.rule);
        }
        Ok(pins)
    }
}
