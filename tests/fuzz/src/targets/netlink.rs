//! What the kernel's netlink tells, from bytes to devices, addresses, routes, neighbours, and to what
//! drivers say.

use arpguard::host::{drivers, generic::Generic, message};
use rtnetlink::{
    packet_core::{NetlinkMessage, NetlinkPayload},
    packet_route::RouteNetlinkMessage,
};

/// A message, of generic netlink and of routing netlink: which one it is, the socket would say.
pub fn netlink(data: &[u8]) {
    if let Ok(message) = NetlinkMessage::<Generic>::deserialize(data)
        && let NetlinkPayload::InnerMessage(message) = message.payload
    {
        generic(message);
    }
    routing(data);
}

/// One that was understood is written as it was read.
fn generic(message: Generic) {
    let told = drivers::native(&message);
    let mut written = NetlinkMessage::from(message);
    written.finalize();
    let mut bytes = vec![0; written.buffer_len()];
    written.serialize(&mut bytes);
    let read = NetlinkMessage::<Generic>::deserialize(&bytes).map(|read| read.payload);
    let Ok(NetlinkPayload::InnerMessage(read)) = read else {
        panic!("{written:?} is read as {read:?}");
    };
    assert_eq!(drivers::native(&read), told);
}

fn routing(data: &[u8]) {
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
