//! `arpguard bind`, `arpguard unbind`

use std::slice;

use arpguard_common::{verdict::Policy, wire::Mac};
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use super::{
    Context,
    set::{mode, set},
    unset::unset,
};
use crate::{
    datapath::Mode,
    error::Result,
    policy::{self, Block, Kind, Placed},
    session::Session,
};

/// What to bind, and to whom.
#[derive(Debug, Deserialize, Serialize)]
pub struct Bind {
    /// The addresses (of length 32) and prefixes.
    pub prefixes: Vec<Ipv4Net>,
    /// The hardware address that alone may claim them.
    pub mac: [u8; 6],
    /// The only devices to bind them on; every one where there are none.
    pub dev: Vec<String>,
    /// Whether only to count what would be done.
    pub audit: bool,
}

/// What to bind no longer.
#[derive(Debug, Deserialize, Serialize)]
pub struct Unbind {
    /// The addresses (of length 32) and prefixes, as they were bound.
    pub prefixes: Vec<Ipv4Net>,
    /// The only devices; wherever they are bound where there are none.
    pub dev: Vec<String>,
}

impl Bind {
    pub(super) async fn perform(self, context: &Context<'_>) -> Result<()> {
        let block = Block {
            kind: Kind::Bind { mac: Mac(self.mac) },
            prefixes: self.prefixes,
            mode: mode(self.audit),
            force: false,
        };
        policy::check(slice::from_ref(&block))?;
        let mut session = Session::begin(context.store, context.netlink).await?;
        let outcome = change(&mut session, &block, &self.dev).await;
        session.end(outcome).await
    }
}

impl Unbind {
    pub(super) async fn perform(self, context: &Context<'_>) -> Result<()> {
        let mut session = Session::begin(context.store, context.netlink).await?;
        let Self { prefixes, dev } = &self;
        let outcome = unset(&mut session, "unbind", Policy::Bind, prefixes, dev).await;
        session.end(outcome).await
    }
}

async fn change(session: &mut Session, block: &Block, dev: &[String]) -> Result<()> {
    let host = session.host.clone();
    let placed = Placed::named(block, &host, dev)?;
    let guard = placed.devices.iter().copied().cloned().collect();
    set(session, &placed, guard, Mode::Auto).await
}
