//! Pins with a fallback, as the agent moves them: which links hold, and what the LAN was told.
//!
//! Where a pin is, the kernel says. What is kept here is lost with the agent: then the time that a
//! link has held begins anew, and the LAN is told again where each pin is.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
    time::Duration,
};

use arpguard_common::{
    abi::{EVERY_DEVICE, Rule},
    policy::{Tables, View},
    verdict::{Mode, Policy},
};
use ipnet::Ipv4Net;
use tokio::time::Instant;
use tracing::info;

use super::telling::Telling;
use crate::{
    datapath::Place,
    device::Device,
    error::Result,
    host::{Host, proxied},
    netlink::Netlink,
    plan::{Move, Mover, State, Wanted, moves, towards},
    policy::prefix_text,
    session::Session,
    terms::{ByPrefix, Terms},
};

/// What the agent knows of the pins with a fallback.
#[derive(Default)]
pub(super) struct Homes {
    /// The devices that are connected, by name.
    up: BTreeMap<String, Up>,
    /// What pins there were when it was last looked at all rules.
    pins: BTreeSet<Ipv4Net>,
    /// What the LAN was told.
    telling: Telling,
    /// When a link has held long enough.
    due: Option<Instant>,
}

struct Up {
    index: u32,
    changes: u32,
    since: Instant,
}

impl Homes {
    /// Looks which links are up. One that was lost and came again meanwhile has to hold anew.
    pub(super) fn look(&mut self, host: &Host) {
        let now = Instant::now();
        let mut before = std::mem::take(&mut self.up);
        for device in host.devices.iter().filter(|device| device.is_usable()) {
            let same = |up: &Up| (up.index, up.changes) == (device.index, device.carrier_changes);
            let held = before.remove(&device.name).filter(same);
            let up = held.unwrap_or(Up {
                index: device.index,
                changes: device.carrier_changes,
                since: now,
            });
            self.up.insert(device.name.clone(), up);
        }
    }

    /// Whether a device has held its carrier for so many seconds.
    pub(super) fn holds(&self, device: &Device, seconds: u32) -> bool {
        self.held_at(&device.name, seconds)
            .is_some_and(|at| at <= Instant::now())
    }

    fn held_at(&self, name: &str, seconds: u32) -> Option<Instant> {
        let up = self.up.get(name)?;
        Some(up.since + Duration::from_secs(seconds.into()))
    }

    /// When to look again, though nothing happens. It is told once: who fails then tries again in his
    /// own time.
    pub(super) const fn due(&mut self) -> Option<Instant> {
        self.due.take()
    }

    /// Moves the pins that are known, and tells the LAN, before anybody reads all rules: of a million that
    /// takes seconds.
    ///
    /// # Errors
    /// Where the kernel refuses. Then nothing was changed.
    pub(super) async fn move_known(
        &mut self,
        session: &mut Session,
        netlink: &Netlink,
    ) -> Result<()> {
        let Some(datapath) = session.datapath().filter(|_| !self.pins.is_empty()) else {
            return Ok(());
        };
        let mut now = State {
            terms: datapath.maps.terms()?,
            ..State::default()
        };
        for prefix in &self.pins {
            let place = Place::new(Policy::Pin, EVERY_DEVICE, *prefix);
            if let Some(rule) = datapath.maps.rule(place) {
                now.rules.insert(place, rule);
            }
        }
        let mut wanted = Wanted::of(&now);
        let holds = |device: &Device, seconds| self.holds(device, seconds);
        wanted.settle(&now, &session.host, Mover::Follower(&holds))?;
        let plan = towards(&wanted, &now);
        if plan.changes.is_empty() {
            return Ok(());
        }
        report(&moves(&plan, &now, &session.host));
        session.carry_out(&plan).await?;
        session.keep();
        let Some(datapath) = session.datapath() else {
            return Ok(());
        };
        let (maps, around) = (&datapath.maps, (&session.host, netlink));
        self.settled(&wanted.terms, maps, |place| maps.rule(place), around)
            .await
    }

    /// The pins are in force: tells the LAN of what has moved. `tables` has all rules, and `rule` tells
    /// that at a place.
    ///
    /// # Errors
    /// Where the kernel does not tell what it proxies for.
    pub(super) async fn settled(
        &mut self,
        terms: &ByPrefix,
        tables: &impl Tables,
        rule: impl Fn(Place) -> Option<Rule>,
        (host, netlink): (&Host, &Netlink),
    ) -> Result<()> {
        self.due = None;
        self.pins = terms.keys().copied().collect();
        self.telling.keep(|prefix| terms.contains_key(prefix));
        let mut untold = BTreeMap::<u32, BTreeMap<Ipv4Net, Rule>>::new();
        for (prefix, terms) in terms {
            let Some(rule) = rule(Place::new(Policy::Pin, EVERY_DEVICE, *prefix)) else {
                continue;
            };
            self.due = self
                .due
                .into_iter()
                .chain(self.returns(terms, rule, host))
                .min();
            let told = self.telling.was_told(*prefix, rule.home());
            if terms.fallback.is_some() && rule.mode() == Mode::Enforce && !told {
                untold.entry(rule.home()).or_default().insert(*prefix, rule);
            }
        }
        let here = |home: u32| host.by_index(home).filter(|device| device.is_usable());
        untold.retain(|home, _| here(*home).is_some());
        if untold.is_empty() {
            return Ok(());
        }
        let own = host.devices.iter().flat_map(|device| &device.addresses);
        let own = own.filter(|own| !own.host_scope).map(|own| own.address);
        let mut known = proxied(netlink).await?;
        known.extend(own);
        for (home, pins) in untold {
            let view = View::new(tables, home);
            let moved = |address: &Ipv4Addr| {
                let found = view.found(*address);
                let net = found.and_then(|rule| Ipv4Net::new(*address, rule.prefix_len()).ok());
                let net = net.map(|net| net.trunc());
                let pin = net.filter(|net| pins.get(net).copied() == found);
                pin.map(|pin| (pin, *address))
            };
            let addresses: Vec<_> = known.iter().filter_map(moved).collect();
            self.telling.now_at(home, pins.into_keys());
            if let Some(device) = here(home).filter(|_| !addresses.is_empty()) {
                self.telling.tell(addresses, device.clone());
            }
        }
        Ok(())
    }

    /// When a pin that is on its fallback may move back, if its link holds until then.
    fn returns(&self, terms: &Terms, rule: Rule, host: &Host) -> Option<Instant> {
        let fallback = terms.fallback.as_ref()?;
        let is_away = host.device(&fallback.dev)?.index == rule.home();
        self.held_at(&terms.dev, fallback.hold).filter(|_| is_away)
    }
}

/// Logs what moves.
pub(super) fn report(moves: &BTreeMap<Move, Vec<Ipv4Net>>) {
    for (Move { from, to, why }, prefixes) in moves {
        let what = match prefixes.as_slice() {
            [one] => prefix_text(*one),
            [first, others @ ..] => format!("{} and {} more", prefix_text(*first), others.len()),
            [] => continue,
        };
        info!("moving {what} from {from} to {to}: {why}");
    }
}
