//! Removing rules of one policy: what `unhide`, `unpin` and `strict off` have in common.

use arpguard_common::{
    policy::{EVERY_DEVICE, View},
    verdict::Policy,
};
use ipnet::Ipv4Net;

use crate::{
    datapath::{Change, Datapath},
    error::{Error, Result},
    plan,
    policy::{existing, participle, prefix_text},
    session::Session,
};

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
    let covering = datapath.and_then(|datapath| {
        let mut views = places
            .iter()
            .map(|device| View::new(&datapath.maps, *device));
        let rule = views.find_map(|view| view.longest_match(policy.book(), prefix.addr()))?;
        let covering = Ipv4Net::new(prefix.addr(), rule.prefix_len()).ok()?;
        (rule.policy() == policy).then_some(covering)
    });
    match covering {
        Some(covering) if covering.prefix_len() < prefix.prefix_len() => error.advise(format!(
            "it is one of {}, which is: {verb} that",
            covering.trunc()
        )),
        _ => error.advise("`arpguard list` shows what is"),
    }
}
