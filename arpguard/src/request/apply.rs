//! `arpguard apply`

use serde::{Deserialize, Serialize};

use super::Context;
use crate::{
    config::{Config, Source},
    error::Result,
    host::Host,
    plan::{Mover, Plan, State, towards, unasked},
    render::{
        Format, Page, json,
        plan::{Step, lines, steps},
    },
    session::{self, Session, state},
    vacancy,
};

const FORCE: &str = "set `force = true` if arpguard is to answer all the same";

/// The policy to make true.
#[derive(Debug, Deserialize, Serialize)]
pub struct Apply {
    /// The files that say it.
    pub sources: Vec<Source>,
    /// Whether only to show what would be done.
    pub dry_run: bool,
}

impl Apply {
    pub(super) async fn perform(self, context: &mut Context<'_>) -> Result<()> {
        let config = Config::of(self.sources)?;
        if self.dry_run {
            let reader = session::open(context.store, context.netlink).await?;
            let host = Host::observe(context.netlink).await?;
            let now = state(reader.datapath(), &host, context.netlink).await?;
            let plan = plan(&config, &now, &host)?;
            return show(context, &steps(&plan, &now, &host));
        }
        check_free(&config, context).await?;
        let mut session = Session::begin(context.store, context.netlink).await?;
        let mut done = Vec::new();
        let outcome = change(&mut session, &config, &mut done).await;
        session.end(outcome).await?;
        // On a terminal a change that went well is as silent as that of any other command.
        if done.is_empty() || context.page.format == Format::Json {
            show(context, &done)?;
        }
        Ok(())
    }
}

/// Asks the LAN for what is to be answered for and was not before, where that has a link.
async fn check_free(config: &Config, context: &Context<'_>) -> Result<()> {
    let host = Host::observe(context.netlink).await?;
    let wanted = config.on(&host)?;
    // Before anybody has to wait for this: to ask takes a second.
    let reader = session::open(context.store, context.netlink).await?;
    let known = |place| reader.datapath()?.maps.rule(place);
    for (index, wanted) in unasked(&wanted.rules, known) {
        let Some(device) = host.by_index(index).filter(|device| device.is_usable()) else {
            continue;
        };
        if let Some(taken) = vacancy::ask(&host, device, &wanted)?.first() {
            return Err(taken.error(device).advise(FORCE));
        }
    }
    Ok(())
}

async fn change(session: &mut Session, config: &Config, done: &mut Vec<Step>) -> Result<()> {
    let now: State = session.state().await?;
    let plan = plan(config, &now, &session.host)?;
    session.carry_out(&plan).await?;
    *done = steps(&plan, &now, &session.host);
    Ok(())
}

fn plan(config: &Config, now: &State, host: &Host) -> Result<Plan> {
    let mut wanted = config.on(host)?;
    wanted.settle(now, host, Mover::Nobody)?;
    Ok(towards(&wanted, now))
}

fn show(context: &mut Context<'_>, steps: &[Step]) -> Result<()> {
    let Page { format, width: _ } = context.page;
    context.print(|out| match format {
        Format::Table => lines(out, steps),
        Format::Json => json::lines(out, steps),
    })
}
