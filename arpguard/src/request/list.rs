//! `arpguard list`

use super::Context;
use crate::{
    error::Result,
    host::Host,
    render::{Format, Page, json, rules, table},
    session,
};

pub(super) async fn perform(context: &mut Context<'_>) -> Result<()> {
    let reader = session::open(context.store, context.netlink).await?;
    let host = Host::observe(context.netlink).await?;
    let rules = match reader.datapath() {
        Some(datapath) => rules::read(&datapath.maps, &host)?,
        None => Vec::new(),
    };
    let Page { format, width } = context.page;
    context.print(|out| match format {
        Format::Table => table::rules(out, &rules, width),
        Format::Json => json::lines(out, &rules),
    })
}
