//! What a user asks for, and whether it makes sense: on any host, and on this one.

use std::net::Ipv4Addr;

use arpguard_common::{abi::Rule, policy::EVERY_DEVICE, verdict::Mode};
use ipnet::Ipv4Net;

use crate::{
    error::{Error, Result},
    host::{Device, Host},
};

/// The sender that takes a hidden address's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rip {
    /// The primary address of the outgoing device, in the subnet of the target.
    Auto,
    /// This one.
    Address(Ipv4Addr),
}

/// Addresses to hide.
#[derive(Clone, Debug)]
pub struct Hide {
    /// The addresses (of length 32) and prefixes.
    pub prefixes: Vec<Ipv4Net>,
    /// The sender to use instead.
    pub rip: Rip,
    /// Whether others' claims of the addresses are kept from this host.
    pub shield: bool,
    /// Whether verdicts are carried out.
    pub mode: Mode,
    /// Whether to hide even what this host needs.
    pub force: bool,
}

const HIDE: &str = "hide";

impl Hide {
    /// The rule for one of the prefixes.
    pub fn rule(&self, prefix: Ipv4Net) -> Rule {
        let rip = match self.rip {
            Rip::Auto => None,
            Rip::Address(address) => Some(address),
        };
        Rule::hide(prefix.prefix_len(), rip, self.mode, self.shield)
    }

    /// Whether this hides `address`.
    pub fn covers(&self, address: Ipv4Addr) -> bool {
        self.prefixes.iter().any(|prefix| prefix.contains(&address))
    }

    /// Checks what makes no sense on any host.
    ///
    /// # Errors
    /// Of usage: an address that nobody can hide, or a RIP that is hidden itself.
    pub fn check(&self) -> Result<()> {
        for prefix in &self.prefixes {
            if let Some(why) = never_hidden(*prefix) {
                return Err(Error::new(HIDE, prefix_text(*prefix), why).usage());
            }
        }
        if let Rip::Address(rip) = self.rip
            && let Some(prefix) = self.prefixes.iter().find(|prefix| prefix.contains(&rip))
        {
            let why = format!("the RIP {rip} would be hidden itself");
            return Err(Error::new(HIDE, prefix_text(*prefix), why)
                .advise("name an address of this host that is its own on the LAN")
                .usage());
        }
        Ok(())
    }

    /// Checks what makes no sense on this host, on `devices`. `hidden` tells what is hidden now.
    ///
    /// # Errors
    /// Where the host does not have the RIP, or would be cut off.
    pub fn check_on(
        &self,
        host: &Host,
        devices: &[&Device],
        hidden: impl Fn(Ipv4Addr) -> bool,
    ) -> Result<()> {
        if let Rip::Address(rip) = self.rip {
            check_rip(host, rip, hidden)?;
        }
        for prefix in &self.prefixes {
            if let Some(device) = host
                .devices
                .iter()
                .find(|device| is_broadcast(device, *prefix))
            {
                let why = format!("it is the broadcast address of a subnet of {}", device.name);
                return Err(Error::new(HIDE, prefix_text(*prefix), why));
            }
        }
        if self.force || self.mode == Mode::Audit {
            return Ok(());
        }
        for device in devices {
            self.check_needed(host, device)?;
        }
        Ok(())
    }

    /// With its own address silenced, the neighbours lose the host in minutes.
    fn check_needed(&self, host: &Host, device: &Device) -> Result<()> {
        let mut on_link = device
            .addresses
            .iter()
            .filter(|address| !address.host_scope);
        let (first, second) = (on_link.next(), on_link.next());
        let refuse = |address: Ipv4Addr, why: &str| {
            Err(
                Error::new(HIDE, address, format!("it is {why} {}", device.name))
                    .advise("the LAN would lose this host; use --force if that is meant"),
            )
        };
        if let Some(first) = first
            && self.covers(first.address)
        {
            return match second {
                None => refuse(first.address, "the only address of"),
                Some(_) => refuse(first.address, "the primary address and default source of"),
            };
        }
        let mut sources = host.default_sources.iter();
        match sources.find(|(index, source)| *index == device.index && self.covers(*source)) {
            Some((_, source)) => refuse(*source, "the source of the default route through"),
            None => Ok(()),
        }
    }
}

fn check_rip(host: &Host, rip: Ipv4Addr, hidden: impl Fn(Ipv4Addr) -> bool) -> Result<()> {
    let tried = "use as RIP";
    let candidates = || {
        let own = host.guardable().flat_map(|device| {
            let fit = device
                .addresses
                .iter()
                .filter(|own| !own.host_scope && !hidden(own.address));
            fit.map(|own| format!("{} ({})", own.address, device.name))
        });
        let own = own.collect::<Vec<_>>();
        if own.is_empty() {
            "no device here has an address that could be it".to_owned()
        } else {
            format!("it could be {}", own.join(", "))
        }
    };
    let Some(owner) = host.owner(rip) else {
        return Err(
            Error::new(tried, rip, "this host does not have the address").advise(candidates()),
        );
    };
    let host_scope = owner
        .addresses
        .iter()
        .any(|own| own.address == rip && own.host_scope);
    if host_scope || rip.is_loopback() {
        return Err(Error::new(tried, rip, "it is not an address on a LAN").advise(candidates()));
    }
    if hidden(rip) {
        return Err(Error::new(tried, rip, "it is hidden itself").advise(candidates()));
    }
    Ok(())
}

fn is_broadcast(device: &Device, prefix: Ipv4Net) -> bool {
    prefix.prefix_len() == 32
        && device.addresses.iter().any(|own| {
            own.subnet.prefix_len() < 31
                && (own.subnet.broadcast() == prefix.addr()
                    || own.broadcast == Some(prefix.addr()) && own.address != prefix.addr())
        })
}

/// Why no host can hide this.
fn never_hidden(prefix: Ipv4Net) -> Option<&'static str> {
    let overlaps = |net: [u8; 4], length| {
        Ipv4Net::new(net.into(), length)
            .is_ok_and(|net| net.contains(&prefix) || prefix.contains(&net))
    };
    if overlaps([0; 4], 32) {
        Some("0.0.0.0 is no host's address: probes have it as their sender")
    } else if overlaps([127, 0, 0, 0], 8) {
        Some("loopback addresses are not on any LAN")
    } else if overlaps([224, 0, 0, 0], 4) {
        Some("multicast addresses are not resolved by ARP")
    } else if overlaps([255; 4], 32) {
        Some("the broadcast address is not resolved by ARP")
    } else {
        None
    }
}

/// An address or a prefix, as its user would write it.
pub fn prefix_text(prefix: Ipv4Net) -> String {
    if prefix.prefix_len() == 32 {
        prefix.addr().to_string()
    } else {
        prefix.to_string()
    }
}

/// The devices that a command names, or all that can be guarded; and their places in the rules.
///
/// # Errors
/// Where one is not there or cannot be guarded.
pub fn devices<'a>(host: &'a Host, names: &[String]) -> Result<(Vec<&'a Device>, Vec<u32>)> {
    let tried = "guard";
    if names.is_empty() {
        let devices: Vec<_> = host.guardable().collect();
        if devices.is_empty() {
            return Err(
                Error::new(tried, "this network namespace", "it has no device with ARP")
                    .advise("name another with --netns"),
            );
        }
        return Ok((devices, vec![EVERY_DEVICE]));
    }
    let mut devices: Vec<&Device> = Vec::new();
    for name in names {
        let device = existing(host, name)?;
        if let Some(reason) = &device.unguardable {
            let error = Error::new(tried, name, reason.to_string());
            return Err(match reason {
                crate::host::Unguardable::Port(master) => match host.by_index(*master) {
                    Some(master) => error.advise(format!("guard {} instead", master.name)),
                    None => error,
                },
                _ => error,
            });
        }
        if !devices.iter().any(|known| known.index == device.index) {
            devices.push(device);
        }
    }
    let places = devices.iter().map(|device| device.index).collect();
    Ok((devices, places))
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

#[cfg(test)]
mod tests;
