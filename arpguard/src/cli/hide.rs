//! `arpguard hide`

use std::slice;

use arpguard_common::{policy::View, verdict::Mode};

use super::{Context, args};
use crate::{
    error::Result,
    plan::{self, Plan},
    policy::{self, Hide, Placed},
    session::{Session, single},
};

pub(super) async fn run(context: &Context, arguments: args::Hide) -> Result<()> {
    let hide = Hide {
        prefixes: arguments.prefixes()?,
        rip: arguments.rip,
        shield: arguments.shield,
        mode: if arguments.audit {
            Mode::Audit
        } else {
            Mode::Enforce
        },
        force: arguments.force,
    };
    policy::check(slice::from_ref(&hide))?;
    let mut session = Session::begin(&context.store, &context.netlink).await?;
    let outcome = change(&mut session, &hide, &arguments).await;
    session.end(outcome).await
}

/// The VIPs come up last: before that the programs are attached and the rules in force.
async fn change(session: &mut Session, hide: &Hide, arguments: &args::Hide) -> Result<()> {
    let placed = Placed {
        hide,
        devices: policy::devices(&session.host, &arguments.dev)?,
        everywhere: arguments.dev.is_empty(),
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
    let vip_device = match &arguments.add_to {
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
        attach: arguments.attach.into(),
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
