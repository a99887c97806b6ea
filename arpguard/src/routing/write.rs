//! Changing what is arpguard's of the kernel's routing.

use std::{cmp::Reverse, net::Ipv4Addr};

use ipnet::Ipv4Net;
use nix::errno::Errno;
use rtnetlink::{
    RouteMessageBuilder,
    packet_route::{
        route::{RouteAttribute, RouteFlags, RouteMessage, RouteScope},
        rule::{RuleAction, RuleAttribute, RuleMessage},
    },
};

use super::{PROTOCOL, Place, Route, Routing, priority};
use crate::{
    error::{Error, Result, errno},
    fault,
    netlink::Netlink,
};

const ADD: &str = "add the rule for";
const REMOVE: &str = "remove the rule for";

/// Makes `to` of `from`. Each packet is routed by the one or the other, or by the main table:
/// tables are filled from the longest destination on, and emptied from the shortest.
///
/// # Errors
/// Where the kernel refuses. Some of it may be done then.
pub async fn change(netlink: &Netlink, from: &Routing, to: &Routing) -> Result<()> {
    for rule in to.rules.difference(&from.rules) {
        add_rule(netlink, *rule).await?;
    }
    let mut new: Vec<_> = to
        .routes
        .iter()
        .filter(|(place, route)| from.routes.get(place) != Some(route))
        .collect();
    // What is on the link comes before what leads through it.
    new.sort_by_key(|((_, destination, _), route)| {
        (
            route.hop.gateway.is_some(),
            Reverse(destination.prefix_len()),
        )
    });
    for (place, route) in new {
        set_route(netlink, *place, route).await?;
    }
    let is_gone = |place: &&Place| !to.routes.contains_key(*place);
    let mut gone: Vec<_> = from.routes.keys().filter(is_gone).collect();
    gone.sort_by_key(|(_, destination, _)| destination.prefix_len());
    for place in gone {
        if let Some(route) = from.routes.get(place) {
            remove_route(netlink, *place, route).await?;
        }
    }
    for rule in from.rules.difference(&to.rules) {
        remove_rule(netlink, *rule).await?;
    }
    Ok(())
}

async fn add_rule(netlink: &Netlink, (prefix, table): (Ipv4Net, u32)) -> Result<()> {
    fault::point("route/rule").map_err(|cause| Error::from_cause(ADD, prefix, &cause))?;
    let mut request = netlink.handle().rule().add().v4();
    *request.message_mut() = rule(prefix, table);
    match request.execute().await {
        Err(cause) if errno(&cause) != Some(Errno::EEXIST) => {
            Err(Error::from_cause(ADD, prefix, &cause))
        }
        _ => Ok(()),
    }
}

async fn remove_rule(netlink: &Netlink, (prefix, table): (Ipv4Net, u32)) -> Result<()> {
    fault::point("route/rule/remove").map_err(|cause| Error::from_cause(REMOVE, prefix, &cause))?;
    let request = netlink.handle().rule().del(rule(prefix, table));
    match request.execute().await {
        Err(cause) if errno(&cause) != Some(Errno::ENOENT) => {
            Err(Error::from_cause(REMOVE, prefix, &cause))
        }
        _ => Ok(()),
    }
}

fn rule(prefix: Ipv4Net, table: u32) -> RuleMessage {
    let mut message = RuleMessage::default();
    message.header.family = rtnetlink::packet_route::AddressFamily::Inet;
    message.header.src_len = prefix.prefix_len();
    message.header.action = RuleAction::ToTable;
    message.attributes = vec![
        RuleAttribute::Source(prefix.addr().into()),
        RuleAttribute::Table(table),
        RuleAttribute::Priority(priority(prefix)),
        RuleAttribute::Protocol(PROTOCOL),
    ];
    message
}

/// Sets a route, unless its device or its gateway has just gone: then there is an event, and whoever
/// follows the host looks again.
async fn set_route(netlink: &Netlink, place: Place, route: &Route) -> Result<()> {
    fault::point("route/set").map_err(|cause| tried("set", place, &cause))?;
    let request = netlink.handle().route().add(message(place, route));
    match request.replace().execute().await {
        Ok(()) => Ok(()),
        Err(cause) => match errno(&cause) {
            Some(Errno::ENETDOWN | Errno::ENODEV | Errno::ENETUNREACH) => Ok(()),
            _ => Err(tried("set", place, &cause)),
        },
    }
}

async fn remove_route(netlink: &Netlink, place: Place, route: &Route) -> Result<()> {
    fault::point("route/remove").map_err(|cause| tried("remove", place, &cause))?;
    let request = netlink.handle().route().del(message(place, route));
    match request.execute().await {
        Err(cause) if !matches!(errno(&cause), Some(Errno::ESRCH | Errno::ENODEV)) => {
            Err(tried("remove", place, &cause))
        }
        _ => Ok(()),
    }
}

fn tried(verb: &str, (table, to, _): Place, cause: &(dyn std::error::Error + 'static)) -> Error {
    let subject = format!("{to} in table {table}");
    Error::from_cause(format!("{verb} the route to"), subject, cause)
}

fn message((table, to, metric): Place, route: &Route) -> RouteMessage {
    let mut message = RouteMessageBuilder::<Ipv4Addr>::new()
        .destination_prefix(to.addr(), to.prefix_len())
        .output_interface(route.hop.device)
        .table_id(table)
        .protocol(PROTOCOL)
        .scope(match route.hop.gateway {
            Some(_) => RouteScope::Universe,
            None => RouteScope::Link,
        })
        .build();
    let attributes = &mut message.attributes;
    if let Some(gateway) = route.hop.gateway {
        attributes.push(RouteAttribute::Gateway(gateway.into()));
    }
    if let Some(source) = route.source {
        attributes.push(RouteAttribute::PrefSource(source.into()));
    }
    if metric != 0 {
        attributes.push(RouteAttribute::Priority(metric));
    }
    if !route.metrics.is_empty() {
        attributes.push(RouteAttribute::Metrics(route.metrics.clone()));
    }
    if route.hop.onlink {
        message.header.flags |= RouteFlags::Onlink;
    }
    message
}
