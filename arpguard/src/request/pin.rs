//! `arpguard pin`

use std::slice;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use super::{
    Context,
    set::{Beside, mode, set_with},
};
use crate::{
    datapath::Mode,
    error::{Error, Result},
    host::{Host, Sysctls},
    policy::{self, Block, Kind, Placed},
    session::Session,
    terms::{Fallback, Terms},
};

/// What to pin, and to which device.
#[derive(Debug, Deserialize, Serialize)]
pub struct Pin {
    /// The addresses (of length 32) and prefixes.
    pub prefixes: Vec<Ipv4Net>,
    /// The device that alone may answer and speak for them.
    pub dev: String,
    /// The device that does so while that one has no carrier.
    pub fallback: Option<Fallback>,
    /// Whether replies from them leave by the device where they are.
    pub route: bool,
    /// Whether only to count what would be done.
    pub audit: bool,
    /// Whether to leave another device without an address to speak with.
    pub force: bool,
}

impl Pin {
    /// By which settings the kernel would not answer on the fallback.
    pub(super) fn remarks(&self, host: &Host, sysctls: &Sysctls) -> Vec<String> {
        let fallback = self.fallback.as_ref();
        let device = fallback.and_then(|fallback| host.device(&fallback.dev));
        device.map_or_else(Vec::new, |device| {
            policy::deaf(&self.prefixes, device, self.route, host, sysctls)
        })
    }

    pub(super) async fn perform(self, context: &Context<'_>) -> Result<()> {
        let block = Block {
            kind: Kind::Pin,
            prefixes: self.prefixes,
            mode: mode(self.audit),
            force: self.force,
        };
        policy::check(slice::from_ref(&block))?;
        if self.fallback.as_ref().is_some_and(|to| to.dev == self.dev) {
            let why = "it is the device itself; name another as --fallback";
            return Err(Error::new("pin", &self.dev, why).usage());
        }
        let terms = Terms::of(self.dev.clone(), self.fallback, self.route, true);
        let mut session = Session::begin(context.store, context.netlink).await?;
        let outcome = change(&mut session, &block, &self.dev, terms.as_ref()).await;
        session.end(outcome).await
    }
}

async fn change(
    session: &mut Session,
    block: &Block,
    dev: &str,
    terms: Option<&Terms>,
) -> Result<()> {
    let host = session.host.clone();
    let home = policy::guardable(&host, dev)?;
    for device in terms.iter().flat_map(|terms| terms.devices()) {
        policy::guardable(&host, device)?;
    }
    let guarded = policy::devices(&host, &[])?;
    let guard = guarded.iter().copied().cloned().collect();
    let placed = Placed::pinned(block, guarded, home);
    let beside = Beside {
        terms,
        ..Beside::default()
    };
    set_with(session, &placed, beside, guard, Mode::Auto).await
}
