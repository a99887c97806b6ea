//! The verbs that look at the policy or change it.

use std::io::{BufWriter, stdout};

use super::{Context, args, print};
use crate::{
    datapath::Store,
    error::Result,
    render::Page,
    request::{self, Request},
};

pub(super) async fn run(context: &Context, what: args::Policy) -> Result<()> {
    let page = Page::standard(context.format);
    if let Some(agent) = context.agent().await? {
        let reply = agent.ask(page, what.request()?).await?;
        print(|out| out.write_all(reply.output.as_bytes()))?;
        return reply.outcome;
    }
    let store = Store::Pinned(context.pins()?);
    perform(context, &store, page, what.request()?).await
}

async fn perform(context: &Context, store: &Store, page: Page, request: Request) -> Result<()> {
    let out = &mut BufWriter::new(stdout());
    let context = &mut request::Context {
        netlink: &context.netlink,
        store,
        page,
        out,
    };
    request.perform(context).await
}
