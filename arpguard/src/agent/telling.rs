//! Telling the LAN where pins are that have moved.

use std::{collections::BTreeMap, net::Ipv4Addr, time::Duration};

use ipnet::Ipv4Net;
use tokio::{sync::watch, time::sleep};
use tracing::warn;

use crate::{arp::Announcement, device::Device, error::Result};

/// How often the LAN is told, and at what interval: as `arpguard announce` does.
const TIMES: u32 = 5;
const INTERVAL: Duration = Duration::from_millis(200);

/// On which device the LAN was told last that each pin is. Who still tells it looks here each time: what
/// has moved on is told of another device.
#[derive(Default)]
pub(super) struct Telling(watch::Sender<BTreeMap<Ipv4Net, u32>>);

impl Telling {
    /// Forgets the pins that are none any more.
    pub(super) fn keep(&self, is_pin: impl Fn(&Ipv4Net) -> bool) {
        self.0.send_modify(|told| told.retain(|pin, _| is_pin(pin)));
    }

    /// Whether the LAN was told last that a pin is on this device.
    pub(super) fn was_told(&self, pin: Ipv4Net, home: u32) -> bool {
        self.0.borrow().get(&pin) == Some(&home)
    }

    /// Pins are on this device from now on.
    pub(super) fn now_at(&self, home: u32, pins: impl Iterator<Item = Ipv4Net>) {
        self.0
            .send_modify(|told| told.extend(pins.map(|pin| (pin, home))));
    }

    /// Tells it of the addresses of pins, the first time at once.
    pub(super) fn tell(&self, addresses: Vec<(Ipv4Net, Ipv4Addr)>, device: Device) {
        if let Err(error) = announce(&addresses, &device) {
            warn!("{error}");
            return;
        }
        let told = self.0.clone();
        tokio::spawn(async move {
            let mut addresses = addresses;
            for _ in 1..TIMES {
                sleep(INTERVAL).await;
                addresses.retain(|(pin, _)| told.borrow().get(pin) == Some(&device.index));
                // Its link is lost again, and the LAN is told of the next device soon.
                if addresses.is_empty() || announce(&addresses, &device).is_err() {
                    return;
                }
            }
        });
    }
}

fn announce(addresses: &[(Ipv4Net, Ipv4Addr)], device: &Device) -> Result<()> {
    let announcement = Announcement {
        addresses: addresses.iter().map(|(_, address)| *address).collect(),
        mac: None,
        count: 1,
        interval: INTERVAL,
    };
    announcement.send(device)
}
