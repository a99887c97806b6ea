//! Which addresses are asked for.

use std::{collections::BTreeSet, net::Ipv4Addr};

use ipnet::Ipv4Net;

use super::PROBE;
use crate::{
    device::Device,
    error::{Error, Result},
    policy::{prefix_text, unresolvable},
};

/// A prefix of 16 bits; a longer scan has other tools.
const MOST: usize = 1 << 16;

/// # Errors
/// Of usage: where ARP is never about one of the addresses.
pub(super) fn check(prefixes: &[Ipv4Net]) -> Result<()> {
    let wrong = prefixes
        .iter()
        .find_map(|prefix| Some((prefix, unresolvable(*prefix)?)));
    match wrong {
        Some((prefix, why)) => Err(Error::new(PROBE, prefix_text(*prefix), why).usage()),
        None => Ok(()),
    }
}

/// The subnets of a device.
///
/// # Errors
/// Where it has none.
pub(super) fn subnets(device: &Device) -> Result<Vec<Ipv4Net>> {
    let own = device.addresses.iter().filter(|own| !own.host_scope);
    let subnets: BTreeSet<_> = own
        .map(|own| own.subnet)
        .filter(|subnet| subnet.prefix_len() < 32)
        .collect();
    if subnets.is_empty() {
        return Err(Error::new(
            "probe all of",
            &device.name,
            "it has no address with a subnet",
        )
        .advise("name the addresses instead"));
    }
    Ok(subnets.into_iter().collect())
}

/// All addresses of the prefixes, the first and the last too: a VIP may be one of them.
///
/// # Errors
/// Where they are too many.
pub(super) fn addresses(prefixes: &[Ipv4Net]) -> Result<BTreeSet<Ipv4Addr>> {
    let mut addresses = BTreeSet::new();
    for prefix in prefixes {
        let (first, last) = (prefix.network().to_bits(), prefix.broadcast().to_bits());
        let most = MOST - addresses.len();
        if (last - first) as usize >= most {
            let why = format!("more than {MOST} addresses are too many at a time");
            return Err(Error::new(PROBE, prefix_text(*prefix), why));
        }
        addresses.extend((first..=last).map(Ipv4Addr::from_bits));
    }
    Ok(addresses)
}

/// The addresses that are named by themselves.
pub(super) fn singles(prefixes: &[Ipv4Net]) -> BTreeSet<Ipv4Addr> {
    let single = prefixes.iter().filter(|prefix| prefix.prefix_len() == 32);
    single.map(Ipv4Net::addr).collect()
}
