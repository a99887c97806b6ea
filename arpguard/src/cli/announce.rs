//! `arpguard announce`

use std::net::Ipv4Addr;

use arpguard_common::{
    policy::View,
    verdict::{Mode, Policy},
};
use ipnet::Ipv4Net;

use super::{Context, args};
use crate::{
    arp::{self, Announcement},
    datapath::{Datapath, Reader},
    device::Device,
    error::{Error, Result},
    host::Host,
    policy::undo_text,
};

const ANNOUNCE: &str = "announce";
pub(super) const ON: &str = "announce on";

pub(super) async fn run(context: &Context, arguments: args::Announce) -> Result<()> {
    let announcement = Announcement {
        addresses: arguments.addresses()?,
        mac: arguments.mac,
        count: arguments.count,
        interval: arguments.interval,
    };
    let host = Host::observe(&context.netlink).await?;
    let device = arp::fit(&host, &arguments.dev, ON)?;
    // Where policy cannot be read, the kernel still tells that the frame was dropped.
    let reader = context.glimpse().await;
    let datapath = reader.as_ref().and_then(Reader::datapath);
    for address in &announcement.addresses {
        if !arguments.force {
            check_own(ANNOUNCE, &host, *address)?;
        }
        check_seen(datapath, device, *address)?;
    }
    announcement.send(device)
}

/// Refuses to do `tried` to what is not this host's.
pub(super) fn check_own(tried: &str, host: &Host, address: Ipv4Addr) -> Result<()> {
    match host.owner(address) {
        Some(_) => Ok(()),
        None => Err(
            Error::new(tried, address, "this host does not have the address")
                .advise("use --force if the LAN is to believe it all the same"),
        ),
    }
}

/// The program on the egress hook would drop what is kept out of the device's ARP.
fn check_seen(datapath: Option<&Datapath>, device: &Device, address: Ipv4Addr) -> Result<()> {
    let rule = datapath.and_then(|datapath| View::new(&datapath.maps, device.index).rule(address));
    let Some(rule) = rule.filter(|rule| rule.mode() == Mode::Enforce) else {
        return Ok(());
    };
    let name = &device.name;
    let why = match rule.policy() {
        Policy::Hide => format!("it is hidden on {name}"),
        Policy::Pin => format!("it is pinned to another device than {name}"),
        Policy::Strict => format!("{name} is strict, and does not own it"),
        // They bar nothing.
        Policy::Answer | Policy::Bind => return Ok(()),
    };
    let covering =
        Ipv4Net::new(address, rule.prefix_len()).map_or(address.into(), |net| net.trunc());
    Err(Error::new(ANNOUNCE, address, why).advise(undo_text(rule, covering)))
}
