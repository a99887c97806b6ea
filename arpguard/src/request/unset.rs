//! Removing rules of one policy: what `unhide`, `unpin`, `unanswer`, `unbind` and `strict off` have in
//! common.

use arpguard_common::{abi::EVERY_DEVICE, verdict::Policy};
use ipnet::Ipv4Net;

use crate::{
    datapath::{Change, Datapath, Place},
    error::{Error, Result},
    plan::{self, Plan},
    policy::{existing, longest_match, participle, prefix_text},
    session::Session,
};

/// Removes the rules of `policy` for `prefixes`, on the devices of these names; wherever there are some
/// where there are none.
///
/// # Errors
/// Where a device is not there, one of the prefixes has no rule, as `verb` says it, or the kernel
/// refuses.
pub(super) async fn unset(
    session: &mut Session,
    verb: &'static str,
    policy: Policy,
    prefixes: &[Ipv4Net],
    dev: &[String],
) -> Result<()> {
    let places = places(session, dev)?;
    let changes = removals(session, verb, policy, prefixes, &places)?;
    session.carry_out(&Plan::of(changes)).await
}

/// The places of the devices of these names; every place that has rules where there are none.
///
/// # Errors
/// Where a device is not there.
pub(super) fn places(session: &Session, dev: &[String]) -> Result<Vec<u32>> {
    if dev.is_empty() {
        let mut places = vec![EVERY_DEVICE];
        if let Some(datapath) = session.datapath() {
            places.extend(datapath.devices_with_rules()?);
        }
        return Ok(places);
    }
    let index = |name: &String| Ok(existing(&session.host, name)?.index);
    dev.iter().map(index).collect()
}

/// The removal of the rules of `policy` at those of `places` that have one.
///
/// # Errors
/// Where one of the prefixes has none, as `verb` says it.
pub(super) fn removals(
    session: &Session,
    verb: &'static str,
    policy: Policy,
    prefixes: &[Ipv4Net],
    places: &[u32],
) -> Result<Vec<Change>> {
    let mut changes = Vec::new();
    for prefix in prefixes {
        let datapath = session.datapath();
        let rule = |place| datapath?.maps.rule(place);
        let removed = plan::unset(policy, *prefix, places, rule);
        if removed.is_empty() {
            return Err(none(datapath, verb, policy, *prefix, places));
        }
        changes.extend(removed);
    }
    Ok(changes)
}

fn none(
    datapath: Option<&Datapath>,
    verb: &'static str,
    policy: Policy,
    prefix: Ipv4Net,
    places: &[u32],
) -> Error {
    let why = format!("it is not {} there", participle(policy));
    let error = Error::new(verb, prefix_text(prefix), why);
    let holds = |covering: Ipv4Net| {
        let mut places = places.iter().chain([&EVERY_DEVICE]);
        places.any(|device| {
            let rule = datapath.and_then(|datapath| {
                let place = Place::new(policy, *device, covering);
                datapath.maps.rule(place)
            });
            rule.is_some_and(|rule| rule.policy() == policy && !rule.is_lent())
        })
    };
    let covering = longest_match(prefix.addr(), |covering| {
        covering.prefix_len() < prefix.prefix_len() && holds(covering)
    });
    match covering {
        Some(covering) => error.advise(format!("it is one of {covering}, which is: {verb} that")),
        None => error.advise("`arpguard list` shows what is"),
    }
}
