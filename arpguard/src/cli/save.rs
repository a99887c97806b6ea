//! `arpguard save`

use super::{Context, print};
use crate::{datapath::Datapath, error::Result, host::Host, render::saved, session::state};

pub(super) async fn run(context: &Context) -> Result<()> {
    let host = Host::observe(&context.netlink).await?;
    let datapath = Datapath::open(&context.pins)?;
    let state = state(datapath.as_ref(), &host, &context.netlink).await?;
    print(|out| saved::write(out, &state, &host))
}
