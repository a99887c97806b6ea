//! `arpguard answer`, `arpguard unanswer`

use std::slice;

use arpguard_common::{verdict::Policy, wire::Mac};
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use super::{
    Context,
    set::{Beside, mode, set_with},
    unset::unset,
};
use crate::{
    check::Check,
    datapath::Mode,
    error::Result,
    host::Host,
    plan,
    policy::{self, Block, Kind, Placed},
    session::Session,
    vacancy,
};

const FORCE: &str = "use --force if arpguard is to answer all the same";

/// What to answer for, and how.
#[derive(Debug, Deserialize, Serialize)]
pub struct Answer {
    /// The addresses (of length 32) and prefixes.
    pub prefixes: Vec<Ipv4Net>,
    /// The devices to answer on.
    pub dev: Vec<String>,
    /// What must hold; `None` for nothing.
    pub when: Option<Check>,
    /// The hardware address to answer with; `None` for the device's own.
    pub mac: Option<[u8; 6]>,
    /// Whether only to count what would be done.
    pub audit: bool,
    /// Whether to answer for what another machine has.
    pub force: bool,
}

/// What to answer for no longer.
#[derive(Debug, Deserialize, Serialize)]
pub struct Unanswer {
    /// The addresses (of length 32) and prefixes, as they were answered.
    pub prefixes: Vec<Ipv4Net>,
    /// The only devices; wherever they are answered where there are none.
    pub dev: Vec<String>,
}

impl Answer {
    pub(super) async fn perform(self, context: &Context<'_>) -> Result<()> {
        let block = Block {
            kind: Kind::Answer {
                mac: self.mac.map(Mac),
                deferred: self.when.is_some(),
            },
            prefixes: self.prefixes,
            mode: mode(self.audit),
            force: self.force,
        };
        policy::check(slice::from_ref(&block))?;
        if !self.force {
            // Before anybody has to wait for this: to ask takes a second.
            let host = Host::observe(context.netlink).await?;
            let placed = Placed::named(&block, &host, &self.dev)?;
            let mac = self.mac.map(Mac);
            let wanted = block.prefixes.iter().map(|prefix| (*prefix, mac)).collect();
            for device in &placed.devices {
                if let Some(taken) = vacancy::ask(&host, device, &wanted)?.first() {
                    return Err(taken.error(device).advise(FORCE));
                }
            }
        }
        let mut session = Session::begin(context.store, context.netlink).await?;
        let outcome = change(&mut session, &block, &self.dev, self.when).await;
        session.end(outcome).await
    }
}

impl Unanswer {
    pub(super) async fn perform(self, context: &Context<'_>) -> Result<()> {
        let mut session = Session::begin(context.store, context.netlink).await?;
        let Self { prefixes, dev } = &self;
        let outcome = unset(&mut session, "unanswer", Policy::Answer, prefixes, dev).await;
        session.end(outcome).await
    }
}

async fn change(
    session: &mut Session,
    block: &Block,
    dev: &[String],
    when: Option<Check>,
) -> Result<()> {
    let host = session.host.clone();
    let placed = Placed::named(block, &host, dev)?;
    let guard = placed.devices.iter().copied().cloned().collect();
    let beside = Beside {
        check: when.as_ref(),
        ..Beside::default()
    };
    set_with(session, &placed, beside, guard, Mode::Auto).await?;
    // Where it is only said again, too: nobody has them now, as far as was asked.
    session.forget_claims(plan::set(&placed).iter().map(|change| change.place))
}
