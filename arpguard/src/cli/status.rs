//! `arpguard status`

use super::{Context, args::Format, print};
use crate::{
    datapath::Reader,
    error::Result,
    host::Host,
    render::{json, status, table},
};

pub(super) async fn run(context: &Context) -> Result<()> {
    let host = Host::observe(&context.netlink).await?;
    let reader = Reader::open(&context.store).await?;
    let status = status::read(reader.datapath(), &host, &context.netlink).await?;
    print(|out| match context.format {
        Format::Table => table::status(out, &status),
        Format::Json => json::document(out, &status),
    })
}
