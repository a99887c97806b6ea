//! `arpguard flush`

use super::Context;
use crate::{datapath::Change, error::Result, plan::Plan, session::Session};

pub(super) async fn perform(context: &mut Context<'_>) -> Result<()> {
    let mut session = Session::begin(context.store, context.netlink).await?;
    let outcome = change(&mut session).await;
    session.end(outcome).await
}

async fn change(session: &mut Session) -> Result<()> {
    let Some(datapath) = session.datapath() else {
        return Ok(());
    };
    let remove = |(place, _)| Change { place, rule: None };
    let changes: Vec<_> = datapath
        .maps
        .rules()
        .map(|rule| rule.map(remove))
        .collect::<Result<_>>()?;
    session.carry_out(&Plan::of(changes)).await
}
