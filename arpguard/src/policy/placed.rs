//! What is asked for, on the devices of this host.

use arpguard_common::abi::{EVERY_DEVICE, Rule};
use ipnet::Ipv4Net;

use super::{Block, Kind, Rip, devices};
use crate::{device::Device, error::Result, host::Host};

/// A block, on devices of this host.
#[derive(Clone, Debug)]
pub struct Placed<'a> {
    /// What is asked for.
    pub block: &'a Block,
    /// The guarded devices whose ARP it keeps addresses out of.
    pub devices: Vec<&'a Device>,
    /// Where its rules go.
    pub scope: Scope,
}

/// Where rules go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Every device, so those that are guarded later, too.
    Every,
    /// Each of the devices, and no other.
    Each,
    /// Every device but this interface index, which the addresses are pinned to.
    AllBut(u32),
}

impl<'a> Placed<'a> {
    /// A block on the devices that are named, or on every one where none is.
    ///
    /// # Errors
    /// Where a device cannot be guarded, or there is none.
    pub fn named(block: &'a Block, host: &'a Host, names: &[String]) -> Result<Self> {
        Ok(Self {
            block,
            devices: devices(host, names)?,
            scope: if names.is_empty() {
                Scope::Every
            } else {
                Scope::Each
            },
        })
    }

    /// A block of addresses that are pinned to `home`, and hidden on all other `guarded` devices.
    pub fn pinned(block: &'a Block, mut guarded: Vec<&'a Device>, home: &Device) -> Self {
        guarded.retain(|device| device.index != home.index);
        Self {
            block,
            devices: guarded,
            scope: Scope::AllBut(home.index),
        }
    }

    /// Where the rules go: interface indexes, or every device.
    pub fn places(&self) -> Vec<u32> {
        match self.scope {
            Scope::Every | Scope::AllBut(_) => vec![EVERY_DEVICE],
            Scope::Each => self.devices.iter().map(|device| device.index).collect(),
        }
    }

    /// The rule for one of the block's prefixes.
    pub fn rule(&self, prefix: Ipv4Net) -> Rule {
        let Block {
            kind, mode, force, ..
        } = *self.block;
        let length = prefix.prefix_len();
        match kind {
            Kind::Hide { rip, shield } => {
                let rip = match rip {
                    Rip::Auto => None,
                    Rip::Address(address) => Some(address),
                };
                Rule::hide(length, rip, mode, shield)
            }
            Kind::Pin => {
                let home = match self.scope {
                    Scope::AllBut(home) => home,
                    Scope::Every | Scope::Each => EVERY_DEVICE,
                };
                Rule::pin(length, home, mode)
            }
            Kind::Strict { same_subnet } => Rule::strict(same_subnet, mode),
            Kind::Answer { mac, deferred } => Rule::answer(length, mac, mode, deferred, force),
            Kind::Bind { mac } => Rule::bind(length, mac, mode),
        }
    }
}
