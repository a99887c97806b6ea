//! Setting the rules of one block: what `hide`, `pin` and `strict on` have in common.

use std::slice;

use arpguard_common::{policy::View, verdict};

use crate::{
    datapath::Mode,
    device::Device,
    error::{Error, Result},
    plan::{self, Plan},
    policy::{self, Placed, clash, prefix_text, state_text, undo_text},
    session::Session,
};

/// Whether verdicts are carried out.
pub(super) const fn mode(audit: bool) -> verdict::Mode {
    if audit {
        verdict::Mode::Audit
    } else {
        verdict::Mode::Enforce
    }
}

/// Guards `guard`'s devices, and sets the rules of a block.
///
/// # Errors
/// Where that makes no sense on this host or contradicts another rule, or the kernel refuses.
pub(super) async fn set(
    session: &mut Session,
    placed: &Placed<'_>,
    guard: Vec<Device>,
    attach: Mode,
) -> Result<()> {
    let changes = plan::set(placed);
    let rule = |place| session.datapath()?.maps.rule(place);
    let places = placed.places();
    let hidden = |address| {
        let devices = placed.devices.iter().map(|device| &device.index);
        session.datapath().is_some_and(|datapath| {
            let views = places
                .iter()
                .chain(devices)
                .map(|device| View::new(&datapath.maps, *device));
            views
                .filter_map(|view| view.hidden_by(address))
                .any(|rule| policy::is_hidden(rule, address, &session.host))
        })
    };
    policy::check_on(slice::from_ref(placed), &session.host, hidden)?;
    for change in &changes {
        let place = change.place;
        if let Some(new) = change.rule
            && let Some((old, other)) = clash(place, new, rule)
        {
            let tried = new.policy().name();
            let prefix = prefix_text(place.prefix);
            let state = state_text(old, other, &session.host);
            let advice = undo_text(other.policy(), place.prefix);
            return Err(Error::new(tried, prefix, format!("it is {state}")).advise(advice));
        }
    }
    let plan = Plan {
        guard,
        attach,
        changes,
        leave: Vec::new(),
    };
    session.carry_out(&plan).await
}
