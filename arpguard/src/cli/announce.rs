//! `arpguard announce`

use std::net::Ipv4Addr;

use arpguard_common::{policy::View, verdict::Mode};

use super::{Context, args};
use crate::{
    arp::{self, Announcement},
    datapath::{Datapath, Reader},
    error::{Error, Result},
    host::Host,
};

const ANNOUNCE: &str = "announce";

pub(super) async fn run(context: &Context, arguments: args::Announce) -> Result<()> {
    let announcement = Announcement {
        addresses: arguments.addresses()?,
        mac: arguments.mac,
        count: arguments.count,
        interval: arguments.interval,
    };
    let host = Host::observe(&context.netlink).await?;
    let device = arp::fit(&host, &arguments.dev, "announce on")?;
    // Where policy cannot be read, the kernel still tells that the frame was dropped.
    let reader = context.glimpse().await;
    let datapath = reader.as_ref().and_then(Reader::datapath);
    for address in &announcement.addresses {
        if !arguments.force {
            check_own(&host, *address)?;
        }
        check_seen(datapath, device.index, *address, &device.name)?;
    }
    announcement.send(device)
}

fn check_own(host: &Host, address: Ipv4Addr) -> Result<()> {
    match host.owner(address) {
        Some(_) => Ok(()),
        None => Err(
            Error::new(ANNOUNCE, address, "this host does not have the address")
                .advise("use --force if the LAN is to believe it all the same"),
        ),
    }
}

/// The program on the egress hook would drop what is hidden.
fn check_seen(
    datapath: Option<&Datapath>,
    device: u32,
    address: Ipv4Addr,
    name: &str,
) -> Result<()> {
    let rule = datapath.and_then(|datapath| View::new(&datapath.maps, device).rule(address));
    match rule.map(|rule| rule.mode()) {
        Some(Mode::Enforce) => {
            Err(
                Error::new(ANNOUNCE, address, format!("it is hidden on {name}"))
                    .advise(format!("first `arpguard unhide {address}`")),
            )
        }
        Some(Mode::Audit) | None => Ok(()),
    }
}
