//! Which sender the kernel itself gives a request: `arp_solicit` in `net/ipv4/arp.c`.

use std::net::Ipv4Addr;

use crate::{
    arp,
    device::Device,
    host::{Host, Setting, Sysctls},
};

/// The sender of a request for a packet's next hop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    /// What `arp_announce` is on the device.
    pub arp_announce: u32,
    /// The sender; `None` where the device has no address to choose.
    pub address: Option<Ipv4Addr>,
}

/// The sender that the kernel takes on `device` when it asks for `target`, to send it a packet from
/// the address `source`.
pub fn sender(
    host: &Host,
    device: &Device,
    sysctls: &Sysctls,
    (source, target): (Ipv4Addr, Ipv4Addr),
) -> Sender {
    let arp_announce = sysctls.effective(&device.name, Setting::ArpAnnounce);
    let is_own = host.owner(source).is_some();
    let on_link = |address: &Ipv4Addr| {
        let mut own = device.addresses.iter();
        own.any(|own| own.subnet.contains(address) && own.subnet.contains(&target))
    };
    let keeps = match arp_announce {
        1 => is_own && on_link(&source),
        2 => false,
        _ => is_own,
    };
    let address = match keeps {
        true => Some(source),
        false => arp::sender(device, target),
    };
    Sender {
        arp_announce,
        address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::fixture::device;

    #[test]
    fn the_packets_own_source_is_the_sender_as_far_as_arp_announce_allows() {
        let (vip, rip, second) = ([192, 168, 18, 101], [192, 168, 18, 10], [10, 0, 0, 9]);
        let (near, far) = ([192, 168, 18, 1], [10, 0, 0, 1]);
        let eth0 = device(2, "eth0", &["192.168.18.10/24", "10.0.0.9/24"]);
        let host = Host {
            devices: vec![device(1, "lo", &["192.168.18.101/32"]), eth0.clone()],
            ..Host::default()
        };
        for (arp_announce, source, target, address) in [
            (0, vip, near, vip),
            (0, [192, 168, 18, 99], near, rip),
            (1, vip, near, vip),
            (1, vip, far, second),
            (1, rip, far, second),
            (2, vip, near, rip),
            (2, second, near, rip),
            (3, vip, near, vip),
        ] {
            let mut sysctls = Sysctls::default();
            sysctls.set("eth0", Setting::ArpAnnounce, arp_announce);
            let taken = sender(&host, &eth0, &sysctls, (source.into(), target.into()));
            let address = Some(address.into());
            let expected = Sender {
                arp_announce,
                address,
            };
            assert_eq!(taken, expected, "{arp_announce} {source:?} {target:?}");
        }
        let mute = device(3, "eth1", &[]);
        let taken = sender(&host, &mute, &Sysctls::default(), (near.into(), far.into()));
        assert_eq!(taken.address, None);
    }
}
