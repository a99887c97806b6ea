//! `arpguard apply`

use super::{Context, args, args::Format, print};
use crate::{
    config::Config,
    datapath::Reader,
    error::Result,
    host::Host,
    plan::{State, towards},
    render::{
        json,
        plan::{Step, lines, steps},
    },
    session::{Session, state},
};

pub(super) async fn run(context: &Context, arguments: args::Apply) -> Result<()> {
    let config = Config::read(&arguments.paths)?;
    if arguments.dry_run {
        let host = Host::observe(&context.netlink).await?;
        let reader = Reader::open(&context.store).await?;
        let now = state(reader.datapath(), &host, &context.netlink).await?;
        let plan = towards(&config.on(&host)?, &now);
        return show(context, &steps(&plan, &now.rules, &host));
    }
    let mut session = Session::begin(&context.store, &context.netlink).await?;
    let mut done = Vec::new();
    let outcome = change(&mut session, &config, &mut done).await;
    session.end(outcome).await?;
    // On a terminal a change that went well is as silent as that of any other command.
    if done.is_empty() || context.format == Format::Json {
        show(context, &done)?;
    }
    Ok(())
}

async fn change(session: &mut Session, config: &Config, done: &mut Vec<Step>) -> Result<()> {
    let wanted = config.on(&session.host)?;
    let now: State = session.state().await?;
    let plan = towards(&wanted, &now);
    session.carry_out(&plan).await?;
    *done = steps(&plan, &now.rules, &session.host);
    Ok(())
}

fn show(context: &Context, steps: &[Step]) -> Result<()> {
    print(|out| match context.format {
        Format::Table => lines(out, steps),
        Format::Json => json::lines(out, steps),
    })
}
