//! One turn of the agent: the kernel is made to hold what is declared.

use std::fmt;

use tracing::{info, warn};

use super::{
    asking::Asked,
    homes::{Homes, report},
};
use crate::{
    config::Config,
    datapath::{Datapath, Writer},
    device::Device,
    error::{Error, Result},
    host::Host,
    netlink::Netlink,
    plain::plain,
    plan::{Keep, Mover, Wanted, moves, towards},
    policy,
    render::table::count,
    session::Session,
};

/// What an agent is to make true.
pub(super) struct Wish<'a> {
    /// What is declared.
    pub(super) config: &'a Config,
    /// What was declared, and in force, before.
    pub(super) last: Option<&'a Config>,
    /// What of the rest stays.
    pub(super) keep: Keep,
}

/// The devices that are not guarded as nothing is known of them, and that was told of.
#[derive(Default)]
pub(super) struct PassedOver(Vec<String>);

impl PassedOver {
    /// Warns of those that are new.
    fn look(&mut self, host: &Host) {
        let now: Vec<_> = policy::unreadable(host)
            .map(|error| error.to_string())
            .collect();
        for news in now.iter().filter(|error| !self.0.contains(error)) {
            warn!("{news}");
        }
        self.0 = now;
    }
}

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
    /// Makes what is in force equal to what is declared. Where the host is not what that is about, what
    /// was in force is followed on: a device that is new is guarded by it, and pins move.
    pub(super) async fn take(
        writer: Writer,
        netlink: &Netlink,
        wish: &Wish<'_>,
        (homes, passed_over, asked): (&mut Homes, &mut PassedOver, &mut Asked),
    ) -> Self {
        let mut session = match Session::with(writer, netlink).await {
            Ok(session) => session,
            Err(error) => return Self::Failed(error),
        };
        homes.look(&session.host);
        passed_over.look(&session.host);
        let moved = homes.move_known(&mut session, netlink).await;
        let (declared, refusal) = match wish.config.on(&session.host) {
            Ok(wanted) => (Some(wanted), None),
            Err(error) => {
                let last = wish.last.and_then(|last| last.on(&session.host).ok());
                (last, Some(error))
            }
        };
        let mut wanted = Wanted::default();
        let changed = match moved {
            Ok(()) => change(&mut session, declared, wish.keep, homes).await,
            Err(error) => Err(error),
        };
        let outcome = match changed {
            Ok(done) => {
                wanted = done;
                Ok(())
            }
            Err(error) => Err(error),
        };
        let shape = session.datapath().map(Datapath::rules).unwrap_or_default();
        let host = session.host.clone();
        let outcome = session.end(outcome).await;
        if outcome.is_ok() {
            let rules = &wanted.rules;
            asked.look(rules, &host);
            let at = |place| rules.at(place);
            let around = (&host, netlink);
            if let Err(error) = homes.settled(&wanted.terms, rules, at, around).await {
                return Self::Failed(error);
            }
        }
        match (outcome, refusal) {
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

/// Makes true what is declared, and what stays beside it; gives all of that. Where nothing can be
/// said for this host, only pins move.
async fn change(
    session: &mut Session,
    declared: Option<Wanted>,
    keep: Keep,
    homes: &Homes,
) -> Result<Wanted> {
    let now = session.state().await?;
    let mut wanted = declared.unwrap_or_else(|| Wanted::of(&now));
    wanted.keep(&now, keep);
    let holds = |device: &Device, seconds| homes.holds(device, seconds);
    wanted.settle(&now, &session.host, Mover::Follower(&holds))?;
    let plan = towards(&wanted, &now);
    report(&moves(&plan, &now, &session.host));
    for device in &plan.guard {
        info!("guarding {}", plain(&device.name));
    }
    for device in &plan.leave {
        info!("leaving {}", plain(&device.name));
    }
    if !plan.changes.is_empty() {
        info!(
            "changing {}",
            count(plan.changes.len() as u64, "rule", "rules")
        );
    }
    // Where no rule has changed, addresses may have: that, too, is carried out.
    session.carry_out(&plan).await?;
    Ok(wanted)
}
