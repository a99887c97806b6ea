//! Telling the LAN where an address is.

use std::{
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use arpguard_common::wire::Mac;

use super::{
    packet::Packet,
    socket::{Socket, Taken},
};
use crate::{
    device::Device,
    error::{Error, Result},
    interrupt,
    progress::Progress,
};

/// Gratuitous ARP: what a host says of its own address, unasked.
#[derive(Debug)]
pub struct Announcement {
    /// The addresses.
    pub addresses: Vec<Ipv4Addr>,
    /// The hardware address that is told as theirs; `None`: the device's.
    pub mac: Option<Mac>,
    /// How many times.
    pub count: u32,
    /// The time between two times.
    pub interval: Duration,
}

impl Announcement {
    /// Sends it on `device`: each time a request and a reply for each address, as some stations
    /// take only the one and some only the other.
    ///
    /// The source of the frames is always the device's own address: switches learn by it where a
    /// station is.
    ///
    /// # Errors
    /// Where the device takes no frames, or a signal asks to end.
    pub fn send(&self, device: &Device) -> Result<()> {
        let own = device
            .mac
            .ok_or_else(|| Error::new("announce on", &device.name, "it has no Ethernet address"))?;
        let socket = Socket::open(device)?;
        let sha = self.mac.unwrap_or(own);
        let mut progress = Progress::of_frames();
        progress.grow(self.count as usize * self.addresses.len() * 2);
        let mut at = Instant::now();
        for round in 0..self.count {
            self.wait(&socket, at, round)?;
            at += self.interval;
            for address in &self.addresses {
                for packet in [
                    Packet::request(sha, *address, *address),
                    Packet::unasked_reply(sha, *address),
                ] {
                    let source = own;
                    socket.send(&Packet { source, ..packet })?;
                    progress.step();
                }
                self.check(round)?;
            }
        }
        Ok(())
    }

    /// Waits for the next time. What comes in is nobody's business here.
    fn wait(&self, socket: &Socket, until: Instant, round: u32) -> Result<()> {
        while Instant::now() < until {
            self.check(round)?;
            socket.wait(until);
            while !matches!(socket.take()?, Taken::Nothing) {
                self.check(round)?;
            }
        }
        Ok(())
    }

    fn check(&self, rounds: u32) -> Result<()> {
        if interrupt::requested() {
            let done = format!("after {rounds} of {} times", self.count);
            return Err(Error::new("announce", "interrupted", done));
        }
        Ok(())
    }
}
