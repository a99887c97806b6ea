//! `arpguard detach`

use super::Context;
use crate::{error::Result, session::Session};

pub(super) async fn perform(context: &mut Context<'_>) -> Result<()> {
    Session::begin_removal(context.store, context.netlink)
        .await?
        .remove_all()
        .await
}
