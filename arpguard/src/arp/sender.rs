//! In whose name a question is asked.

use std::net::Ipv4Addr;

use crate::device::Device;

/// Addresses that nobody has (RFC 5737): who is asked may remember the sender of a question, and
/// this does no harm.
const NOBODYS: [Ipv4Addr; 3] = [
    Ipv4Addr::new(192, 0, 2, 1),
    Ipv4Addr::new(198, 51, 100, 1),
    Ipv4Addr::new(203, 0, 113, 1),
];

/// The address in whose name `device` asks for `target`: its primary one in the subnet of the
/// target, else its first, as the kernel chooses (`inet_select_addr` in `net/ipv4/devinet.c`).
/// `None` where it has none.
pub fn sender(device: &Device, target: Ipv4Addr) -> Option<Ipv4Addr> {
    let mut usable = device
        .addresses
        .iter()
        .filter(|own| !own.secondary && !own.host_scope);
    usable
        .clone()
        .find(|own| own.subnet.contains(&target))
        .or_else(|| usable.next())
        .map(|own| own.address)
}

/// An address that is in no subnet of `device`, and nobody's; `None` where its subnets hold all of
/// those.
pub fn outsider(device: &Device) -> Option<Ipv4Addr> {
    NOBODYS.into_iter().find(|address| {
        !device
            .addresses
            .iter()
            .any(|own| own.subnet.contains(address))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::fixture::ranked;

    #[test]
    fn the_sender_is_the_primary_address_of_the_targets_subnet_else_the_first() {
        let device = ranked(&[
            ("127.0.0.2/8", false),
            ("10.0.0.10/8", false),
            ("192.168.18.11/24", true),
            ("192.168.18.10/24", false),
        ]);
        for (target, from) in [
            ([192, 168, 18, 101], [192, 168, 18, 10]),
            ([10, 9, 9, 9], [10, 0, 0, 10]),
            ([172, 16, 0, 1], [10, 0, 0, 10]),
        ] {
            assert_eq!(sender(&device, target.into()), Some(from.into()));
        }
        assert_eq!(sender(&ranked(&[]), [10, 0, 0, 1].into()), None);
    }

    #[test]
    fn an_outsider_is_in_no_subnet() {
        for (own, from) in [
            (&[][..], Some([192, 0, 2, 1])),
            (&[("192.0.2.7/24", false)], Some([198, 51, 100, 1])),
            (&[("192.0.2.7/0", false)], None),
        ] {
            assert_eq!(outsider(&ranked(own)), from.map(Ipv4Addr::from));
        }
    }
}
