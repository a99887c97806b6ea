//! From what is guarded to what shall be.

use super::{Rules, between, promotion};
use crate::{
    datapath::{Attached, Change, Checks, Mode},
    device::Device,
    terms::{ByPrefix, Numbered},
};

/// What is in force.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// The rules.
    pub rules: Rules,
    /// The terms that rules may be under.
    pub terms: Numbered,
    /// The checks that rules may be under.
    pub checks: Checks,
    /// The devices that something is attached to, and what.
    pub devices: Vec<(Device, Attached)>,
}

impl State {
    /// What is attached to a device.
    fn attached(&self, device: &Device) -> Attached {
        let mut devices = self.devices.iter();
        let known = devices.find(|(known, _)| known.index == device.index);
        known
            .map(|(_, attached)| attached.clone())
            .unwrap_or_default()
    }
}

/// What shall be in force.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// The rules.
    pub rules: Rules,
    /// The terms of pins that have some.
    pub terms: ByPrefix,
    /// Those of them that are not noted yet, once the rules are settled.
    pub fresh: Numbered,
    /// The checks of rules that have one.
    pub checks: Checks,
    /// The devices to guard; no others.
    pub devices: Vec<Device>,
    /// The ingress hook to take.
    pub attach: Mode,
}

/// What is to be done, in this order: devices are guarded, rules are written, devices are left.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The devices to attach the programs to.
    pub guard: Vec<Device>,
    /// The ingress hook to take.
    pub attach: Mode,
    /// The terms to note before.
    pub terms: Numbered,
    /// The checks to note before.
    pub checks: Checks,
    /// The rules to write and to remove.
    pub changes: Vec<Change>,
    /// The devices to detach the programs from.
    pub leave: Vec<Device>,
}

impl Plan {
    /// Rules to write and to remove, and nothing else.
    pub fn of(changes: Vec<Change>) -> Self {
        Self {
            changes,
            ..Self::default()
        }
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.guard.is_empty()
            && self.checks.is_empty()
            && self.changes.is_empty()
            && self.leave.is_empty()
    }
}

/// What makes `wanted` of `now`. What is promoted stays so while it is wanted hidden.
pub fn towards(wanted: &Wanted, now: &State) -> Plan {
    let guarded = |device: &Device| now.attached(device).satisfies(wanted.attach);
    let chosen = |device: &Device| wanted.devices.iter().any(|one| one.index == device.index);
    let attached = now.devices.iter().map(|(device, _)| device);
    Plan {
        guard: wanted
            .devices
            .iter()
            .filter(|device| !guarded(device))
            .cloned()
            .collect(),
        attach: wanted.attach,
        terms: wanted.fresh.clone(),
        checks: wanted
            .checks
            .iter()
            .filter(|(place, check)| now.checks.get(place) != Some(check))
            .map(|(place, check)| (*place, check.clone()))
            .collect(),
        changes: between(&now.rules, &promotion::kept(wanted, &now.rules)),
        leave: attached.filter(|device| !chosen(device)).cloned().collect(),
    }
}
