//! `arpguard hide`

use std::slice;

use arpguard_common::{policy::View, verdict};
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use super::Context;
use crate::{
    datapath::Mode,
    error::Result,
    plan::{self, Plan},
    policy::{self, Placed, Rip},
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
        let hide = policy::Hide {
            prefixes: self.prefixes.clone(),
            rip: self.rip,
            shield: self.shield,
            mode: if self.audit {
                verdict::Mode::Audit
            } else {
                verdict::Mode::Enforce
            },
            force: self.force,
        };
        policy::check(slice::from_ref(&hide))?;
        let mut session = Session::begin(context.store, context.netlink).await?;
        let outcome = change(&mut session, &hide, &self).await;
        session.end(outcome).await
    }
}

/// The VIPs come up last: before that the programs are attached and the rules in force.
async fn change(session: &mut Session, hide: &policy::Hide, request: &Hide) -> Result<()> {
    let placed = Placed {
        hide,
        devices: policy::devices(&session.host, &request.dev)?,
        everywhere: request.dev.is_empty(),
    };
    let places = placed.places();
    let hidden = |address| {
        let devices = placed.devices.iter().map(|device| &device.index);
        session.datapath().is_some_and(|datapath| {
            let mut views = places
                .iter()
                .chain(devices)
                .map(|device| View::new(&datapath.maps, *device));
            views.any(|view| view.rule(address).is_some())
        })
    };
    policy::check_on(slice::from_ref(&placed), &session.host, hidden)?;
    let vip_device = match &request.add_to {
        Some(name) => {
            for prefix in &hide.prefixes {
                single("hide --add-to", *prefix)?;
            }
            Some(policy::existing(&session.host, name)?.clone())
        }
        None => None,
    };
    let plan = Plan {
        guard: placed.devices.iter().copied().cloned().collect(),
        attach: request.attach,
        changes: plan::hide(&placed),
        leave: Vec::new(),
    };
    session.carry_out(&plan).await?;
    if let Some(device) = vip_device {
        for prefix in &hide.prefixes {
            session.add_address(&device, prefix.addr()).await?;
        }
    }
    Ok(())
}
