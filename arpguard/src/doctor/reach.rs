//! What the kernel lets the LAN know by a device of addresses that are elsewhere on the host.

use ipnet::Ipv4Net;

use super::Facts;
use crate::{
    device::{Address, Device},
    host::Setting,
};

/// Whether it answers on a device for an address of another one: `arp_ignore` in `net/ipv4/arp.c`.
/// `is_confirmed`: a device has the address, and it is valid beyond the host.
///
/// `arp_filter` is of no account here: it does not hold for probes.
pub(super) fn is_answered(facts: &Facts, device: &Device, is_confirmed: bool) -> bool {
    match facts.sysctls.effective(&device.name, Setting::ArpIgnore) {
        // Only for addresses of the device.
        1 | 2 => false,
        3 => is_confirmed,
        8 => false,
        // 4 to 7 are reserved, and as 0.
        _ => true,
    }
}

/// Whether it takes such an address for the sender of a request: `arp_solicit` in `net/ipv4/arp.c`.
pub(super) fn is_told(facts: &Facts, device: &Device, of: Ipv4Net) -> bool {
    let in_subnet = |own: &Address| own.subnet.contains(&of) || of.contains(&own.subnet);
    match facts.sysctls.effective(&device.name, Setting::ArpAnnounce) {
        1 => device.addresses.iter().any(in_subnet),
        2 => false,
        _ => true,
    }
}
