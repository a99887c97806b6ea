//! Routes of arpguard's own: replies from a pinned address leave by the device where it is.
//!
//! Each such address or prefix has a rule (`ip rule`) that sends what is sent from it to the table of
//! its device, and that table has what the main one has, as far as it leads by that device. What it
//! lacks, the main table has. All of it is marked by its protocol number, and nothing else is ever
//! changed. A rule is there before the first route of its table and after the last, so whoever
//! finds no rule of arpguard's need not look for routes.

mod observe;
mod table;
mod write;

use std::collections::{BTreeMap, BTreeSet};

use ipnet::Ipv4Net;
use rtnetlink::packet_route::route::RouteProtocol;

pub use self::{
    observe::{Observed, observe, observe_for},
    table::{Hop, Route, wanted},
    write::change,
};

/// What marks rules and routes as arpguard's; in `/etc/iproute2/rt_protos` nobody has it.
pub const PROTOCOL: RouteProtocol = RouteProtocol::Other(214);
/// The table of a device is this one and its interface index.
pub const TABLES: u32 = 2_054_000_000;
/// A rule's priority is this one for a single address, and one more for each bit that a prefix is
/// shorter: the longest is asked first.
pub const PRIORITIES: u32 = 20_540;
/// The kernel tries rules one after another, for each packet that it has no route for yet.
const MOST_RULES: usize = 1024;

/// What is arpguard's of the kernel's routing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Routing {
    /// Which table what is sent from a prefix is looked up in.
    pub rules: BTreeSet<(Ipv4Net, u32)>,
    /// Routes by table, destination and metric.
    pub routes: BTreeMap<Place, Route>,
}

/// Table, destination and metric: there is one route for each.
pub type Place = (u32, Ipv4Net, u32);

/// The table of a device.
pub const fn table(device: u32) -> u32 {
    TABLES + device
}

/// The priority of the rule for a prefix.
pub const fn priority(prefix: Ipv4Net) -> u32 {
    PRIORITIES + (32 - prefix.prefix_len() as u32)
}
