//! The agent: declared policy, made true whenever the host or the files change.
//!
//! It holds nothing that the kernel does not hold. Each time something happens it reads the host
//! anew and carries out what is missing, so an event that is lost costs nothing, and an agent that
//! is killed leaves everything in force.

mod events;
mod files;

use std::{future::pending, path::PathBuf};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{info, warn};

use self::{events::Events, files::Files};
use crate::{
    config::Config,
    control::Server,
    datapath::Store,
    error::{Error, Result},
    host::Netlink,
    plan::towards,
    session::Session,
};

/// What an agent is told.
pub struct Agent {
    /// Where the state is kept.
    pub store: Store,
    /// Where to listen for commands, if the agent holds the state.
    pub socket: PathBuf,
    /// The files and directories with the policy.
    pub paths: Vec<PathBuf>,
    /// Policy that is given in place of files.
    pub given: Option<String>,
    /// Whether to remove everything from the kernel at the end.
    pub detach_on_exit: bool,
}

/// Why the agent wakes.
enum Wake {
    /// Devices, addresses or routes have changed.
    Host,
    /// The policy has changed.
    Policy,
    /// It is to end.
    End,
}

struct Signals {
    reload: Signal,
    interrupt: Signal,
    terminate: Signal,
}

impl Agent {
    /// Follows the host until it is asked to end by SIGTERM or SIGINT. SIGHUP reads the policy
    /// again.
    ///
    /// # Errors
    /// Where the first reading of the policy fails, or the kernel gives no events. What fails later
    /// is logged, and what was in force stays.
    pub async fn run(&self, netlink: &Netlink) -> Result<()> {
        let server = match &self.store {
            Store::Pinned(_) => None,
            Store::Held(_) => Some(Server::bind(&self.socket).await?),
        };
        let serve = async {
            match &server {
                Some(server) => server.serve(netlink, &self.store).await,
                None => pending().await,
            }
        };
        tokio::select! {
            ended = self.follow(netlink) => ended,
            () = serve => Ok(()),
        }
    }

    async fn follow(&self, netlink: &Netlink) -> Result<()> {
        let mut signals = Signals::watch()?;
        let mut events = Events::subscribe()?;
        let mut files = Files::watch(&self.paths)?;
        let mut config = self.read()?;
        let mut ready = false;
        loop {
            match self.reconcile(netlink, &config).await {
                Ok(()) if !ready => {
                    ready = true;
                    info!("the policy is in force");
                    // Not started by a service manager that wants to know: that is no error.
                    let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
                }
                Ok(()) => {}
                Err(error) => warn!("{error}; what was in force stays"),
            }
            match next(&mut signals, &mut events, &mut files).await {
                Wake::Host => {}
                Wake::Policy => match self.read() {
                    Ok(read) => {
                        info!("read the policy again");
                        config = read;
                    }
                    Err(error) => warn!("{error}; what was in force stays"),
                },
                Wake::End => return self.end(netlink).await,
            }
        }
    }

    fn read(&self) -> Result<Config> {
        match &self.given {
            Some(text) => Config::given(text),
            None => Config::read(&self.paths),
        }
    }

    /// Makes what is in force equal to `config`.
    async fn reconcile(&self, netlink: &Netlink, config: &Config) -> Result<()> {
        let mut session = Session::begin(&self.store, netlink).await?;
        let outcome = change(&mut session, config).await;
        session.end(outcome).await
    }

    async fn end(&self, netlink: &Netlink) -> Result<()> {
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
        match &self.store {
            Store::Pinned(_) if !self.detach_on_exit => {
                info!("ending; what is in force stays");
                return Ok(());
            }
            Store::Pinned(_) => info!("ending, and removing everything from the kernel"),
            Store::Held(_) => info!("ending; what this agent holds goes with it"),
        }
        Session::begin_removal(&self.store, netlink)
            .await?
            .remove_all()
            .await
    }
}

async fn change(session: &mut Session, config: &Config) -> Result<()> {
    let wanted = config.on(&session.host)?;
    let plan = towards(&wanted, &session.state().await?);
    for device in &plan.guard {
        info!("guarding {}", device.name);
    }
    for device in &plan.leave {
        info!("leaving {}", device.name);
    }
    if !plan.changes.is_empty() {
        info!("changing {} rules", plan.changes.len());
    }
    if plan.is_empty() {
        // Addresses and hardware addresses may have changed where no rule has.
        return session.refresh();
    }
    session.carry_out(&plan).await
}

impl Signals {
    fn watch() -> Result<Self> {
        let kind =
            |kind| signal(kind).map_err(|cause| Error::from_cause("watch for", "signals", &cause));
        Ok(Self {
            reload: kind(SignalKind::hangup())?,
            interrupt: kind(SignalKind::interrupt())?,
            terminate: kind(SignalKind::terminate())?,
        })
    }
}

async fn next(signals: &mut Signals, events: &mut Events, files: &mut Files) -> Wake {
    tokio::select! {
        // To end comes before all that may never stop coming.
        biased;
        _ = signals.interrupt.recv() => Wake::End,
        _ = signals.terminate.recv() => Wake::End,
        _ = signals.reload.recv() => Wake::Policy,
        () = files.changed() => Wake::Policy,
        () = events.happened() => Wake::Host,
    }
}
