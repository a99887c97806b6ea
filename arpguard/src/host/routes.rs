//! The routes: which source address each default one prefers, and where a packet goes.

use std::net::Ipv4Addr;

use futures_util::TryStreamExt as _;
use ipnet::Ipv4Net;
use nix::errno::Errno;
use rtnetlink::{
    RouteMessageBuilder,
    packet_route::route::{RouteAttribute, RouteMessage, RouteType},
};

use super::message;
use crate::error::{Error, Result, errno};
use crate::netlink::Netlink;

pub(super) async fn read_default_sources(netlink: &Netlink) -> Result<Vec<(u32, Ipv4Addr)>> {
    let routes = read(netlink).await?;
    Ok(routes.iter().filter_map(message::default_source).collect())
}

/// What is the host's by a route, with the interface index of the route's device: addresses, and
/// prefixes that are local as a whole. Tables that only some packets are looked up in are left out.
///
/// # Errors
/// Where the kernel does not tell.
pub async fn local(netlink: &Netlink) -> Result<Vec<(u32, Ipv4Net)>> {
    let routes = read(netlink).await?;
    Ok(routes.iter().filter_map(message::local).collect())
}

async fn read(netlink: &Netlink) -> Result<Vec<RouteMessage>> {
    let all = RouteMessageBuilder::<Ipv4Addr>::new().build();
    let routes = netlink.handle().route().get(all).execute();
    let tried = |cause| Error::from_cause("read the routes", "this network namespace", &cause);
    routes.try_collect().await.map_err(tried)
}

/// A packet whose way is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Lookup {
    /// Its source; `None`: not chosen yet.
    pub source: Option<Ipv4Addr>,
    /// Its destination.
    pub target: Ipv4Addr,
    /// The interface index of the device that it comes to; `None`: it is the host's own.
    pub device: Option<u32>,
}

/// Where a packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// To the host itself.
    Local,
    /// Out by the device with this interface index.
    Through(u32),
    /// Nowhere: the kernel discards it, for its source or its destination.
    Nowhere,
}

impl Lookup {
    /// Asks the kernel, as `ip route get` does.
    ///
    /// # Errors
    /// Where it does not tell.
    pub async fn way(&self, netlink: &Netlink) -> Result<Way> {
        let single = 32;
        let mut question =
            RouteMessageBuilder::<Ipv4Addr>::new().destination_prefix(self.target, single);
        if let Some(source) = self.source {
            question = question.source_prefix(source, single);
        }
        if let Some(device) = self.device {
            question = question.input_interface(device);
        }
        let mut answers = netlink.handle().route().get(question.build()).execute();
        let route = match answers.try_next().await {
            Ok(Some(route)) => route,
            Ok(None) => return Ok(Way::Nowhere),
            Err(cause) => {
                return match errno(&cause) {
                    Some(
                        Errno::EINVAL
                        | Errno::EXDEV
                        | Errno::EACCES
                        | Errno::ENETUNREACH
                        | Errno::EHOSTUNREACH,
                    ) => Ok(Way::Nowhere),
                    _ => Err(Error::from_cause("ask for the way to", self.target, &cause)),
                };
            }
        };
        let out = route
            .attributes
            .iter()
            .find_map(|attribute| match attribute {
                RouteAttribute::Oif(index) => Some(*index),
                _ => None,
            });
        Ok(match (route.header.kind, out) {
            (RouteType::Local, _) => Way::Local,
            (RouteType::Unicast, Some(out)) => Way::Through(out),
            _ => Way::Nowhere,
        })
    }
}
