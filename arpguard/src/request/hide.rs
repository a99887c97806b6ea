//! `arpguard hide`

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
    policy::{self, Block, Kind, Placed, Rip},
    session::{Session, single},
};

/// What to hide, and how.
#[derive(Debug, Deserialize, Serialize)]
pub struct Hide {
    /// The addresses (of length 32) and prefixes.
    pub prefixes: Vec<Ipv4Net>,
    /// The sender in place of them.
    pub rip: Rip,
    /// The only devices to hide them on; every one where there are none.
    pub dev: Vec<String>,
    /// The device to put the addresses on once they are hidden.
    pub add_to: Option<String>,
    /// Whether others' claims of the addresses are kept from this host.
    pub shield: bool,
    /// Whether only to count what would be done.
    pub audit: bool,
    /// Whether to hide even what this host needs.
    pub force: bool,
    /// Where received frames are judged.
    pub attach: Mode,
}

impl Hide {
    pub(super) async fn perform(self, context: &Context<'_>) -> Result<()> {
        let block = Block {
            kind: Kind::Hide {
                rip: self.rip,
                shield: self.shield,
            },
            prefixes: self.prefixes.clone(),
            mode: mode(self.audit),
            force: self.force,
        };
        policy::check(slice::from_ref(&block))?;
        let mut session = Session::begin(context.store, context.netlink).await?;
        let outcome = change(&mut session, &block, &self).await;
        session.end(outcome).await
    }
}

/// The VIPs come up last: before that the programs are attached and the rules in force.
async fn change(session: &mut Session, block: &Block, request: &Hide) -> Result<()> {
    let host = session.host.clone();
    let placed = Placed::named(block, &host, &request.dev)?;
    let vip_device = match &request.add_to {
        Some(name) => {
            for prefix in &block.prefixes {
                single("hide --add-to", *prefix)?;
            }
            Some(policy::existing(&host, name)?)
        }
        None => None,
    };
    let guard = placed.devices.iter().copied().cloned().collect();
    set(session, &placed, guard, request.attach).await?;
    if let Some(device) = vip_device {
        for prefix in &block.prefixes {
            session.add_address(device, prefix.addr()).await?;
        }
    }
    Ok(())
}
