//! What drivers do that XDP has to do with.

use nix::errno::Errno;

use super::{Cure, Facts, Finding, Severity, cure::word, policy::Rule};
use crate::{datapath::REFUSED, device::Device, host::Hardware};

/// Drivers that stop and start a device's rings when its first XDP program comes and its last one
/// goes: `i40e_xdp_setup` (`i40e_reset_and_rebuild`), `ice_xdp_setup_prog` (`ice_down`),
/// `igb_xdp_setup` (`igb_close`), `ixgbe_xdp_setup` (`ixgbe_setup_tc`).
const RESETTING: &[&str] = &["i40e", "ice", "igb", "ixgbe"];

/// The largest MTU with which drivers take native XDP that have one buffer for a frame:
/// `igc_xdp_set_prog`, and 3072 bytes without those around a packet in `igb_xdp_setup` (26) and
/// `ixgbe_xdp_setup` (22). Others take any, as arpguard's program takes frames of several buffers.
const LARGEST: &[(&str, u32)] = &[("igc", 1500), ("igb", 3046), ("ixgbe", 3050)];
/// What no driver refuses.
const COMMON: u32 = 1500;

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    let of = |device| {
        [
            resets(facts, device),
            mtu(facts, device),
            strips_vlan(facts, device),
        ]
    };
    facts.speaking().flat_map(of).flatten().collect()
}

/// Whether a driver with one buffer for a frame takes native XDP with the MTU that its device has;
/// `None` where that is not known.
pub(super) fn takes_mtu(hardware: &Hardware) -> Option<bool> {
    match (hardware.mtu, largest(&hardware.driver)) {
        (0, _) => None,
        (mtu, Some(largest)) => Some(mtu <= largest),
        (mtu, None) => (mtu <= COMMON).then_some(true),
    }
}

/// The largest MTU with which a driver takes native XDP, where that is known.
fn largest(driver: &str) -> Option<u32> {
    let known = LARGEST.iter().find(|(name, _)| *name == driver);
    known.map(|(_, largest)| *largest)
}

/// A device that will not receive for a moment when it is guarded.
fn resets(facts: &Facts, device: &Device) -> Option<Finding> {
    let driver = &facts.hardware.get(&device.name)?.driver;
    // Where a program is there already, its rings are as they are to be.
    if device.xdp.is_some() || !RESETTING.contains(&driver.as_str()) {
        return None;
    }
    Some(Finding {
        check: "resetting_driver",
        severity: Severity::Note,
        subject: device.name.clone(),
        what: format!("its driver, {driver}, stops it for a moment when XDP comes or goes"),
        why: "frames are lost when it is first guarded and when it is left: choose the time, or \
              --attach generic"
            .to_owned(),
        cure: None,
    })
}

/// A device that is, or will be, judged behind its driver, since its MTU is too large for native XDP.
fn mtu(facts: &Facts, device: &Device) -> Option<Finding> {
    let Hardware { driver, mtu, .. } = facts.hardware.get(&device.name)?;
    let guard = facts.guards.get(&device.name);
    if device.xdp.as_ref().is_some_and(|found| !found.generic) {
        return None;
    }
    // One that has none at all refuses it with any MTU.
    let refused = guard.is_some_and(|guard| {
        guard.note.contains(REFUSED) && !guard.note.contains(Errno::EOPNOTSUPP.desc())
    });
    let (largest, what) = match largest(driver) {
        Some(largest) => (
            largest,
            format!("its driver, {driver}, takes native XDP up to {largest}"),
        ),
        None if refused => (COMMON, "its driver has refused native XDP".to_owned()),
        None => return None,
    };
    if *mtu <= largest {
        return None;
    }
    let name = &device.name;
    let smaller = Cure::host(format!("ip link set dev {} mtu {largest}", word(name)));
    let rule = facts.policy.hiding().find(|rule| rule.is_for(name));
    let again = rule
        .filter(|_| guard.is_some())
        .map(|rule| rule.again(&facts.host, " --attach native"));
    Some(Finding {
        check: "mtu",
        severity: Severity::Note,
        subject: name.clone(),
        what: format!("its MTU is {mtu}, and {what}"),
        why: "a driver that has one buffer for a frame refuses XDP with a large MTU, and packets are \
              judged behind it, which costs more; all on a segment need the same MTU"
            .to_owned(),
        cure: Some(Cure::All(std::iter::once(smaller).chain(again).collect())),
    })
}

/// A device whose own rules hold for its VLANs too, since the tags are gone when XDP judges.
fn strips_vlan(facts: &Facts, device: &Device) -> Option<Finding> {
    let name = &device.name;
    let guard = facts.guards.get(name)?;
    let is_for_it = |rule: &&Rule| rule.device.as_ref() == Some(name);
    facts.policy.iter().find(is_for_it)?;
    let is_generic = guard.ingress.as_deref() == Some("xdp-generic");
    let (what, cure) = if is_generic && device.is_untagged_behind_driver() {
        (
            "generic XDP gets its frames without their VLAN tags",
            // Only what hides chooses the hook.
            facts
                .policy
                .hiding()
                .find(is_for_it)
                .map(|rule| rule.again(&facts.host, " --attach tc")),
        )
    } else if guard.is_xdp() {
        let off = |name: &str| format!("ethtool -K {} rxvlan off", word(name));
        let commands: Vec<_> = stripping(facts, device).map(off).collect();
        if commands.is_empty() {
            return None;
        }
        (
            "VLAN tags are taken out of received frames (rxvlan)",
            Some(Cure::Host(commands)),
        )
    } else {
        return None;
    };
    Some(Finding {
        check: "stripped_vlan",
        severity: Severity::Note,
        subject: name.clone(),
        what: what.to_owned(),
        why: "XDP does not see them, so rules for it alone hold for the VLANs on it too".to_owned(),
        cure,
    })
}

/// The NICs that take the tags out of what a device receives: itself, or of its ports those that do.
/// Native XDP of a bond runs in the drivers of its ports, and the bond's own setting says nothing.
fn stripping<'a>(facts: &'a Facts, device: &'a Device) -> impl Iterator<Item = &'a str> {
    let strips = |device: &&Device| {
        let hardware = facts.hardware.get(&device.name);
        hardware.is_some_and(|hardware| hardware.strips_vlan)
    };
    let ports: Vec<_> = facts.host.ports(device).collect();
    let nics = if ports.is_empty() {
        vec![device]
    } else {
        ports
    };
    let stripping = nics.into_iter().filter(strips);
    stripping.map(|device| device.name.as_str())
}
