//! `arpguard unhide`

use arpguard_common::verdict::Policy;
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use super::{
    Context,
    promote::orphans,
    unset::{places, removals},
};
use crate::{
    error::Result,
    policy,
    session::{Session, single},
};

const UNHIDE: &str = "unhide";

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
    let places = places(session, dev)?;
    let mut changes = removals(session, UNHIDE, Policy::Hide, prefixes, &places)?;
    changes.extend(orphans(session, &changes)?);
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
