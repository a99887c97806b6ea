//! `arpguard promote`, `arpguard demote`

use std::{collections::BTreeSet, net::Ipv4Addr};

use arpguard_common::{
    abi::{EVERY_DEVICE, Rule},
    verdict::Policy,
};
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use super::Context;
use crate::{
    datapath::{Change, Place},
    error::{Error, Result},
    plan::promotion::{self, On, Unfit},
    policy::{existing, state_text},
    session::Session,
};

/// What this host becomes the director of. To tell the LAN of it is up to who asks.
#[derive(Debug, Deserialize, Serialize)]
pub struct Promote {
    /// The addresses, which are hidden.
    pub vips: Vec<Ipv4Addr>,
    /// The only devices to show them on; wherever they are hidden where there are none.
    pub dev: Vec<String>,
}

/// What it is the director of no longer.
#[derive(Debug, Deserialize, Serialize)]
pub struct Demote {
    /// The addresses.
    pub vips: Vec<Ipv4Addr>,
    /// The only devices to hide them on again; wherever they are promoted where there are none.
    pub dev: Vec<String>,
}

impl Promote {
    pub(super) async fn perform(self, context: &Context<'_>) -> Result<()> {
        let Self { vips, dev } = self;
        let mut session = Session::begin(context.store, context.netlink).await?;
        let outcome = change(&mut session, &vips, &dev, Step::Promote);
        session.end(outcome).await
    }
}

impl Demote {
    pub(super) async fn perform(self, context: &Context<'_>) -> Result<()> {
        let Self { vips, dev } = self;
        let mut session = Session::begin(context.store, context.netlink).await?;
        let outcome = change(&mut session, &vips, &dev, Step::Demote);
        session.end(outcome).await
    }
}

#[derive(Clone, Copy)]
enum Step {
    Promote,
    Demote,
}

fn change(session: &mut Session, vips: &[Ipv4Addr], dev: &[String], step: Step) -> Result<()> {
    let places: Vec<_> = if dev.is_empty() {
        session.host.devices.iter().map(|one| one.index).collect()
    } else {
        let index = |name: &String| Ok(existing(&session.host, name)?.index);
        dev.iter().map(index).collect::<Result<_>>()?
    };
    let on = if dev.is_empty() {
        On::Wherever(&places)
    } else {
        On::Each(&places)
    };
    let mut changes = Vec::new();
    for vip in vips {
        let one = match session.datapath().map(|datapath| &datapath.maps) {
            None => Err(Unfit {
                device: places
                    .first()
                    .copied()
                    .filter(|_| !dev.is_empty())
                    .unwrap_or(EVERY_DEVICE),
                found: None,
            }),
            Some(maps) => match step {
                Step::Promote => promotion::promote(maps, *vip, on),
                Step::Demote => promotion::demote(maps, *vip, on),
            },
        };
        changes.extend(one.map_err(|unfit| refuse(session, *vip, step, unfit))?);
    }
    session.commit(&changes)?;
    session.refresh()
}

fn refuse(session: &Session, vip: Ipv4Addr, step: Step, unfit: Unfit) -> Error {
    let Unfit { device, found } = unfit;
    let there = match device {
        EVERY_DEVICE => "here".to_owned(),
        device => format!("on {}", session.host.name(device)),
    };
    match (step, found) {
        (_, Some(rule)) if rule.policy() == Policy::Pin => {
            let state = state_text(
                Place::new(Policy::Pin, EVERY_DEVICE, vip.into()),
                rule,
                &session.host,
            );
            let home = session.host.name(rule.home());
            Error::new(step.name(), vip, format!("it is {state}, not hidden")).advise(format!(
                "`arpguard announce {vip} --dev {home}` tells the LAN where it is"
            ))
        }
        (Step::Demote, Some(rule)) if rule.is_promoted() => {
            Error::new(step.name(), vip, "it is promoted on every device").advise(format!(
                "`arpguard demote {vip}`, then promote it on those that shall answer"
            ))
        }
        (Step::Promote, _) => Error::new(step.name(), vip, format!("it is not hidden {there}"))
            .advise("hide it first, so that it can be demoted"),
        (Step::Demote, _) => Error::new(step.name(), vip, format!("it is not hidden {there}"))
            .advise(format!("`arpguard hide {vip}` hides it")),
    }
}

impl Step {
    const fn name(self) -> &'static str {
        match self {
            Self::Promote => "promote",
            Self::Demote => "demote",
        }
    }
}

/// The promoted rules in `prefixes`.
pub(super) fn promoted_in(session: &Session, prefixes: &[Ipv4Net]) -> Result<Vec<(Place, Rule)>> {
    let Some(datapath) = session.datapath() else {
        return Ok(Vec::new());
    };
    let is_in = |prefix: Ipv4Net| prefixes.iter().any(|wide| wide.contains(&prefix));
    let promoted = datapath.maps.promoted_rules()?;
    let promoted = promoted.into_iter();
    Ok(promoted.filter(|(place, _)| is_in(place.prefix)).collect())
}

/// The end of the promotions in `prefixes`, which are about to be hidden at `places`.
pub(super) fn demotions(
    session: &Session,
    prefixes: &[Ipv4Net],
    places: &[u32],
) -> Result<Vec<Change>> {
    let everywhere = places.contains(&EVERY_DEVICE);
    let mut promoted = promoted_in(session, prefixes)?;
    promoted.retain(|(place, _)| everywhere || places.contains(&place.device));
    let demotion = |(place, rule)| Change {
        place,
        rule: promotion::demoted(rule),
    };
    Ok(promoted.into_iter().map(demotion).collect())
}

/// The removal of what was lent for promotions by the rules that `removed` removes.
pub(super) fn orphans(session: &Session, removed: &[Change]) -> Result<Vec<Change>> {
    let gone: BTreeSet<Place> = removed.iter().map(|one| one.place).collect();
    let at = |place: Place| {
        let rule = session.datapath()?.maps.rule(place)?;
        (!gone.contains(&place)).then_some(rule)
    };
    let prefixes: Vec<_> = removed.iter().map(|change| change.place.prefix).collect();
    let mut promoted = promoted_in(session, &prefixes)?;
    promoted.retain(|(place, rule)| promotion::is_orphan(*place, *rule, at));
    let removal = |(place, _)| Change { place, rule: None };
    Ok(promoted.into_iter().map(removal).collect())
}
