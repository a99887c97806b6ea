//! `arpguard save`

use super::Context;
use crate::{
    error::Result,
    host::Host,
    render::saved,
    session::{self, state},
};

pub(super) async fn perform(context: &mut Context<'_>) -> Result<()> {
    let reader = session::open(context.store, context.netlink).await?;
    let host = Host::observe(context.netlink).await?;
    let state = state(reader.datapath(), &host, context.netlink).await?;
    context.print(|out| saved::write(out, &state, &host))
}
