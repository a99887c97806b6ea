//! `arpguard save`

use super::{Context, print};
use crate::{datapath::Reader, error::Result, host::Host, render::saved, session::state};

pub(super) async fn run(context: &Context) -> Result<()> {
    let host = Host::observe(&context.netlink).await?;
    let reader = Reader::open(&context.store).await?;
    let state = state(reader.datapath(), &host, &context.netlink).await?;
    print(|out| saved::write(out, &state, &host))
}
