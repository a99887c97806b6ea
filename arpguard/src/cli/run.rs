//! `arpguard run`

use std::fmt::Write as _;

use tracing::warn;

use super::{Context, args, check_privileges, log};
use crate::{
    agent::Agent,
    datapath::{Held, Store},
    error::Result,
    policy::{Rip, prefix_text},
};

pub(super) async fn run(context: &Context, arguments: args::Run) -> Result<()> {
    log::begin();
    check_privileges()?;
    let store = match context.pins() {
        Ok(pins) => Store::Pinned(pins),
        // Whoever names a file system wants that one.
        Err(error) if context.bpffs.is_some() => return Err(error),
        Err(error) => {
            warn!(
                "{error:#}: nothing can be pinned, so this agent holds the programs: they go with it"
            );
            Store::Held(Held::default())
        }
    };
    let agent = Agent {
        store,
        socket: context.socket(),
        given: given(&arguments),
        paths: arguments.config,
        detach_on_exit: arguments.detach_on_exit,
        metrics: arguments.metrics,
    };
    agent.run(&context.netlink).await
}

/// The policy of the command line, as the file that would say it.
fn given(arguments: &args::Run) -> Option<String> {
    if arguments.hide.is_empty() {
        return None;
    }
    let addresses: Vec<_> = arguments
        .hide
        .iter()
        .map(|prefix| format!("{:?}", prefix_text(*prefix)))
        .collect();
    let mut text = format!("[[hide]]\nip = [{}]\n", addresses.join(", "));
    if let Rip::Address(rip) = arguments.rip {
        // Writing to a string does not fail.
        let _ = writeln!(text, "rip = \"{rip}\"");
    }
    Some(text)
}
