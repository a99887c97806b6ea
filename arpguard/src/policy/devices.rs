//! The devices that a policy is about.

use crate::{
    device::{Device, Unguardable},
    error::{Error, Result},
    host::Host,
};

const GUARD: &str = "guard";

/// The devices of these names, or all that can be guarded where there are none.
///
/// # Errors
/// Where one is not there or cannot be guarded.
pub fn devices<'a>(host: &'a Host, names: &[String]) -> Result<Vec<&'a Device>> {
    if names.is_empty() {
        let devices: Vec<_> = host.guardable().collect();
        if devices.is_empty() {
            return Err(
                Error::new(GUARD, "this network namespace", "it has no device with ARP")
                    .advise("name another with --netns"),
            );
        }
        return Ok(devices);
    }
    let mut devices: Vec<&Device> = Vec::new();
    for name in names {
        let device = guardable(host, name)?;
        if !devices.iter().any(|known| known.index == device.index) {
            devices.push(device);
        }
    }
    Ok(devices)
}

/// The device of this name, which must be one that can be guarded.
///
/// # Errors
/// Where it is not there or cannot be guarded.
pub fn guardable<'a>(host: &'a Host, name: &str) -> Result<&'a Device> {
    let device = existing(host, name)?;
    match &device.unguardable {
        Some(reason) => Err(refusal(host, device, reason)),
        None => Ok(device),
    }
}

fn refusal(host: &Host, device: &Device, reason: &Unguardable) -> Error {
    let error = Error::new(GUARD, &device.name, reason.to_string());
    match reason {
        Unguardable::Port(master) => match host.by_index(*master) {
            Some(master) => error.advise(format!("guard {} instead", master.name)),
            None => error,
        },
        Unguardable::Unreadable => error.advise(format!(
            "rename it, `ip link set dev {0} name NAME`, or `ip link property del dev {0} altname NAME`",
            device.name
        )),
        Unguardable::Loopback | Unguardable::NoArp | Unguardable::NotEthernet => error,
    }
}

/// Why devices are not guarded that a policy for all may be about, as it is not known what they are.
pub fn unreadable(host: &Host) -> impl Iterator<Item = Error> + '_ {
    let unreadable = host.devices.iter().filter(|device| !device.is_readable());
    unreadable.map(|device| refusal(host, device, &Unguardable::Unreadable))
}

/// The device of this name.
///
/// # Errors
/// Where there is none.
pub fn existing<'a>(host: &'a Host, name: &str) -> Result<&'a Device> {
    host.device(name).ok_or_else(|| {
        let names: Vec<_> = host
            .devices
            .iter()
            .map(|device| device.name.as_str())
            .collect();
        Error::new("find the device", name, "there is no such device")
            .advise(format!("there are {}", names.join(", ")))
    })
}
