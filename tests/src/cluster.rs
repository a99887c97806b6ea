//! LVS-DR clusters: who asks, who must answer, and who must not.

mod requests;

use std::{
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    os::fd::{AsRawFd as _, OwnedFd},
    thread,
    time::{Duration, Instant},
};

use arpguard_common::wire::Mac;
use nix::{
    errno::Errno,
    sys::socket::{
        AddressFamily, SockFlag, SockType, SockaddrIn, bind, connect, setsockopt, socket, sockopt,
    },
};

use crate::{
    arp::Frame,
    lab::{Namespace, Port, Segment, Wire, patience},
};

/// The port that the client listens on.
const LISTENS: u16 = 8080;

/// A host on the segment.
#[derive(Debug)]
pub struct Station {
    /// Its namespace. Its device on the segment is eth0.
    pub host: Namespace,
    /// Its hardware address.
    pub mac: Mac,
    /// Its own address.
    pub ip: Ipv4Addr,
}

/// An address that several stations have.
#[derive(Clone, Debug)]
pub struct Service {
    /// The address.
    pub vip: Ipv4Addr,
    /// Which station answers for it: it has the address on eth0.
    pub director: usize,
    /// Which stations must not: they have it on lo.
    pub servers: Vec<usize>,
}

/// A cluster on one segment.
#[derive(Debug)]
pub struct Cluster {
    /// Who asks for the VIPs on the segment: the client, or the router before it.
    pub asker: Station,
    /// Directors and real servers.
    pub stations: Vec<Station>,
    /// What they serve.
    pub services: Vec<Service>,
    /// The client's own address, wherever it is.
    client: Ipv4Addr,
    ears: Port,
    _segment: Segment,
    _far: Option<Namespace>,
}

impl Cluster {
    /// A client, a director and three real servers.
    pub fn direct_routing() -> Self {
        let (segment, asker) = segment();
        let ip = asker.ip;
        Self::new(
            segment,
            asker,
            ip,
            None,
            &["dir", "rs1", "rs2", "rs3"],
            director(),
        )
    }

    /// The same, with a router between the client and the segment.
    pub fn behind_a_router() -> Self {
        let (segment, router) = segment();
        let client = Namespace::new("far");
        let [near, far] = [0x71, 0x72].map(|last| Mac([2, 0, 0, 1, 0, last]));
        Wire::between((&router.host, "eth1", near), (&client, "eth0", far));
        router.host.sh("ip addr add 10.9.0.1/24 dev eth1");
        router.host.set("net/ipv4/ip_forward", "1");
        client.sh("ip addr add 10.9.0.2/24 dev eth0");
        client.sh("ip route add default via 10.9.0.1");
        let ip = Ipv4Addr::new(10, 9, 0, 2);
        let names = ["dir", "rs1", "rs2", "rs3"];
        Self::new(segment, router, ip, Some(client), &names, director())
    }

    /// Two hosts that are each the director of one VIP and a real server of the other's.
    pub fn each_directs_for_the_other() -> Self {
        let (segment, asker) = segment();
        let ip = asker.ip;
        let services = vec![
            Service {
                vip: vip(101),
                director: 0,
                servers: vec![1],
            },
            Service {
                vip: vip(102),
                director: 1,
                servers: vec![0],
            },
        ];
        Self::new(segment, asker, ip, None, &["one", "two"], services)
    }

    fn new(
        segment: Segment,
        asker: Station,
        client: Ipv4Addr,
        far: Option<Namespace>,
        names: &[&str],
        services: Vec<Service>,
    ) -> Self {
        let stations: Vec<_> = (10..)
            .zip(names)
            .map(|(last, name)| station(&segment, name, last))
            .collect();
        for station in &stations {
            let gateway = asker.ip;
            station
                .host
                .sh(&format!("ip route add default via {gateway}"));
        }
        for service in &services {
            let Service { vip, director, .. } = service;
            stations[*director]
                .host
                .sh(&format!("ip addr add {vip}/32 dev eth0"));
            for server in &service.servers {
                stations[*server]
                    .host
                    .sh(&format!("ip addr add {vip}/32 dev lo"));
            }
        }
        let ears = Port::open(&asker.host, "eth0");
        Self {
            asker,
            stations,
            services,
            client,
            ears,
            _segment: segment,
            _far: far,
        }
    }

    /// Hides every VIP on its real servers, with `options` added to the command.
    pub fn guard(&self, options: &str) {
        for service in &self.services {
            for server in &service.servers {
                let Station { host, ip, .. } = &self.stations[*server];
                host.guard(&format!("hide {} --rip {ip} {options}", service.vip));
            }
        }
    }

    /// What the one who asks has as neighbour entry for `vip`.
    pub fn entry(&self, vip: Ipv4Addr) -> Option<Mac> {
        let shown = self
            .asker
            .host
            .sh(&format!("ip neigh show to {vip} dev eth0"));
        let mut words = shown.split_whitespace();
        words.find(|word| *word == "lladdr")?;
        let mut bytes = words.next()?.split(':');
        let mut mac = Mac::default();
        for byte in &mut mac.0 {
            *byte = u8::from_str_radix(bytes.next()?, 16).ok()?;
        }
        Some(mac)
    }

    /// Has the one who asks forget `vip` and use it: gives the entry that it then has.
    pub fn resolve(&self, vip: Ipv4Addr) -> Mac {
        self.asker
            .host
            .sh(&format!("ip neigh flush to {vip} dev eth0"));
        self.asker.host.enter(|| {
            let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
            socket.send_to(b"?", (vip, 9)).unwrap();
        });
        self.eventually(|| self.entry(vip))
    }

    /// Has a real server open a connection to the client as `vip`, and waits for its first packet
    /// on the segment. Gives all ARP that was heard before.
    ///
    /// No more than that first packet can come of it: the answer goes to the director.
    pub fn connect_as(&self, server: usize, vip: Ipv4Addr) -> Vec<Frame> {
        let station = &self.stations[server];
        let _socket = station.host.enter(|| open(vip, self.client));
        let opens = |frame: &[u8]| {
            // The source address of IPv4, behind that of Ethernet.
            frame.get(6..12) == Some(&station.mac.0)
                && frame.get(12..14) == Some(&[8, 0])
                && frame.get(26..30) == Some(&vip.octets())
        };
        let heard = self.ears.until(opens);
        heard
            .iter()
            .filter_map(|frame| Frame::read(frame))
            .collect()
    }

    /// Whether somebody speaks for a VIP who must not.
    pub fn leaks(&self, frame: &Frame) -> bool {
        self.services.iter().any(|service| {
            let director = self.stations[service.director].mac;
            frame.spa == service.vip && (frame.sha != director || frame.source != director)
        })
    }

    fn eventually<T>(&self, mut what: impl FnMut() -> Option<T>) -> T {
        let deadline = Instant::now() + patience();
        loop {
            if let Some(found) = what() {
                return found;
            }
            assert!(Instant::now() < deadline, "it did not come");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

fn vip(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(192, 168, 18, last)
}

fn director() -> Vec<Service> {
    vec![Service {
        vip: vip(101),
        director: 0,
        servers: vec![1, 2, 3],
    }]
}

fn segment() -> (Segment, Station) {
    let segment = Segment::new();
    let asker = station(&segment, "asker", 129);
    (segment, asker)
}

fn station(segment: &Segment, name: &str, last: u8) -> Station {
    let host = Namespace::new(name);
    let mac = Mac([2, 0, 0, 1, 0, last]);
    let ip = Ipv4Addr::new(192, 168, 18, last);
    segment.attach(&host, "eth0", mac, &[&format!("{ip}/24")]);
    Station { host, mac, ip }
}

/// A connection that has just begun.
fn open(from: Ipv4Addr, to: Ipv4Addr) -> OwnedFd {
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let made = socket(AddressFamily::Inet, SockType::Stream, flags, None).unwrap();
    setsockopt(&made, sockopt::ReuseAddr, &true).unwrap();
    bind(
        made.as_raw_fd(),
        &SockaddrIn::from(SocketAddrV4::new(from, 0)),
    )
    .unwrap();
    let SocketAddr::V4(to) = SocketAddr::from((to, LISTENS)) else {
        unreachable!("made of an IPv4 address");
    };
    let begun = connect(made.as_raw_fd(), &SockaddrIn::from(to));
    assert_eq!(begun, Err(Errno::EINPROGRESS), "connect");
    made
}
