//! The command line: each verb is a few lines over the library.

mod announce;
mod args;
mod doctor;
mod explain;
mod generate;
mod lines;
mod listen;
mod log;
mod monitor;
mod policy;
mod probe;
mod promote;
mod run;
mod usage;

use std::{
    io::{self, Write as _, stderr, stdout},
    path::PathBuf,
    process::ExitCode,
};

use clap::Parser as _;

pub use self::args::Arguments;
use self::args::Verb;
use crate::{
    control,
    datapath::{Pins, Reader, Store},
    doctor::Place,
    error::{CAPABILITIES, Error, Result},
    host::netns,
    interrupt,
    netlink::Netlink,
    plain::Plain,
    render::Format,
};

const FAILED: u8 = 1;
const USAGE: u8 = 2;
const FOUND: u8 = 3;

/// What a verb works with.
struct Context {
    netlink: Netlink,
    /// The name of the network namespace.
    identity: String,
    bpffs: Option<PathBuf>,
    socket: Option<PathBuf>,
    format: Format,
    /// The options that a command has to be given that is to find the same.
    place: Place,
}

impl Context {
    /// The pins.
    ///
    /// # Errors
    /// Where the process lacks a privilege, or there is nowhere to pin to.
    fn pins(&self) -> Result<Pins> {
        check_privileges()?;
        Pins::locate(self.bpffs.as_deref(), &self.identity)
    }

    /// The agent that holds the state, if one does.
    ///
    /// # Errors
    /// Where it is out of reach.
    async fn agent(&self) -> Result<Option<control::Agent>> {
        // Whoever names a file system wants what is pinned there.
        if self.bpffs.is_some() {
            return Ok(None);
        }
        let found = control::find(&self.socket()).await;
        if self.socket.is_none() && check_privileges().is_err() {
            // That this user lacks privileges tells more than that the socket is root's.
            return found.or(Ok(None));
        }
        found
    }

    /// What is loaded, as far as this process may know. Nothing is mounted, changed or waited for.
    async fn glimpse(&self) -> Option<Reader> {
        if self.agent().await.ok()?.is_some() {
            return None;
        }
        check_privileges().ok()?;
        let pins = Pins::find(self.bpffs.as_deref(), &self.identity).ok()??;
        Reader::open_as_it_is(&Store::Pinned(pins)).await.ok()
    }

    /// The socket of the agent that may hold the state.
    fn socket(&self) -> PathBuf {
        match &self.socket {
            Some(path) => path.clone(),
            None => control::path(&self.identity),
        }
    }
}

/// Runs the command that the process was given.
///
/// Exit status: 0 done, 1 it failed, 2 wrong usage, 3 `probe`, `doctor` or `explain` found a fault.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return usage::exit(&error),
    };
    match run(arguments) {
        Ok(status) => status,
        Err(error) => {
            // Standard error may be closed; there is nowhere else to say it.
            let _ = writeln!(stderr(), "arpguard: {error}");
            ExitCode::from(if error.is_usage { USAGE } else { FAILED })
        }
    }
}

fn run(arguments: Arguments) -> Result<ExitCode> {
    let verb = match arguments.verb {
        Verb::Completions(what) => return done(generate::completions(&what)),
        Verb::Man(what) => return done(generate::man(&what)),
        verb => verb,
    };
    let text = |path: &PathBuf| path.to_string_lossy().into_owned();
    let place = Place {
        netns: arguments.netns.clone(),
        bpffs: arguments.bpffs.as_ref().map(text),
        socket: arguments.socket.as_ref().map(text),
    };
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
            identity: netns::identity()?,
            bpffs: arguments.bpffs,
            socket: arguments.socket,
            format: arguments.output,
            place,
        };
        done(match verb {
            Verb::Policy(args::Policy::Promote(what)) => promote::run(&context, what).await,
            Verb::Policy(what) => policy::ask(&context, || what.request()).await,
            Verb::Probe(what) => return probe::run(&context, what).await,
            Verb::Doctor(what) => return doctor::run(&context, what).await,
            Verb::Explain(what) => return explain::run(&context, what).await,
            Verb::Announce(what) => announce::run(&context, what).await,
            Verb::Run(what) => run::run(&context, what).await,
            Verb::Monitor(what) => monitor::run(&context, what).await,
            Verb::Completions(_) | Verb::Man(_) => Ok(()),
        })
    })
}

fn done(outcome: Result<()>) -> Result<ExitCode> {
    outcome.map(|()| ExitCode::SUCCESS)
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
    let mut out = Plain(io::BufWriter::new(stdout().lock()));
    match write(&mut out).and_then(|()| out.flush()) {
        Err(cause) if cause.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::from_cause("write", "standard output", &cause))
        }
        _ => Ok(()),
    }
}
