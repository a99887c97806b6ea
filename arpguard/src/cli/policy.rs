//! The verbs that look at the policy or change it.

use std::{
    fmt,
    io::{BufWriter, Write as _, stderr, stdout},
};

use super::{Context, print};
use crate::{
    agent,
    datapath::Store,
    error::Result,
    host::{Host, Sysctls},
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
    let host = Host::observe(&context.netlink).await?;
    for passed_over in policy::unreadable(&host) {
        // The other devices matter more.
        tell(passed_over);
    }
    // What cannot be read is nothing to remark on.
    let remarks = |request: &Request| request.remarks(&host, &Sysctls::read().unwrap_or_default());
    if let Some(agent) = context.agent().await? {
        let request = request()?;
        let remarks = remarks(&request);
        let reply = agent.ask(page, request).await?;
        print(|out| out.write_all(reply.output.as_bytes()))?;
        reply.outcome?;
        remarks.iter().for_each(tell);
        return Ok(());
    }
    let store = Store::Pinned(context.pins()?);
    let request = request()?;
    let (needs_agent, remarks) = (request.needs_agent(), remarks(&request));
    perform(context, &store, page, request).await?;
    // What was asked for is done.
    if needs_agent && !agent::is_there() {
        tell(NOBODY_MOVES);
    }
    remarks.iter().for_each(tell);
    Ok(())
}

/// Tells what does not stop a command. Standard error may be closed.
fn tell(what: impl fmt::Display) {
    let _ = writeln!(stderr(), "arpguard: {what}");
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
