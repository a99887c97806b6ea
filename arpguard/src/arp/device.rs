//! Which devices ARP can be sent on.

use crate::{
    device::{Device, Link, Unguardable},
    error::{Error, Result},
    host::Host,
    policy,
};

/// The device of this name, which ARP must be able to go out on; `tried` is what for.
///
/// # Errors
/// Where it is not there, is no Ethernet device, or is not connected.
pub fn fit<'a>(host: &'a Host, name: &str, tried: &str) -> Result<&'a Device> {
    let device = policy::existing(host, name)?;
    let error = |why: &str| Error::new(tried, name, why);
    if let Some(reason) = &device.unguardable {
        let error = error(&reason.to_string());
        return Err(match reason {
            Unguardable::Port(master) => match host.by_index(*master) {
                Some(master) => error.advise(format!("use {} instead", master.name)),
                None => error,
            },
            Unguardable::Loopback
            | Unguardable::NoArp
            | Unguardable::NotEthernet
            | Unguardable::Unreadable => error,
        });
    }
    match device.link {
        Link::Up => Ok(device),
        Link::NoCarrier => Err(error("it has no carrier, so nobody would hear")),
        Link::Down => {
            Err(error("it is down").advise(format!("bring it up: ip link set {name} up")))
        }
    }
}
