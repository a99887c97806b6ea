//! The default routes: which source address each prefers.

use std::net::Ipv4Addr;

use futures_util::TryStreamExt as _;
use rtnetlink::{
    RouteMessageBuilder,
    packet_route::route::{RouteAddress, RouteAttribute},
};

use crate::error::{Error, Result};
use crate::netlink::Netlink;

pub(super) async fn read_default_sources(netlink: &Netlink) -> Result<Vec<(u32, Ipv4Addr)>> {
    let mut sources = Vec::new();
    let all = RouteMessageBuilder::<Ipv4Addr>::new().build();
    let mut routes = netlink.handle().route().get(all).execute();
    let tried = |cause| Error::from_cause("read the routes", "this network namespace", &cause);
    while let Some(route) = routes.try_next().await.map_err(tried)? {
        if route.header.destination_prefix_length != 0 {
            continue;
        }
        let (mut device, mut source) = (None, None);
        for attribute in &route.attributes {
            match attribute {
                RouteAttribute::Oif(index) => device = Some(*index),
                RouteAttribute::PrefSource(RouteAddress::Inet(address)) => source = Some(*address),
                _ => {}
            }
        }
        sources.extend(device.zip(source));
    }
    Ok(sources)
}
