//! Setting the rules of one block: what `hide`, `pin`, `strict on`, `answer` and `bind` have in common.

use std::slice;

use arpguard_common::{abi::Rule, policy::View, verdict};

use super::promote::demotions;
use crate::{
    check::Check,
    datapath::{Change, Mode},
    device::Device,
    error::{Error, Result},
    plan::{self, Mover, Plan, Settling, used},
    policy::{self, Kind, Placed, clash, prefix_text, state_text, undo_text},
    session::Session,
    terms::{Numbered, Terms},
};

/// Whether verdicts are carried out.
pub(super) const fn mode(audit: bool) -> verdict::Mode {
    if audit {
        verdict::Mode::Audit
    } else {
        verdict::Mode::Enforce
    }
}

/// Guards `guard`'s devices, and sets the rules of a block.
///
/// # Errors
/// Where that makes no sense on this host or contradicts another rule, or the kernel refuses.
pub(super) async fn set(
    session: &mut Session,
    placed: &Placed<'_>,
    guard: Vec<Device>,
    attach: Mode,
) -> Result<()> {
    set_with(session, placed, Beside::default(), guard, attach).await
}

/// What rules are told beside their block.
#[derive(Clone, Copy, Default)]
pub(super) struct Beside<'a> {
    /// The terms of pins: the device that they name first is the home.
    pub(super) terms: Option<&'a Terms>,
    /// What must hold for what is answered.
    pub(super) check: Option<&'a Check>,
}

/// As [`set`], of rules that are told more.
///
/// # Errors
/// As [`set`], or where there is no number left for terms or no room for checks.
pub(super) async fn set_with(
    session: &mut Session,
    placed: &Placed<'_>,
    Beside { terms, check }: Beside<'_>,
    guard: Vec<Device>,
    attach: Mode,
) -> Result<()> {
    let places = placed.places();
    let mut changes = match placed.block.kind {
        Kind::Hide { .. } => demotions(session, &placed.block.prefixes, &places)?,
        Kind::Pin | Kind::Strict { .. } | Kind::Answer { .. } | Kind::Bind { .. } => Vec::new(),
    };
    // Of two changes of one place the later one counts.
    changes.extend(plan::set(placed));
    let rule = |place| session.datapath()?.maps.rule(place);
    let hidden = |address| {
        let devices = placed.devices.iter().map(|device| &device.index);
        session.datapath().is_some_and(|datapath| {
            let views = places
                .iter()
                .chain(devices)
                .map(|device| View::new(&datapath.maps, *device));
            views
                .filter_map(|view| {
                    // What is promoted now will be hidden again.
                    let promoted = |rule: &Rule| rule.is_promoted();
                    view.hidden_by(address)
                        .or_else(|| view.found(address).filter(promoted))
                })
                .any(|rule| policy::is_hidden(rule, address, &session.host))
        })
    };
    policy::check_on(slice::from_ref(placed), &session.host, hidden)?;
    for change in &changes {
        let place = change.place;
        let elsewhere = |new: Rule| {
            let homes = terms.iter().flat_map(|terms| terms.devices());
            let mut homes = homes.filter_map(|name| session.host.device(name));
            homes.find_map(|home| clash(place, new.at(home.index), rule))
        };
        if let Some(new) = change.rule
            && let Some((old, other)) = clash(place, new, rule).or_else(|| elsewhere(new))
        {
            let tried = new.policy().name();
            let prefix = prefix_text(place.prefix);
            let state = state_text(old, other, &session.host);
            let advice = undo_text(other, place.prefix);
            return Err(Error::new(tried, prefix, format!("it is {state}")).advise(advice));
        }
    }
    let terms = match terms {
        Some(terms) => settle(session, terms, &mut changes)?,
        None => Numbered::new(),
    };
    let under = |check: &Check| {
        changes
            .iter()
            .map(|one| (one.place, check.clone()))
            .collect()
    };
    let plan = Plan {
        guard,
        attach,
        terms,
        checks: check.map(under).unwrap_or_default(),
        changes,
        leave: Vec::new(),
    };
    session.carry_out(&plan).await
}

/// Puts rules under terms; gives those that are to be noted.
fn settle(session: &Session, terms: &Terms, changes: &mut [Change]) -> Result<Numbered> {
    let datapath = session.datapath();
    let known = datapath.map_or_else(|| Ok(Numbered::new()), |datapath| datapath.maps.terms())?;
    let mut settling = Settling::new(&session.host, &known, Mover::Nobody);
    let in_use = || {
        let rules = datapath.iter().flat_map(|datapath| datapath.maps.rules());
        let rules: Vec<_> = rules
            .map(|rule| rule.map(|(.., rule)| rule))
            .collect::<Result<_>>()?;
        Ok(used(&rules))
    };
    for change in changes {
        let was = datapath.and_then(|datapath| datapath.maps.rule(change.place));
        if let Some(rule) = change.rule {
            change.rule = Some(settling.settle(rule, terms, was, in_use)?);
        }
    }
    Ok(settling.fresh())
}
