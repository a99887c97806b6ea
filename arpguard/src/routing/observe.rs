//! What the kernel's routing has.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr},
};

use futures_util::TryStreamExt as _;
use ipnet::Ipv4Net;
use rtnetlink::{
    IpVersion, RouteMessageBuilder,
    packet_route::{
        AddressFamily,
        route::{
            RouteAddress, RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteNextHopFlags,
            RouteType,
        },
        rule::{RuleAttribute, RuleMessage},
    },
};

use super::{Hop, PROTOCOL, Route, Routing, TABLES};
use crate::{
    error::{Error, Result},
    netlink::Netlink,
};

/// What the kernel's routing has, as far as it is of use here.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// The main table, with each route's destination.
    pub main: Vec<(Ipv4Net, Route)>,
    /// What is arpguard's.
    pub ours: Routing,
    /// Tables of arpguard's numbers that have routes of others.
    pub foreign: BTreeSet<u32>,
}

impl Observed {
    /// Refuses a table that others use.
    ///
    /// # Errors
    /// Where `wanted` has one.
    pub fn check(&self, wanted: &Routing) -> Result<()> {
        let mut tables = wanted.rules.iter().map(|(_, table)| table);
        match tables.find(|table| self.foreign.contains(table)) {
            None => Ok(()),
            Some(table) => {
                let why = "it has routes that are not arpguard's";
                let advice = format!("see whose they are: ip route show table {table}");
                Err(Error::new("use the routing table", table, why).advise(advice))
            }
        }
    }
}

/// As [`observe()`], where there is something of arpguard's, or shall be for `pins`; else nothing.
///
/// # Errors
/// As [`observe()`].
pub async fn observe_for(netlink: &Netlink, pins: &BTreeMap<Ipv4Net, u32>) -> Result<Observed> {
    let mut observed = Observed::default();
    observed.ours.rules = rules(netlink).await?;
    if pins.is_empty() && observed.ours.rules.is_empty() {
        return Ok(observed);
    }
    read_routes(netlink, &mut observed).await?;
    Ok(observed)
}

/// Reads it all.
///
/// # Errors
/// Where the kernel does not tell.
pub async fn observe(netlink: &Netlink) -> Result<Observed> {
    let mut observed = Observed::default();
    observed.ours.rules = rules(netlink).await?;
    read_routes(netlink, &mut observed).await?;
    Ok(observed)
}

async fn rules(netlink: &Netlink) -> Result<BTreeSet<(Ipv4Net, u32)>> {
    let mut rules = BTreeSet::new();
    let mut messages = netlink.handle().rule().get(IpVersion::V4).execute();
    let tried = |cause| Error::from_cause("read the rules of", "the routing", &cause);
    while let Some(message) = messages.try_next().await.map_err(tried)? {
        rules.extend(rule(&message));
    }
    Ok(rules)
}

/// The rule, if it is arpguard's.
fn rule(message: &RuleMessage) -> Option<(Ipv4Net, u32)> {
    let (mut source, mut table, mut is_ours) = (None, None, false);
    for attribute in &message.attributes {
        match attribute {
            RuleAttribute::Source(IpAddr::V4(address)) => source = Some(*address),
            RuleAttribute::Table(number) => table = Some(*number),
            RuleAttribute::Protocol(protocol) => is_ours = *protocol == PROTOCOL,
            _ => {}
        }
    }
    let prefix = Ipv4Net::new(source?, message.header.src_len).ok()?;
    is_ours.then_some((prefix, table?))
}

async fn read_routes(netlink: &Netlink, observed: &mut Observed) -> Result<()> {
    let all = RouteMessageBuilder::<Ipv4Addr>::new().build();
    let mut messages = netlink.handle().route().get(all).execute();
    let tried = |cause| Error::from_cause("read the routes", "this network namespace", &cause);
    while let Some(message) = messages.try_next().await.map_err(tried)? {
        let Some((table, destination, routes)) = parse(&message) else {
            continue;
        };
        if table == u32::from(RouteHeader::RT_TABLE_MAIN) {
            let routes = routes.into_iter().map(|route| (destination, route));
            observed.main.extend(routes);
        } else if message.header.protocol == PROTOCOL {
            for route in routes {
                let place = (table, destination, route.metric);
                observed.ours.routes.insert(place, route);
            }
        } else if table >= TABLES {
            observed.foreign.insert(table);
        }
    }
    Ok(())
}

/// The table, the destination, and a route for each next hop.
fn parse(message: &RouteMessage) -> Option<(u32, Ipv4Net, Vec<Route>)> {
    let header = &message.header;
    if header.address_family != AddressFamily::Inet
        || header.kind != RouteType::Unicast
        || header.tos != 0
    {
        return None;
    }
    let mut table = u32::from(header.table);
    let mut destination = Ipv4Addr::UNSPECIFIED;
    let mut hop = Hop {
        onlink: header.flags.contains(RouteFlags::Onlink),
        ..Hop::default()
    };
    let (mut route, mut hops) = (Route::default(), Vec::new());
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Table(number) => table = *number,
            RouteAttribute::Destination(RouteAddress::Inet(address)) => destination = *address,
            RouteAttribute::Oif(index) => hop.device = *index,
            RouteAttribute::Gateway(RouteAddress::Inet(gateway)) => hop.gateway = Some(*gateway),
            RouteAttribute::PrefSource(RouteAddress::Inet(source)) => route.source = Some(*source),
            RouteAttribute::Priority(metric) => route.metric = *metric,
            RouteAttribute::Metrics(metrics) => route.metrics.clone_from(metrics),
            RouteAttribute::MultiPath(several) => {
                for one in several {
                    let gateway = one.attributes.iter().find_map(|attribute| match attribute {
                        RouteAttribute::Gateway(RouteAddress::Inet(gateway)) => Some(*gateway),
                        _ => None,
                    });
                    hops.push(Hop {
                        device: one.interface_index,
                        gateway,
                        onlink: one.flags.contains(RouteNextHopFlags::Onlink),
                    });
                }
            }
            // What leads through another protocol, or is wrapped, is not copied.
            RouteAttribute::Via(_) | RouteAttribute::Encap(_) => return None,
            _ => {}
        }
    }
    if hops.is_empty() {
        hops.push(hop);
    }
    let destination = Ipv4Net::new(destination, header.destination_prefix_length).ok()?;
    let routes = hops.into_iter().map(|hop| Route {
        hop,
        ..route.clone()
    });
    Some((table, destination, routes.collect()))
}
