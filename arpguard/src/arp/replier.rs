//! Answering what was asked on a device.

use arpguard_common::wire::{Arp, Mac};

use super::{packet::Packet, socket::Socket};
use crate::{device::Device, error::Result};

/// Who answers on one device.
#[derive(Debug)]
pub struct Replier(Socket);

impl Replier {
    /// # Errors
    /// Without `CAP_NET_RAW`.
    pub fn open(device: &Device) -> Result<Self> {
        Socket::deaf(device).map(Self)
    }

    /// Answers a request or a probe, in the name of its target, with the hardware address `sha`. The
    /// source of the frame is the same, as of what the programs answer. Whether the device has taken
    /// it: there is no waiting for room, as who is not answered asks again.
    ///
    /// # Errors
    /// Where the device takes no frames.
    pub fn answer(&self, asked: &Arp, sha: Mac) -> Result<bool> {
        self.0.offer(&Packet::reply(asked, sha))
    }
}
