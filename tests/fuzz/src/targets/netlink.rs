//! What the kernel's routing netlink tells, from bytes to devices, addresses, routes, neighbours.

use arpguard::host::message;
use rtnetlink::{
    packet_core::{NetlinkMessage, NetlinkPayload},
    packet_route::RouteNetlinkMessage,
};

/// A message.
pub fn netlink(data: &[u8]) {
    let Ok(message) = NetlinkMessage::<RouteNetlinkMessage>::deserialize(data) else {
        return;
    };
    let NetlinkPayload::InnerMessage(message) = message.payload else {
        return;
    };
    match message {
        RouteNetlinkMessage::NewLink(link) | RouteNetlinkMessage::DelLink(link) => {
            if let Some(device) = message::device(&link) {
                assert_eq!(device.index, link.header.index);
                assert_eq!(device.addresses, []);
            }
        }
        RouteNetlinkMessage::NewAddress(address) | RouteNetlinkMessage::DelAddress(address) => {
            if let Some((device, own)) = message::address(&address) {
                assert_eq!(device, address.header.index);
                assert_eq!(own.subnet, own.subnet.trunc());
                assert_eq!(own.subnet.prefix_len(), address.header.prefix_len);
            }
        }
        RouteNetlinkMessage::NewRoute(route) | RouteNetlinkMessage::DelRoute(route) => {
            let default = route.header.destination_prefix_length == 0;
            assert!(default || message::default_source(&route).is_none());
        }
        RouteNetlinkMessage::NewNeighbour(entry) | RouteNetlinkMessage::DelNeighbour(entry) => {
            if let Some((device, mac)) = message::neighbour(&entry) {
                assert_eq!(device, entry.header.ifindex);
                assert!(mac.is_station());
            }
        }
        _ => {}
    }
}
