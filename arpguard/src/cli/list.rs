//! `arpguard list`

use super::{Context, args::Format, print};
use crate::{
    datapath::Reader,
    error::Result,
    host::Host,
    render::{json, rules, table},
};

pub(super) async fn run(context: &Context) -> Result<()> {
    let host = Host::observe(&context.netlink).await?;
    let rules = match Reader::open(&context.store).await?.datapath() {
        Some(datapath) => rules::read(&datapath.maps, &host)?,
        None => Vec::new(),
    };
    print(|out| match context.format {
        Format::Table => table::rules(out, &rules),
        Format::Json => json::lines(out, &rules),
    })
}
