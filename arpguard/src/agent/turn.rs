//! One turn of the agent: the kernel is made to hold what is declared.

use std::fmt;

use tracing::info;

use crate::{
    config::Config,
    datapath::{Datapath, Writer},
    error::{Error, Result},
    netlink::Netlink,
    plan::{Wanted, towards},
    render::table::count,
    session::Session,
};

/// How a turn went.
pub(super) enum Turn {
    /// All that is declared is in force.
    InForce(Summary),
    /// The host is not what the policy is about: a device or an address that it names may come
    /// later. What was in force is followed on.
    Waiting(Error),
    /// Something went wrong, and nothing was changed.
    Failed(Error),
}

/// What is in force, in a few words.
pub(super) struct Summary {
    addresses: u32,
    prefixes: u32,
    devices: u32,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "in force: {} and {} on {}",
            count(self.addresses, "address", "addresses"),
            count(self.prefixes, "prefix", "prefixes"),
            count(self.devices, "device", "devices"),
        )
    }
}

impl Turn {
    /// Makes what is in force equal to `config`. Where the host is not what that is about, `last`,
    /// which was in force, is followed on: a device that is new is guarded by it.
    pub(super) async fn take(
        writer: Writer,
        netlink: &Netlink,
        config: &Config,
        last: Option<&Config>,
    ) -> Self {
        let mut session = match Session::with(writer, netlink).await {
            Ok(session) => session,
            Err(error) => return Self::Failed(error),
        };
        let (wanted, refusal) = match config.on(&session.host) {
            Ok(wanted) => (wanted, None),
            Err(error) => match last.map(|last| last.on(&session.host)) {
                Some(Ok(wanted)) => (wanted, Some(error)),
                Some(Err(_)) | None => return Self::Waiting(error),
            },
        };
        let outcome = change(&mut session, &wanted).await;
        let shape = session.datapath().map(Datapath::rules).unwrap_or_default();
        match (session.end(outcome).await, refusal) {
            (Ok(()), Some(refusal)) => Self::Waiting(refusal),
            (Ok(()), None) => Self::InForce(Summary {
                addresses: shape.addresses(),
                prefixes: shape.prefixes(),
                devices: u32::try_from(wanted.devices.len()).unwrap_or(u32::MAX),
            }),
            (Err(error), _) => Self::Failed(error),
        }
    }
}

async fn change(session: &mut Session, wanted: &Wanted) -> Result<()> {
    let plan = towards(wanted, &session.state().await?);
    for device in &plan.guard {
        info!("guarding {}", device.name);
    }
    for device in &plan.leave {
        info!("leaving {}", device.name);
    }
    if !plan.changes.is_empty() {
        info!(
            "changing {}",
            count(plan.changes.len() as u64, "rule", "rules")
        );
    }
    if plan.is_empty() {
        // Addresses and hardware addresses may have changed where no rule has.
        return session.refresh();
    }
    session.carry_out(&plan).await
}
