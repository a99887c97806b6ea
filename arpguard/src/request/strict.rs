//! `arpguard strict on`, `arpguard strict off`

use arpguard_common::{abi::EVERY_DEVICE, verdict::Policy};
use serde::{Deserialize, Serialize};

use super::{
    Context,
    set::{mode, set},
    unset::places,
};
use crate::{
    datapath::Mode,
    device::Device,
    error::{Error, Result},
    plan,
    policy::{self, Block, EVERY_ADDRESS, Kind, Placed, Scope},
    session::Session,
};

/// Which devices to hold to what they own.
#[derive(Debug, Deserialize, Serialize)]
pub struct StrictOn {
    /// The devices; every one where there are none.
    pub dev: Vec<String>,
    /// Whether only who is in a subnet of the device is answered.
    pub same_subnet: bool,
    /// Whether only to count what would be done.
    pub audit: bool,
}

/// Which devices to hold to it no longer.
#[derive(Debug, Deserialize, Serialize)]
pub struct StrictOff {
    /// The devices; wherever it is on where there are none.
    pub dev: Vec<String>,
}

impl StrictOn {
    pub(super) async fn perform(self, context: &Context<'_>) -> Result<()> {
        let block = Block {
            kind: Kind::Strict {
                same_subnet: self.same_subnet,
            },
            prefixes: vec![EVERY_ADDRESS],
            mode: mode(self.audit),
            force: false,
        };
        let mut session = Session::begin(context.store, context.netlink).await?;
        let outcome = turn_on(&mut session, &block, &self).await;
        session.end(outcome).await
    }
}

impl StrictOff {
    pub(super) async fn perform(self, context: &Context<'_>) -> Result<()> {
        let mut session = Session::begin(context.store, context.netlink).await?;
        let outcome = turn_off(&mut session, &self.dev);
        session.end(outcome).await
    }
}

async fn turn_on(session: &mut Session, block: &Block, request: &StrictOn) -> Result<()> {
    let host = session.host.clone();
    let placed = Placed::named(block, &host, &request.dev)?;
    if !request.audit {
        check_silent(session, &placed)?;
    }
    let guard = placed.devices.iter().copied().cloned().collect();
    set(session, &placed, guard, Mode::Auto).await
}

/// A strict device that owns nothing answers nobody and resolves nobody. Of every device some may be
/// like that, but not all.
fn check_silent(session: &Session, placed: &Placed<'_>) -> Result<()> {
    let has_none = |device: &&Device| device.addresses.iter().all(|own| own.host_scope);
    let mut silent: Vec<_> = placed.devices.iter().copied().filter(has_none).collect();
    let fits = |silent: &[&Device]| match placed.scope {
        Scope::Every => silent.len() < placed.devices.len(),
        Scope::Each | Scope::AllBut(_) => silent.is_empty(),
    };
    if !fits(&silent)
        && let Some(datapath) = session.datapath()
    {
        for rule in datapath.maps.rules() {
            let (_, rule) = rule?;
            silent.retain(|device| device.index != rule.home());
        }
    }
    match silent.first() {
        Some(device) if !fits(&silent) => Err(Error::new(
            "strict on",
            &device.name,
            "it has no address, so it would neither answer nor ask",
        )
        .advise("give it one, or pin one to it, first")),
        Some(_) | None => Ok(()),
    }
}

fn turn_off(session: &mut Session, dev: &[String]) -> Result<()> {
    let everywhere = vec![EVERY_DEVICE];
    let rule = |place| session.datapath()?.maps.rule(place);
    let find = |places: &[u32]| plan::unset(Policy::Strict, EVERY_ADDRESS, places, rule);
    // Of several devices each must be strict by itself.
    for name in dev {
        let device = policy::existing(&session.host, name)?;
        if !find(&[device.index]).is_empty() {
            continue;
        }
        let error = Error::new("strict off", name, "it is not on there");
        return Err(match find(&everywhere).as_slice() {
            [] => error.advise("`arpguard list` shows where it is"),
            _ => error.advise(
                "it is on for every device: `arpguard strict off`, then on for those that shall be",
            ),
        });
    }
    let changes = find(&places(session, dev)?);
    if changes.is_empty() {
        let why = "it is not on for any device";
        return Err(Error::new("strict off", "this network namespace", why));
    }
    session.commit(&changes)?;
    session.refresh()
}
