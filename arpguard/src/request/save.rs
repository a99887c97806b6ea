//! `arpguard save`

use super::Context;
use crate::{datapath::Reader, error::Result, host::Host, render::saved, session::state};

pub(super) async fn perform(context: &mut Context<'_>) -> Result<()> {
    let host = Host::observe(context.netlink).await?;
    let reader = Reader::open(context.store).await?;
    let state = state(reader.datapath(), &host, context.netlink).await?;
    context.print(|out| saved::write(out, &state, &host))
}
