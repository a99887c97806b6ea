//! `arpguard unhide`

use arpguard_common::policy::{EVERY_DEVICE, View};
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use super::Context;
use crate::{
    datapath::{Change, Datapath},
    error::{Error, Result},
    plan,
    policy::{self, prefix_text},
    session::{Session, single},
};

/// What to hide no longer.
#[derive(Debug, Deserialize, Serialize)]
pub struct Unhide {
    /// The addresses (of length 32) and prefixes, as they were hidden.
    pub prefixes: Vec<Ipv4Net>,
    /// The only devices to show them on; wherever they are hidden where there are none.
    pub dev: Vec<String>,
    /// The device to take the addresses from first.
    pub del_from: Option<String>,
}

impl Unhide {
    pub(super) async fn perform(self, context: &Context<'_>) -> Result<()> {
        let mut session = Session::begin(context.store, context.netlink).await?;
        let outcome = change(&mut session, &self).await;
        session.end(outcome).await
    }
}

/// The VIPs go first: when the rules do, there is nothing left to be seen.
async fn change(session: &mut Session, request: &Unhide) -> Result<()> {
    let Unhide {
        prefixes,
        dev,
        del_from,
    } = request;
    let places = if dev.is_empty() {
        let mut places = vec![EVERY_DEVICE];
        if let Some(datapath) = session.datapath() {
            places.extend(datapath.devices_with_rules()?);
        }
        places
    } else {
        let index = |name: &String| Ok(policy::existing(&session.host, name)?.index);
        dev.iter().map(index).collect::<Result<_>>()?
    };
    let mut changes = Vec::new();
    for prefix in prefixes {
        let removed = removal(session.datapath(), *prefix, &places);
        if removed.is_empty() {
            return Err(not_hidden(session.datapath(), *prefix, &places));
        }
        changes.extend(removed);
    }
    if let Some(name) = del_from {
        let device = policy::existing(&session.host, name)?.clone();
        let vips = prefixes
            .iter()
            .map(|prefix| single("unhide --del-from", *prefix));
        for vip in vips.collect::<Result<Vec<_>>>()? {
            session.remove_address(&device, vip).await?;
        }
    }
    session.commit(&changes)?;
    session.refresh()
}

fn removal(datapath: Option<&Datapath>, prefix: Ipv4Net, places: &[u32]) -> Vec<Change> {
    datapath.map_or_else(Vec::new, |datapath| {
        plan::unhide(prefix, places, |device, prefix| {
            datapath.maps.rule(device, prefix)
        })
    })
}

fn not_hidden(datapath: Option<&Datapath>, prefix: Ipv4Net, places: &[u32]) -> Error {
    let error = Error::new("unhide", prefix_text(prefix), "it is not hidden there");
    let covering = datapath.and_then(|datapath| {
        let mut views = places
            .iter()
            .map(|device| View::new(&datapath.maps, *device));
        let rule = views.find_map(|view| view.rule(prefix.addr()))?;
        Ipv4Net::new(prefix.addr(), rule.prefix_len()).ok()
    });
    match covering {
        Some(covering) if covering.prefix_len() < prefix.prefix_len() => error.advise(format!(
            "it is one of {}, which is: unhide that",
            covering.trunc()
        )),
        _ => error.advise("`arpguard list` shows what is"),
    }
}
