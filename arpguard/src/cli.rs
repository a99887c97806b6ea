//! The command line: each verb is a few lines over the library.

mod apply;
mod args;
mod detach;
mod flush;
mod generate;
mod hide;
mod lines;
mod list;
mod monitor;
mod run;
mod save;
mod status;
mod unhide;
mod usage;

use std::{
    io::{self, Write as _, stderr, stdout},
    process::ExitCode,
};

use clap::Parser as _;

pub use self::args::Arguments;
use self::args::{Format, Verb};
use crate::{
    datapath::{Pins, Store},
    error::{CAPABILITIES, Error, Result},
    host::{Netlink, netns},
    interrupt,
};

const FAILED: u8 = 1;
const USAGE: u8 = 2;

/// What a verb works with.
pub(crate) struct Context {
    netlink: Netlink,
    store: Store,
    format: Format,
}

/// Runs the command that the process was given.
///
/// Exit status: 0 done, 1 it failed, 2 wrong usage.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return usage::exit(&error),
    };
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Standard error may be closed; there is nowhere else to say it.
            let _ = writeln!(stderr(), "arpguard: {error}");
            ExitCode::from(if error.is_usage { USAGE } else { FAILED })
        }
    }
}

fn run(arguments: Arguments) -> Result<()> {
    let verb = match arguments.verb {
        Verb::Completions(what) => return generate::completions(&what),
        Verb::Man(what) => return generate::man(&what),
        verb => verb,
    };
    check_privileges()?;
    if let Some(namespace) = &arguments.netns {
        netns::enter(namespace)?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|cause| Error::from_cause("start", "the runtime", &cause))?;
    // The agent listens to signals by itself: it ends between two changes, not in one.
    if !matches!(verb, Verb::Run(_)) {
        interrupt::watch().map_err(|cause| Error::from_cause("watch for", "signals", &cause))?;
    }
    runtime.block_on(async {
        let context = Context {
            netlink: Netlink::connect()?,
            store: Store::Pinned(Pins::locate(
                arguments.bpffs.as_deref(),
                &netns::identity()?,
            )?),
            format: arguments.output,
        };
        match verb {
            Verb::Hide(what) => hide::run(&context, what).await,
            Verb::Unhide(what) => unhide::run(&context, what).await,
            Verb::Apply(what) => apply::run(&context, what).await,
            Verb::Save => save::run(&context).await,
            Verb::Run(what) => run::run(&context, what).await,
            Verb::List => list::run(&context).await,
            Verb::Status => status::run(&context).await,
            Verb::Monitor(what) => monitor::run(&context, what).await,
            Verb::Flush => flush::run(&context).await,
            Verb::Detach => detach::run(&context).await,
            Verb::Completions(_) | Verb::Man(_) => Ok(()),
        }
    })
}

fn check_privileges() -> Result<()> {
    use caps::{CapSet, Capability, has_cap};
    let has = |capability| has_cap(None, CapSet::Effective, capability).unwrap_or(false);
    let all = has(Capability::CAP_SYS_ADMIN);
    let missing: Vec<_> = [
        (Capability::CAP_BPF, all),
        (Capability::CAP_PERFMON, all),
        (Capability::CAP_NET_ADMIN, false),
    ]
    .into_iter()
    .filter(|(capability, implied)| !implied && !has(*capability))
    .map(|(capability, _)| capability.to_string())
    .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Error::new(
        "use BPF",
        "this process",
        format!("it lacks {}", missing.join(", ")),
    )
    .advise(CAPABILITIES))
}

/// Writes to standard output. A reader that has gone away, as `head` does, is no error.
fn print(write: impl FnOnce(&mut dyn io::Write) -> io::Result<()>) -> Result<()> {
    let mut out = io::BufWriter::new(stdout().lock());
    match write(&mut out).and_then(|()| out.flush()) {
        Err(cause) if cause.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::from_cause("write", "standard output", &cause))
        }
        _ => Ok(()),
    }
}
