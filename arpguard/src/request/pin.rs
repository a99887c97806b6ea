//! `arpguard pin`

use std::slice;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use super::{
    Context,
    set::{mode, set},
};
use crate::{
    datapath::Mode,
    error::Result,
    policy::{self, Block, Kind, Placed},
    session::Session,
};

/// What to pin, and to which device.
#[derive(Debug, Deserialize, Serialize)]
pub struct Pin {
    /// The addresses (of length 32) and prefixes.
    pub prefixes: Vec<Ipv4Net>,
    /// The device that alone may answer and speak for them.
    pub dev: String,
    /// Whether only to count what would be done.
    pub audit: bool,
    /// Whether to leave another device without an address to speak with.
    pub force: bool,
}

impl Pin {
    pub(super) async fn perform(self, context: &Context<'_>) -> Result<()> {
        let block = Block {
            kind: Kind::Pin,
            prefixes: self.prefixes,
            mode: mode(self.audit),
            force: self.force,
        };
        policy::check(slice::from_ref(&block))?;
        let mut session = Session::begin(context.store, context.netlink).await?;
        let outcome = change(&mut session, &block, &self.dev).await;
        session.end(outcome).await
    }
}

async fn change(session: &mut Session, block: &Block, dev: &str) -> Result<()> {
    let host = session.host.clone();
    let home = policy::guardable(&host, dev)?;
    let guarded = policy::devices(&host, &[])?;
    let guard = guarded.iter().copied().cloned().collect();
    let placed = Placed::pinned(block, guarded, home);
    set(session, &placed, guard, Mode::Auto).await
}
