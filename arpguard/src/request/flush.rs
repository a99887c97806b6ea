//! `arpguard flush`

use super::Context;
use crate::{datapath::Change, error::Result, session::Session};

pub(super) async fn perform(context: &mut Context<'_>) -> Result<()> {
    let mut session = Session::begin(context.store, context.netlink).await?;
    let outcome = change(&mut session);
    session.end(outcome).await
}

fn change(session: &mut Session) -> Result<()> {
    let Some(datapath) = session.datapath() else {
        return Ok(());
    };
    let remove = |(place, _)| Change { place, rule: None };
    let changes: Vec<_> = datapath
        .maps
        .rules()
        .map(|rule| rule.map(remove))
        .collect::<Result<_>>()?;
    session.commit(&changes)?;
    session.refresh()
}
