//! `arpguard promote`

use std::{collections::BTreeMap, net::Ipv4Addr, panic::resume_unwind, thread};

use super::{Context, announce, args, policy};
use crate::{
    arp::{self, Announcement},
    device::Device,
    error::{Error, Result},
    host::Host,
    policy::devices,
    request::{self, Request},
};

const PROMOTE: &str = "promote";

/// What is announced on one device.
type Announced<'a> = BTreeMap<u32, (&'a Device, Vec<Ipv4Addr>)>;

/// The VIPs are answered for before they are announced. What could keep them from being announced is
/// looked for before anything is changed.
pub(super) async fn run(context: &Context, what: args::Promote) -> Result<()> {
    let request = what.request()?;
    let host = Host::observe(&context.netlink).await?;
    if !what.force {
        for vip in &request.vips {
            announce::check_own(PROMOTE, &host, *vip)?;
        }
    }
    let announced = match what.count {
        0 => Announced::new(),
        _ => announced(&host, &request)?,
    };
    policy::ask(context, || Ok(Request::Promote(request))).await?;
    let send = |(device, vips): (&Device, Vec<Ipv4Addr>)| {
        let announcement = Announcement {
            addresses: vips,
            mac: None,
            count: what.count,
            interval: what.interval,
        };
        let advice = "the VIPs are promoted all the same, unless somebody has demoted them";
        announcement
            .send(device)
            .map_err(|error| error.advise(advice))
    };
    thread::scope(|scope| {
        let under_way: Vec<_> = announced
            .into_values()
            .map(|one| scope.spawn(|| send(one)))
            .collect();
        let mut ended = under_way.into_iter().map(|one| one.join());
        ended.try_for_each(|end| end.unwrap_or_else(|panic| resume_unwind(panic)))
    })
}

fn announced<'a>(host: &'a Host, request: &request::Promote) -> Result<Announced<'a>> {
    let mut announced = Announced::new();
    for vip in &request.vips {
        let named = request.dev.iter();
        let mut on = named
            .map(|name| arp::fit(host, name, announce::ON))
            .collect::<Result<Vec<_>>>()?;
        if on.is_empty() {
            on.push(on_its_lan(host, *vip)?);
        }
        for device in on {
            let (_, vips) = announced
                .entry(device.index)
                .or_insert((device, Vec::new()));
            vips.push(*vip);
        }
    }
    Ok(announced)
}

/// The one device that can be meant: that has the VIP itself, else with a subnet that it is in, else
/// at all. Of several on one LAN, the last that announces would get all traffic.
fn on_its_lan(host: &Host, vip: Ipv4Addr) -> Result<&Device> {
    let all = devices(host, &[])?;
    let holds = |device: &&Device| device.has(vip);
    let reaches = |device: &&Device| {
        let mut own = device.addresses.iter();
        own.any(|own| own.subnet.prefix_len() < 32 && own.subnet.contains(&vip))
    };
    let of = |is_one: &dyn Fn(&&Device) -> bool| -> Vec<&Device> {
        all.iter()
            .copied()
            .filter(|device| is_one(device))
            .collect()
    };
    let meant = [of(&holds), of(&reaches), of(&|_| true)];
    let meant = meant
        .into_iter()
        .find(|some| !some.is_empty())
        .unwrap_or_default();
    match meant.as_slice() {
        [device] => arp::fit(host, &device.name, announce::ON),
        several => {
            let names: Vec<_> = several.iter().map(|device| device.name.as_str()).collect();
            let why = format!("it could be announced on {}", names.join(", "));
            Err(Error::new(PROMOTE, vip, why)
                .advise("name the device that shall answer, with --dev"))
        }
    }
}
