use super::*;
use crate::{arp::Packet, device::fixture::device};

const OWN: Mac = Mac([2, 0, 0, 0, 0, 0x10]);
const PEER: Mac = Mac([2, 0, 0, 0, 0, 0x81]);
const CLIENT: Ipv4Addr = Ipv4Addr::new(192, 168, 18, 129);
const STRANGER: Ipv4Addr = Ipv4Addr::new(172, 16, 0, 1);
const RIP: Ipv4Addr = Ipv4Addr::new(192, 168, 18, 10);
const VIP: Ipv4Addr = Ipv4Addr::new(192, 168, 18, 101);
const LOCAL_ONLY: Ipv4Addr = Ipv4Addr::new(192, 168, 18, 102);
const NEIGHBOUR: Ipv4Addr = Ipv4Addr::new(192, 168, 18, 50);
const NOBODY: Ipv4Addr = Ipv4Addr::UNSPECIFIED;

/// eth0 (2) with the RIP, eth1 (3), and two addresses on lo, one of them of the host's scope.
fn host() -> Host {
    let mut lo = device(1, "lo", &["192.168.18.101/32", "192.168.18.102/32"]);
    lo.addresses[1].host_scope = true;
    let mut eth0 = device(2, "eth0", &["192.168.18.10/24"]);
    eth0.mac = Some(OWN);
    Host {
        devices: vec![lo, eth0, device(3, "eth1", &["10.0.0.10/24"])],
        ..Host::default()
    }
}

struct Case {
    packet: Packet,
    settings: &'static [(Setting, u32)],
    way: Way,
    way_back: Way,
    is_proxied: bool,
}

/// A request by a neighbour for an address that the host has, unless it is said otherwise.
fn asks(spa: Ipv4Addr, tpa: Ipv4Addr) -> Case {
    let way = match host().owner(tpa) {
        Some(_) => Way::Local,
        None => Way::Through(2),
    };
    Case {
        packet: Packet::request(PEER, spa, tpa),
        settings: &[],
        way,
        way_back: Way::Through(2),
        is_proxied: false,
    }
}

impl Case {
    fn with(self, settings: &'static [(Setting, u32)]) -> Self {
        Self { settings, ..self }
    }

    fn by(self, way: Way) -> Self {
        Self { way, ..self }
    }

    fn reaction(&self) -> Reaction {
        let host = host();
        let mut sysctls = Sysctls::default();
        for (setting, value) in self.settings {
            sysctls.set("eth0", *setting, *value);
        }
        let situation = Situation {
            device: host.device("eth0").unwrap(),
            host: &host,
            sysctls: &sysctls,
            way: self.way,
            way_back: self.way_back,
            is_proxied: self.is_proxied,
        };
        react(&Heard::read(&self.packet.bytes()).unwrap(), &situation)
    }
}

fn ignored_by(arp_ignore: u32, address: Ipv4Addr, owner: &str) -> Reaction {
    Reaction::Silent(Why::Ignored {
        arp_ignore,
        address,
        owner: Some(owner.to_owned()),
    })
}

#[test]
fn every_address_of_the_host_is_answered_for_unless_a_setting_says_otherwise() {
    use Reaction::{Answers, Silent};
    use Setting::{ArpFilter, ArpIgnore, RpFilter};
    let mut back = asks(CLIENT, VIP).with(&[(ArpFilter, 1)]);
    back.way_back = Way::Through(3);
    let refused = Silent(Why::Refused {
        sender: CLIENT,
        rp_filter: 1,
    });
    let rows = [
        (asks(CLIENT, RIP), Answers),
        (asks(CLIENT, VIP), Answers),
        (asks(NOBODY, VIP), Answers),
        (asks(CLIENT, RIP).with(&[(ArpIgnore, 1)]), Answers),
        (
            asks(CLIENT, VIP).with(&[(ArpIgnore, 1)]),
            ignored_by(1, VIP, "lo"),
        ),
        (
            asks(NOBODY, VIP).with(&[(ArpIgnore, 1)]),
            ignored_by(1, VIP, "lo"),
        ),
        (asks(CLIENT, RIP).with(&[(ArpIgnore, 2)]), Answers),
        (asks(NOBODY, RIP).with(&[(ArpIgnore, 2)]), Answers),
        (asks(STRANGER, RIP).with(&[(ArpIgnore, 1)]), Answers),
        (
            asks(STRANGER, RIP).with(&[(ArpIgnore, 2)]),
            ignored_by(2, RIP, "eth0"),
        ),
        (asks(CLIENT, VIP).with(&[(ArpIgnore, 3)]), Answers),
        (
            asks(CLIENT, LOCAL_ONLY).with(&[(ArpIgnore, 3)]),
            ignored_by(3, LOCAL_ONLY, "lo"),
        ),
        (asks(CLIENT, LOCAL_ONLY).with(&[(ArpIgnore, 5)]), Answers),
        (
            asks(CLIENT, RIP).with(&[(ArpIgnore, 8)]),
            ignored_by(8, RIP, "eth0"),
        ),
        (asks(CLIENT, VIP).with(&[(ArpFilter, 1)]), Answers),
        (back, Silent(Why::Filtered(CLIENT))),
        (
            asks(CLIENT, RIP).with(&[(RpFilter, 1)]).by(Way::Nowhere),
            refused,
        ),
        (asks(VIP, RIP).by(Way::Nowhere), Silent(Why::Martian(VIP))),
        (asks(RIP, RIP).by(Way::Nowhere), Silent(Why::Martian(RIP))),
        (asks(CLIENT, NEIGHBOUR), Silent(Why::NotOwn(NEIGHBOUR))),
        (asks(NOBODY, NEIGHBOUR), Silent(Why::NotOwn(NEIGHBOUR))),
        (
            asks(CLIENT, NEIGHBOUR).by(Way::Nowhere),
            Silent(Why::NotOwn(NEIGHBOUR)),
        ),
    ];
    for (number, (case, expected)) in rows.iter().enumerate() {
        assert_eq!(case.reaction(), *expected, "row {number}");
    }
}

#[test]
fn what_is_behind_another_device_is_proxied_where_packets_are_forwarded() {
    use Setting::{Forwarding, ProxyArp, ProxyArpPvlan};
    let silent = Reaction::Silent(Why::NotOwn(NEIGHBOUR));
    let behind = |out| asks(CLIENT, NEIGHBOUR).by(Way::Through(out));
    let mut entry = behind(3).with(&[(Forwarding, 1)]);
    entry.is_proxied = true;
    let mut unforwarded = behind(3);
    unforwarded.is_proxied = true;
    let mut here = behind(2).with(&[(Forwarding, 1)]);
    here.is_proxied = true;
    for (case, expected) in [
        (behind(3).with(&[(ProxyArp, 1)]), &silent),
        (
            behind(3).with(&[(ProxyArp, 1), (Forwarding, 1)]),
            &Reaction::Proxies,
        ),
        (behind(2).with(&[(ProxyArp, 1), (Forwarding, 1)]), &silent),
        (
            behind(2).with(&[(ProxyArpPvlan, 1), (Forwarding, 1)]),
            &Reaction::Proxies,
        ),
        (
            behind(3).with(&[(ProxyArpPvlan, 1), (Forwarding, 1)]),
            &silent,
        ),
        (entry, &Reaction::Proxies),
        (unforwarded, &silent),
        (here, &silent),
    ] {
        assert_eq!(
            case.reaction(),
            *expected,
            "{:?} {:?}",
            case.settings,
            case.way
        );
    }
}

#[test]
fn what_is_no_question_to_this_host_is_not_answered() {
    let other = Mac([2, 0, 0, 0, 0, 0x77]);
    let group = Mac([1, 0, 0x5e, 0, 0, 1]);
    let ask = Packet::request(PEER, CLIENT, RIP);
    let reply = Packet {
        oper: [0, 2],
        ..ask
    };
    let loopback = Ipv4Addr::new(127, 0, 0, 1);
    let own = |packet| {
        Case {
            packet,
            ..asks(CLIENT, RIP)
        }
        .reaction()
    };
    for (packet, expected) in [
        (
            Packet {
                destination: OWN,
                ..ask
            },
            Reaction::Answers,
        ),
        (
            Packet {
                destination: group,
                ..ask
            },
            Reaction::Answers,
        ),
        (
            Packet {
                tags: &[(0x8100, 0xe000); 6],
                ..ask
            },
            Reaction::Answers,
        ),
        (
            Packet {
                htype: [0, 6],
                ..ask
            },
            Reaction::Answers,
        ),
        (
            Packet {
                destination: other,
                ..ask
            },
            Reaction::Silent(Why::OtherStation(other)),
        ),
        (
            Packet {
                tags: &[(0x88a8, 0), (0x8100, 10)],
                ..ask
            },
            Reaction::Silent(Why::Vlan),
        ),
        (
            Packet {
                htype: [0, 7],
                ..ask
            },
            Reaction::Silent(Why::NotArp),
        ),
        (reply, Reaction::Silent(Why::NoQuestion)),
        (
            Packet::unasked_reply(PEER, VIP),
            Reaction::Silent(Why::NoQuestion),
        ),
        (
            Packet {
                tpa: loopback,
                ..ask
            },
            Reaction::Silent(Why::NoStation(loopback)),
        ),
    ] {
        assert_eq!(own(packet), expected, "{packet:?}");
    }
}
