//! What the kernel is asked for, to know what it would do.

use std::collections::HashMap;

use arpguard_common::wire::Kind;

use super::{Heard, Reaction, Situation, react};
use crate::{
    device::Device,
    error::{Error, Result},
    host::{Host, Lookup, Proxy, Sysctls, Way, proxies},
    netlink::Netlink,
};

/// Devices, settings and routes, as they are.
pub struct Facts {
    /// Devices and addresses.
    pub host: Host,
    /// Settings of the devices.
    pub sysctls: Sysctls,
    proxies: Vec<Proxy>,
    netlink: Netlink,
    /// What was asked for already: a capture has the same questions many times.
    ways: HashMap<Lookup, Way>,
}

impl Facts {
    /// Looks.
    ///
    /// # Errors
    /// Where the kernel does not tell.
    pub async fn observe(netlink: &Netlink) -> Result<Self> {
        Ok(Self {
            host: Host::observe(netlink).await?,
            sysctls: Sysctls::read()
                .map_err(|cause| Error::from_cause("read", "/proc/sys/net", &cause))?,
            proxies: proxies(netlink).await?,
            netlink: netlink.clone(),
            ways: HashMap::new(),
        })
    }

    /// What the kernel would do with a frame that it gets from a device.
    ///
    /// # Errors
    /// Where it does not tell where packets go.
    pub async fn reaction(&mut self, heard: &Heard, device: &Device) -> Result<Reaction> {
        let (mut way, mut way_back, mut is_proxied) = (Way::Nowhere, Way::Nowhere, false);
        if let Some(arp) = heard.arp().filter(|_| heard.is_request()) {
            let target = arp.tpa;
            let own = Lookup {
                source: None,
                target,
                device: None,
            };
            let coming = Lookup {
                source: Some(arp.spa),
                target,
                device: Some(device.index),
            };
            let back = Lookup {
                source: Some(target),
                target: arp.spa,
                device: None,
            };
            match arp.kind {
                Kind::Probe => way = self.way(own).await?,
                Kind::Request | Kind::Announcement | Kind::Reply => {
                    way = self.way(coming).await?;
                    way_back = self.way(back).await?;
                }
            }
            is_proxied = self.proxies.iter().any(|proxy| {
                let here = proxy.device.is_none_or(|index| index == device.index);
                here && proxy.address == target
            });
        }
        let situation = Situation {
            device,
            host: &self.host,
            sysctls: &self.sysctls,
            way,
            way_back,
            is_proxied,
        };
        Ok(react(heard, &situation))
    }

    async fn way(&mut self, lookup: Lookup) -> Result<Way> {
        if let Some(way) = self.ways.get(&lookup) {
            return Ok(*way);
        }
        let way = lookup.way(&self.netlink).await?;
        self.ways.insert(lookup, way);
        Ok(way)
    }
}
