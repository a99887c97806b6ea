//! What the table of a device has: pure, from the main table.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
};

use ipnet::Ipv4Net;
use rtnetlink::packet_route::route::RouteMetric;

use super::{MOST_RULES, Routing, table};
use crate::{
    device::{Address, Device, Link},
    error::{Error, Result},
    host::Host,
};

/// A route, without its destination.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Route {
    /// Where it leads.
    pub hop: Hop,
    /// The source address that it prefers.
    pub source: Option<Ipv4Addr>,
    /// Of several for one destination, that with the smallest counts.
    pub metric: u32,
    /// What else is known of the path, such as its MTU.
    pub metrics: Vec<RouteMetric>,
}

/// Where a route leads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hop {
    /// Interface index.
    pub device: u32,
    /// Who takes it from there; `None`: the destination is on the link.
    pub gateway: Option<Ipv4Addr>,
    /// Whether the gateway is taken to be on the link, whatever the device's subnets are.
    pub onlink: bool,
}

/// What the routing has to be for `pins`, each with the interface index of the device where it is;
/// `main` is the main table.
///
/// # Errors
/// Where there are too many.
pub fn wanted(
    pins: &BTreeMap<Ipv4Net, u32>,
    host: &Host,
    main: &[(Ipv4Net, Route)],
) -> Result<Routing> {
    if let Some((prefix, _)) = pins.iter().nth(MOST_RULES) {
        let why = format!(
            "the kernel tries the rules of addresses one after another, and more than {MOST_RULES} \
             would be slow"
        );
        return Err(Error::new("route", prefix, why).advise("pin prefixes instead"));
    }
    let mut wanted = Routing::default();
    let mut filled = BTreeSet::new();
    for (prefix, index) in pins {
        // The main table serves for one that is gone.
        let Some(device) = host.by_index(*index) else {
            continue;
        };
        let table = table(device.index);
        if filled.insert(table) {
            let routes = of(device, main).into_iter();
            let routes = routes.map(|((to, metric), route)| ((table, to, metric), route));
            wanted.routes.extend(routes);
        }
        wanted.rules.insert((*prefix, table));
    }
    Ok(wanted)
}

/// The routes of a device: all of the main table that lead by it, and a default route by the gateway
/// of the main one, where that is in a subnet of the device and it has no own. With them what is on
/// the link of another device, such as a container, and not what the device itself leads to: else
/// its default route would take that away.
fn of(device: &Device, main: &[(Ipv4Net, Route)]) -> BTreeMap<(Ipv4Net, u32), Route> {
    let mut routes = BTreeMap::new();
    if device.link == Link::Down {
        return routes;
    }
    let by_it = main
        .iter()
        .filter(|(_, route)| route.hop.device == device.index);
    for (to, route) in by_it {
        routes
            .entry((*to, route.metric))
            .or_insert_with(|| route.clone());
    }
    let any = Ipv4Net::default();
    let own: BTreeSet<_> = routes.keys().map(|(to, _)| *to).collect();
    let mut others = BTreeMap::<_, Route>::new();
    for (to, route) in main {
        let is_on_link = route.hop.device != device.index && route.hop.gateway.is_none();
        if is_on_link && *to != any && !own.contains(to) {
            others
                .entry((*to, route.metric))
                .or_insert_with(|| route.clone());
        }
    }
    if !own.contains(&any) {
        let default = main.iter().find_map(|(to, route)| {
            let gateway = route.hop.gateway.filter(|_| *to == any)?;
            let in_subnet = |own: &Address| own.subnet.contains(&gateway);
            device.addresses.iter().any(in_subnet).then_some(gateway)
        });
        if let Some(gateway) = default {
            let hop = Hop {
                device: device.index,
                gateway: Some(gateway),
                onlink: false,
            };
            let route = Route {
                hop,
                ..Route::default()
            };
            others.insert((any, 0), route);
        }
    }
    routes.extend(others);
    routes
}

#[cfg(test)]
mod tests;
