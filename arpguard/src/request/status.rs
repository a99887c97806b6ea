//! `arpguard status`

use super::Context;
use crate::{
    error::Result,
    host::Host,
    render::{Format, Page, json, status, table},
    session,
};

pub(super) async fn perform(context: &mut Context<'_>) -> Result<()> {
    let reader = session::open(context.store, context.netlink).await?;
    let host = Host::observe(context.netlink).await?;
    let status = status::read(reader.datapath(), &host, context.netlink).await?;
    let Page { format, width } = context.page;
    context.print(|out| match format {
        Format::Table => table::status(out, &status, width),
        Format::Json => json::document(out, &status),
    })
}
