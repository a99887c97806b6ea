//! What a host's own messages tell: the corpus of `netlink` is of one with a bridge, a port of it, and
//! a default route that prefers an address.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{fmt::Debug, net::Ipv4Addr};

use arpguard::{
    device::{Address, Link, Unguardable},
    host::{Native, drivers, generic::Generic, message},
};
use arpguard_common::wire::Mac;
use arpguard_fuzz::{corpus::seeds, directory};
use rtnetlink::{
    packet_core::{NetlinkDeserializable, NetlinkMessage, NetlinkPayload},
    packet_route::RouteNetlinkMessage,
};

fn messages() -> Vec<RouteNetlinkMessage> {
    read("messages.")
}

/// Those of the files whose name begins so.
fn read<T: NetlinkDeserializable + Debug>(file: &str) -> Vec<T> {
    let seeds = seeds(&directory("netlink")).unwrap();
    let own = seeds.iter().filter(|(name, _)| name.starts_with(file));
    own.map(|(name, bytes)| match NetlinkMessage::deserialize(bytes) {
        Ok(NetlinkMessage {
            payload: NetlinkPayload::InnerMessage(message),
            ..
        }) => message,
        other => panic!("{name}: {other:?}"),
    })
    .collect()
}

fn address(text: &str, subnet: &str) -> Address {
    Address {
        address: text.parse().unwrap(),
        subnet: subnet.parse().unwrap(),
        broadcast: None,
        secondary: false,
        host_scope: false,
    }
}

#[test]
fn devices_are_what_the_kernel_says() {
    let mut told = Vec::new();
    for message in messages() {
        if let RouteNetlinkMessage::NewLink(link) = message {
            let device = message::device(&link).unwrap();
            assert_eq!((device.link, device.xdp), (Link::Up, None));
            let mac = device.mac.unwrap();
            told.push((
                device.index,
                device.name,
                device.kind,
                mac,
                device.unguardable,
            ));
        }
    }
    let kind = |kind: &str| Some(kind.to_owned());
    let mac = |last| Mac([2, 0, 0, 0, 0, last]);
    let port = Some(Unguardable::Port(4));
    let lo = (
        1,
        "lo".to_owned(),
        None,
        Mac([0; 6]),
        Some(Unguardable::Loopback),
    );
    let eth1 = (2, "eth1".to_owned(), kind("veth"), mac(0x81), port);
    let eth0 = (3, "eth0".to_owned(), kind("veth"), mac(0x10), None);
    let br0 = (4, "br0".to_owned(), kind("bridge"), mac(0x77), None);
    assert_eq!(told, [lo, eth1, eth0, br0]);
}

#[test]
fn addresses_are_what_the_kernel_says() {
    let mut told = Vec::new();
    for message in messages() {
        if let RouteNetlinkMessage::NewAddress(own) = message {
            told.push(message::address(&own).unwrap());
        }
    }
    let expected = [
        (
            1,
            Address {
                host_scope: true,
                ..address("127.0.0.1", "127.0.0.0/8")
            },
        ),
        (1, address("192.168.18.101", "192.168.18.101/32")),
        (
            3,
            Address {
                broadcast: Some(Ipv4Addr::new(192, 168, 18, 255)),
                ..address("192.168.18.10", "192.168.18.0/24")
            },
        ),
        (
            3,
            Address {
                secondary: true,
                ..address("192.168.18.11", "192.168.18.0/24")
            },
        ),
        // The peer's subnet is the one that is on the link.
        (4, address("10.0.0.1", "10.0.0.2/32")),
    ];
    assert_eq!(told, expected);
}

#[test]
fn sources_and_stations_are_what_the_kernel_says() {
    let (mut sources, mut stations) = (Vec::new(), Vec::new());
    for message in messages() {
        match message {
            RouteNetlinkMessage::NewRoute(route) => sources.extend(message::default_source(&route)),
            // One of them is of a group of stations.
            RouteNetlinkMessage::NewNeighbour(entry) => stations.extend(message::neighbour(&entry)),
            _ => {}
        }
    }
    assert_eq!(sources, [(3, Ipv4Addr::new(192, 168, 18, 11))]);
    assert_eq!(stations, [(3, Mac([2, 0, 0, 0, 0, 9]))]);
}

#[test]
fn drivers_have_what_they_say() {
    let told = read::<Generic>("drivers.");
    let told: Vec<_> = told.iter().map(drivers::native).collect();
    let expected = [
        Some((4, Native::MultiBuffer)),
        Some((3, Native::OneBuffer)),
        Some((1, Native::None)),
        // The number of the family.
        None,
    ];
    assert_eq!(told, expected);
}
