//! Whether addresses are free: before arpguard answers for one, the LAN is asked who has it.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
    time::Duration,
};

use arpguard_common::wire::Mac;
use ipnet::Ipv4Net;

use crate::{
    arp::{Answers, Probe, Question},
    device::Device,
    error::{Error, Result},
    host::Host,
};

/// How often each address is asked for, since one question may be lost.
const TRIES: u32 = 2;
/// How long answers are waited for, after each time.
const TIMEOUT: Duration = Duration::from_millis(300);
/// Questions a second.
const RATE: u32 = 2000;

/// What is to be answered for on one device: each with the hardware address that is told, `None` for
/// the device's own.
pub type Wanted = BTreeMap<Ipv4Net, Option<Mac>>;

/// An address that another machine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The address.
    pub address: Ipv4Addr,
    /// The machine's hardware address.
    pub station: Mac,
}

impl Taken {
    /// Why nobody is to answer for it on `device`.
    pub fn error(self, device: &Device) -> Error {
        let why = format!("{} has it, on {}", self.station, device.name);
        Error::new("answer", self.address, why)
    }
}

/// Asks the LAN of a device, which takes most of a second, for what other machines have.
///
/// # Errors
/// Where the device takes no frames.
pub fn ask(host: &Host, device: &Device, wanted: &Wanted) -> Result<Vec<Taken>> {
    let targets: BTreeSet<_> = wanted.keys().flat_map(Ipv4Net::hosts).collect();
    let probe = Probe {
        targets: targets.into_iter().collect(),
        questions: vec![Question::Probe],
        from: None,
        stations: BTreeSet::new(),
        tries: TRIES,
        timeout: TIMEOUT,
        rate: RATE,
        listen: 0,
    };
    let mut answers = Answers::default();
    probe.run(device, &mut answers)?;
    Ok(taken(answers.pairs.keys().copied(), host, wanted))
}

/// Of claims those of other machines. With several devices on one LAN, this host hears itself.
fn taken(
    claims: impl Iterator<Item = (Ipv4Addr, Mac)>,
    host: &Host,
    wanted: &Wanted,
) -> Vec<Taken> {
    let own: BTreeSet<_> = host.devices.iter().filter_map(|one| one.mac).collect();
    let told = |address: Ipv4Addr| {
        let mut holding = wanted
            .iter()
            .filter(|(prefix, _)| prefix.contains(&address));
        holding.by_ref().find_map(|(_, mac)| *mac)
    };
    let mut taken: Vec<Taken> = Vec::new();
    for (address, station) in claims {
        let is_new = taken.last().is_none_or(|last| last.address != address);
        if is_new && !own.contains(&station) && told(address) != Some(station) {
            taken.push(Taken { address, station });
        }
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::fixture::device;

    #[test]
    fn this_host_and_the_hardware_address_that_is_told_are_no_others() {
        let mac = |last| Mac([2, 0, 0, 0, 0, last]);
        let mut own = device(2, "eth0", &["10.0.0.1/24"]);
        own.mac = Some(mac(1));
        let host = Host {
            devices: vec![own],
            ..Host::default()
        };
        let [given, plain]: [Ipv4Net; 2] =
            ["10.0.0.8/30", "10.0.0.2/32"].map(|text| text.parse().unwrap());
        let wanted = Wanted::from([(given, Some(mac(9))), (plain, None)]);
        let address = |last| Ipv4Addr::new(10, 0, 0, last);
        let claims = [
            (address(2), mac(1)),
            (address(2), mac(9)),
            (address(9), mac(1)),
            (address(9), mac(9)),
            (address(10), mac(3)),
            (address(10), mac(4)),
        ];
        let expected = [(address(2), mac(9)), (address(10), mac(3))];
        let expected = expected.map(|(address, station)| Taken { address, station });
        assert_eq!(taken(claims.into_iter(), &host, &wanted), expected);
    }
}
