//! The verbs that look at the policy or change it.

use std::io::{BufWriter, Write as _, stderr, stdout};

use super::{Context, print};
use crate::{
    agent,
    datapath::Store,
    error::Result,
    host::Host,
    plain::Plain,
    policy,
    render::Page,
    request::{self, Request},
};

/// What is told of a pin with a fallback where no agent runs.
const NOBODY_MOVES: &str = "pin: it is pinned, and stays where it is until `arpguard run` moves it";

/// Has a request performed by the agent that holds the state, else here. What it asks for is read
/// once it is known that there is somebody to ask.
pub(super) async fn ask(
    context: &Context,
    request: impl FnOnce() -> Result<Request>,
) -> Result<()> {
    let page = Page::standard(context.format);
    for passed_over in policy::unreadable(&Host::observe(&context.netlink).await?) {
        // Standard error may be closed, and the other devices matter more.
        let _ = writeln!(stderr(), "arpguard: {passed_over}");
    }
    if let Some(agent) = context.agent().await? {
        let reply = agent.ask(page, request()?).await?;
        print(|out| out.write_all(reply.output.as_bytes()))?;
        return reply.outcome;
    }
    let store = Store::Pinned(context.pins()?);
    let request = request()?;
    let needs_agent = request.needs_agent();
    perform(context, &store, page, request).await?;
    if needs_agent && !agent::is_there() {
        // Standard error may be closed, and what was asked for is done.
        let _ = writeln!(stderr(), "arpguard: {NOBODY_MOVES}");
    }
    Ok(())
}

async fn perform(context: &Context, store: &Store, page: Page, request: Request) -> Result<()> {
    let out = &mut Plain(BufWriter::new(stdout()));
    let context = &mut request::Context {
        netlink: &context.netlink,
        store,
        page,
        out,
    };
    request.perform(context).await
}
