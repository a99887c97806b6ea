//! Which hooks are tried for received frames, and in which order.

use super::Mode;
use crate::device::Device;

/// XDP on veth copies each packet into a buffer of its own, and in the driver it takes segmentation
/// offload away from the peer (`veth_xdp_set` in `drivers/net/veth.c`).
const VETH: &str = "on veth XDP would copy every packet";
/// Rules for the device would hold for the VLANs on it too.
const UNTAGGED: &str = "generic XDP would get its frames without their VLAN tags";

/// The hooks that are tried for the received frames of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// In their order: the first that the kernel gives is taken.
    pub steps: &'static [Mode],
    /// Why no better one is tried, where there is one.
    pub why: Option<String>,
}

impl Choice {
    /// What `mode` has tried. `foreign` is somebody else's XDP program on the device, in words.
    pub fn of(mode: Mode, device: &Device, foreign: Option<&str>) -> Self {
        let steps: &[Mode] = match mode {
            Mode::Auto if foreign.is_some() || is_veth(device) => &[Mode::Tc],
            Mode::Auto if device.is_untagged_behind_driver() => &[Mode::Native, Mode::Tc],
            Mode::Auto => &[Mode::Native, Mode::Generic, Mode::Tc],
            Mode::Native => &[Mode::Native],
            Mode::Generic => &[Mode::Generic],
            Mode::Tc => &[Mode::Tc],
        };
        let why = match (foreign, mode) {
            (Some(name), _) => Some(format!("the XDP program {name} is attached")),
            (None, Mode::Auto) => is_veth(device).then(|| VETH.to_owned()),
            (None, Mode::Native | Mode::Generic | Mode::Tc) => Some("as told".to_owned()),
        };
        Self { steps, why }
    }

    /// Why generic XDP is left out, where it comes to that: native XDP is tried, and cannot be had.
    pub fn left_out(&self) -> Option<&'static str> {
        (self.steps == [Mode::Native, Mode::Tc]).then_some(UNTAGGED)
    }
}

/// Whether a device is one end of a pair.
pub(super) fn is_veth(device: &Device) -> bool {
    device.kind.as_deref() == Some("veth")
}
