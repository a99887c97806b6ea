//! `arpguard run`

use std::{fmt::Write as _, io::stderr};

use tracing::warn;
use tracing_subscriber::fmt;

use super::{Context, args, check_privileges};
use crate::{
    agent::Agent,
    datapath::{Held, Store},
    error::Result,
    policy::{Rip, prefix_text},
};

pub(super) async fn run(context: &Context, arguments: args::Run) -> Result<()> {
    // Under systemd the journal has its own clock, and takes no colours.
    let journal = std::env::var_os("JOURNAL_STREAM").is_some();
    let log = fmt().with_writer(stderr).with_target(false);
    if journal {
        log.without_time().with_ansi(false).init();
    } else {
        log.with_ansi(std::io::IsTerminal::is_terminal(&stderr()))
            .init();
    }
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
