//! `arpguard unpin`

use arpguard_common::verdict::Policy;
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use super::{
    Context,
    unset::{places, removals},
};
use crate::{error::Result, plan::Plan, session::Session};

/// What to leave to every device again.
#[derive(Debug, Deserialize, Serialize)]
pub struct Unpin {
    /// The addresses (of length 32) and prefixes, as they were pinned.
    pub prefixes: Vec<Ipv4Net>,
}

impl Unpin {
    pub(super) async fn perform(self, context: &Context<'_>) -> Result<()> {
        let mut session = Session::begin(context.store, context.netlink).await?;
        let outcome = change(&mut session, &self.prefixes).await;
        session.end(outcome).await
    }
}

async fn change(session: &mut Session, prefixes: &[Ipv4Net]) -> Result<()> {
    let places = places(session, &[])?;
    let changes = removals(session, "unpin", Policy::Pin, prefixes, &places)?;
    session.carry_out(&Plan::of(changes)).await
}
