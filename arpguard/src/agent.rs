//! The agent: declared policy, made true whenever the host or the files change.
//!
//! It holds nothing that the kernel does not hold. Each time something happens it reads the host
//! anew and carries out what is missing, so an event that is lost costs nothing, and an agent that
//! is killed leaves everything in force.
//!
//! Who asks it by HTTP is answered on another thread, from the kernel, so neither waits for the
//! other.

mod answers;
mod asking;
mod checking;
mod declared;
mod events;
mod files;
mod homes;
mod manager;
mod presence;
mod server;
mod telling;
mod turn;
mod view;
mod wakes;

use std::{future::pending, net::SocketAddr, path::PathBuf, sync::Arc};

use tokio::sync::watch;
use tracing::{info, warn};

pub use self::presence::is_there;
use self::{
    answers::Answers,
    asking::Asked,
    declared::Declared,
    homes::Homes,
    manager::Manager,
    presence::Presence,
    server::Server,
    turn::{PassedOver, Turn, Wish},
    wakes::{Wake, Wakes},
};
use crate::{
    config::Config,
    control,
    datapath::{Store, Writer},
    error::Result,
    netlink::Netlink,
    plan::Keep,
    session::Session,
};

/// What a failure means to who reads of it.
const STAYS: &str = "what was in force stays";

/// What an agent is told.
pub struct Agent {
    /// Where the state is kept.
    pub store: Store,
    /// Where to listen for commands, if the agent holds the state.
    pub socket: PathBuf,
    /// The files and directories with the policy. Where there are none, and nothing is given, what is
    /// in force stays.
    pub paths: Vec<PathBuf>,
    /// Policy that is given in place of files.
    pub given: Option<String>,
    /// Whether to remove everything from the kernel at the end.
    pub detach_on_exit: bool,
    /// Where to serve `/metrics` and `/healthz`, if at all.
    pub metrics: Option<SocketAddr>,
}

impl Agent {
    /// Follows the host until it is asked to end by SIGTERM or SIGINT. SIGHUP reads the policy
    /// again.
    ///
    /// # Errors
    /// Where the first reading of the policy fails, the kernel gives no events, or nothing can be
    /// served at the address for metrics. What fails later is logged, and what was in force stays.
    pub async fn run(&self, netlink: &Netlink) -> Result<()> {
        let metrics = self.metrics.map(Server::bind).transpose()?;
        let commands = match &self.store {
            Store::Pinned(_) => None,
            Store::Held(_) => Some(control::Server::bind(&self.socket).await?),
        };
        let _presence = Presence::claim();
        let mut wakes = Wakes::watch(&self.paths)?;
        let declared = Declared::new(self.read()?);
        if let Some(metrics) = metrics {
            info!("serving /metrics and /healthz at {}", metrics.address());
            metrics.start(&self.store, &declared)?;
        }
        let serve = async {
            match &commands {
                Some(commands) => commands.serve(netlink, &self.store).await,
                None => pending().await,
            }
        };
        let mut manager = Manager::new();
        let (turned, turns) = watch::channel(());
        let mut answers = Answers::new(&self.store, netlink);
        let (asked, mut asking) = asking::new();
        tokio::select! {
            () = self.follow(netlink, &mut wakes, &declared, &mut manager, (&turned, asked)) => {}
            () = answers.serve(turns) => {}
            () = asking.serve() => {}
            () = serve => {}
        }
        manager.stopping();
        self.end(netlink).await
    }

    /// Takes turns until it is asked to end.
    async fn follow(
        &self,
        netlink: &Netlink,
        wakes: &mut Wakes,
        declared: &Declared,
        manager: &mut Manager,
        (turned, mut asked): (&watch::Sender<()>, Asked),
    ) {
        let mut said = String::new();
        let mut last: Option<Arc<Config>> = None;
        let mut homes = Homes::default();
        let mut passed_over = PassedOver::default();
        loop {
            let reading = declared.reading();
            let writer = tokio::select! {
                writer = manager.while_doing(Writer::lock(&self.store)) => writer,
                () = wakes.end().asked() => return,
            };
            let turn = match writer {
                Ok(writer) => {
                    let wish = Wish {
                        config: &reading.config,
                        last: last.as_deref(),
                        keep: self.keep(),
                    };
                    let known = (&mut homes, &mut passed_over, &mut asked);
                    let turn = Turn::take(writer, netlink, &wish, known);
                    manager.while_doing(turn).await
                }
                Err(error) => Turn::Failed(error),
            };
            turned.send_replace(());
            report(&turn, &mut said);
            if matches!(turn, Turn::InForce(_)) {
                last = Some(Arc::clone(&reading.config));
            }
            let again = matches!(turn, Turn::Failed(_));
            manager.tell(turn, reading.failure);
            match manager.while_waiting(wakes.next(again, homes.due())).await {
                Wake::Host => {}
                Wake::Policy => {
                    manager.reloading();
                    declared.replace(self.read().inspect_err(|error| warn!("{error}; {STAYS}")));
                }
                Wake::End => return,
            }
        }
    }

    /// What stays that is not declared. Where nothing is, the agent follows what commands say.
    const fn keep(&self) -> Keep {
        if self.paths.is_empty() && self.given.is_none() {
            Keep::All
        } else {
            Keep::ByHand
        }
    }

    fn read(&self) -> Result<Config> {
        let config = match &self.given {
            Some(text) => Config::given(text),
            None => Config::read(&self.paths).and_then(Config::refuse_emptied),
        };
        config.inspect(|_| info!("read the policy"))
    }

    async fn end(&self, netlink: &Netlink) -> Result<()> {
        match &self.store {
            Store::Pinned(_) if !self.detach_on_exit => {
                info!("ending; {STAYS}");
                return Ok(());
            }
            Store::Pinned(_) => info!("ending, and removing everything from the kernel"),
            Store::Held(_) => info!("ending, and what this agent holds goes with it"),
        }
        Session::begin_removal(&self.store, netlink)
            .await?
            .remove_all()
            .await
    }
}

/// Logs how a turn went, unless that is what was `said` last.
fn report(turn: &Turn, said: &mut String) {
    let news = match turn {
        Turn::InForce(_) => "the policy is in force".to_owned(),
        Turn::Waiting(error) => format!("waiting for the host: {error}; {STAYS}"),
        Turn::Failed(error) => format!("{error}; {STAYS}"),
    };
    if news == *said {
        return;
    }
    match turn {
        Turn::InForce(_) => info!("{news}"),
        Turn::Waiting(_) | Turn::Failed(_) => warn!("{news}"),
    }
    *said = news;
}
