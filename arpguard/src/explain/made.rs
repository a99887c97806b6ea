//! Frames that somebody might send.

use std::net::Ipv4Addr;

use arpguard_common::wire::{Mac, REPLY};

use crate::{
    arp::{self, Packet},
    device::Device,
    error::{Error, Result},
    host::Host,
};

/// The hardware address of the station at the other end: a locally administered one.
const STATION: Mac = Mac([2, 0, 0, 0, 0, 1]);
/// Nobody's (RFC 5737).
const NOBODYS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// What a frame is, in the words of RFC 5227.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A request for an address, with another as its sender.
    Request,
    /// A request for an address, without a sender.
    Probe,
    /// A request of an address for itself: gratuitous ARP.
    Announcement,
    /// A reply that tells where an address is.
    Reply,
}

/// A frame that is about one address: received, it asks for it or claims it; sent, it has it as its
/// sender, or probes for it.
#[derive(Clone, Debug)]
pub struct Made {
    /// The address.
    pub address: Ipv4Addr,
    /// What it is.
    pub form: Form,
    /// The other side's address; `None`: that of a neighbour.
    pub other: Option<Ipv4Addr>,
    /// Whether this host sends it.
    pub is_sent: bool,
    /// Whether it goes to one station; replies always do.
    pub is_unicast: bool,
}

impl Made {
    /// The bytes of the frame on a device.
    ///
    /// # Errors
    /// Where the device has no Ethernet address.
    pub fn on(&self, host: &Host, device: &Device) -> Result<Vec<u8>> {
        let own = device.mac.ok_or_else(|| {
            Error::new(
                "explain",
                &device.name,
                "it has no Ethernet hardware address",
            )
        })?;
        let other = self
            .other
            .unwrap_or_else(|| neighbour(host, device, self.address));
        let (sha, station) = match self.is_sent {
            true => (own, STATION),
            false => (STATION, own),
        };
        let address = self.address;
        let (spa, tpa) = match self.form {
            Form::Request if self.is_sent => (address, other),
            Form::Request => (other, address),
            Form::Probe => (Ipv4Addr::UNSPECIFIED, address),
            Form::Announcement => (address, address),
            Form::Reply if self.is_sent => (address, other),
            // To a probe, where the device has no address of its own to be told it.
            Form::Reply => {
                let asked_by = arp::sender(device, address);
                (address, asked_by.unwrap_or(Ipv4Addr::UNSPECIFIED))
            }
        };
        let mut packet = Packet::request(sha, spa, tpa);
        if self.form == Form::Reply {
            (packet.oper, packet.tha) = (REPLY, station);
        }
        if self.is_unicast || self.form == Form::Reply {
            packet.destination = station;
        }
        Ok(packet.bytes().to_vec())
    }
}

/// An address that a neighbour of the device may have: the first of the subnet that holds `address`,
/// or else of its first one, which the host does not have.
fn neighbour(host: &Host, device: &Device, address: Ipv4Addr) -> Ipv4Addr {
    let subnets = || {
        let own = device.addresses.iter().filter(|own| !own.host_scope);
        own.map(|own| own.subnet)
    };
    let free = |other: &Ipv4Addr| *other != address && host.owner(*other).is_none();
    subnets()
        .find(|subnet| subnet.contains(&address) && subnet.prefix_len() < 32)
        .or_else(|| subnets().next())
        .and_then(|subnet| subnet.hosts().find(free))
        .or_else(|| arp::outsider(device))
        .unwrap_or(NOBODYS)
}

#[cfg(test)]
mod tests {
    use arpguard_common::wire::{Arp, Kind};

    use super::*;
    use crate::{device::fixture::device, explain::Heard};

    const OWN: Mac = Mac([2, 0, 0, 0, 0, 0x10]);
    const VIP: Ipv4Addr = Ipv4Addr::new(192, 168, 18, 101);

    fn host(addresses: &[&str]) -> Host {
        let mut eth0 = device(2, "eth0", addresses);
        eth0.mac = Some(OWN);
        Host {
            devices: vec![eth0],
            ..Host::default()
        }
    }

    fn made(form: Form, is_sent: bool) -> (Mac, Mac, Arp) {
        let host = host(&["192.168.18.1/24"]);
        let made = Made {
            address: VIP,
            form,
            other: None,
            is_sent,
            is_unicast: false,
        };
        let bytes = made.on(&host, host.device("eth0").unwrap()).unwrap();
        let heard = Heard::read(&bytes).unwrap();
        (heard.source, heard.destination, heard.arp().unwrap())
    }

    #[test]
    fn frames_are_what_they_are_called_and_about_the_address() {
        let (own, near) = (
            Ipv4Addr::new(192, 168, 18, 1),
            Ipv4Addr::new(192, 168, 18, 2),
        );
        let nobody = Ipv4Addr::UNSPECIFIED;
        let all = Mac::BROADCAST;
        for (form, is_sent, kind, spa, tpa, destination) in [
            (Form::Request, false, Kind::Request, near, VIP, all),
            (Form::Request, true, Kind::Request, VIP, near, all),
            (Form::Probe, false, Kind::Probe, nobody, VIP, all),
            (Form::Probe, true, Kind::Probe, nobody, VIP, all),
            (Form::Announcement, false, Kind::Announcement, VIP, VIP, all),
            (Form::Announcement, true, Kind::Announcement, VIP, VIP, all),
            (Form::Reply, false, Kind::Reply, VIP, own, OWN),
            (Form::Reply, true, Kind::Reply, VIP, near, STATION),
        ] {
            let sha = if is_sent { OWN } else { STATION };
            let arp = Arp {
                kind,
                sha,
                spa,
                tpa,
            };
            assert_eq!(
                made(form, is_sent),
                (sha, destination, arp),
                "{form:?} {is_sent}"
            );
        }
    }

    #[test]
    fn a_neighbour_is_in_the_subnet_and_not_this_host() {
        for (addresses, expected) in [
            (&["10.0.0.9/8", "192.168.18.1/24"][..], [192, 168, 18, 2]),
            (&["10.0.0.9/8"], [10, 0, 0, 1]),
            (&["192.168.18.100/30"], [192, 168, 18, 102]),
            (&["192.168.18.10/32"], [192, 0, 2, 1]),
            (&[], [192, 0, 2, 1]),
        ] {
            let host = host(addresses);
            let found = neighbour(&host, host.device("eth0").unwrap(), VIP);
            assert_eq!(found, Ipv4Addr::from(expected), "{addresses:?}");
        }
    }
}
