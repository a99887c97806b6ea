//! `arpguard hide`

use arpguard_common::{policy::View, verdict::Mode};

use super::{Context, args};
use crate::{
    error::Result,
    plan,
    policy::{self, Hide},
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
    hide.check()?;
    let mut session = Session::begin(&context.pins, &context.netlink).await?;
    let outcome = change(&mut session, &hide, &arguments).await;
    session.end(outcome).await
}

/// The VIPs come up last: before that the programs are attached and the rules in force.
async fn change(session: &mut Session, hide: &Hide, arguments: &args::Hide) -> Result<()> {
    let (devices, places) = policy::devices(&session.host, &arguments.dev)?;
    let hidden = |address| {
        let everywhere = places
            .iter()
            .chain(devices.iter().map(|device| &device.index));
        session.datapath().is_some_and(|datapath| {
            let mut views = everywhere.map(|device| View::new(&datapath.maps, *device));
            views.any(|view| view.rule(address).is_some())
        })
    };
    hide.check_on(&session.host, &devices, hidden)?;
    let vip_device = match &arguments.add_to {
        Some(name) => {
            for prefix in &hide.prefixes {
                single("hide --add-to", *prefix)?;
            }
            Some(policy::existing(&session.host, name)?.clone())
        }
        None => None,
    };
    let devices: Vec<_> = devices.into_iter().cloned().collect();
    session
        .guard(&devices, arguments.attach.into(), |address| {
            hide.covers(address)
        })
        .await?;
    session.commit(&plan::hide(hide, &places))?;
    session.refresh()?;
    if let Some(device) = vip_device {
        for prefix in &hide.prefixes {
            session.add_address(&device, prefix.addr()).await?;
        }
    }
    Ok(())
}
