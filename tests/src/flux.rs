//! Hosts with several devices on one segment: which of them answers for what.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{Ipv4Addr, UdpSocket},
    thread,
    time::{Duration, Instant},
};

use arpguard_common::wire::Mac;

use crate::{
    arp::{self, AD, Frame, Q},
    lab::{Namespace, Port, Segment, Wire, patience},
};

/// How many requests are sent before the answers are waited for: fewer than a veth device has room
/// for, with three answers to each.
const BATCH: usize = 64;

/// The number of UDP in a header of IPv4.
const UDP: u8 = 17;

const TAGS: &[&[(u16, u16)]] = &[
    &[],
    &[(Q, 0)],
    &[(AD, 0)],
    &[(AD, 0xe000), (Q, 0)],
    &[(Q, 0), (Q, 0), (Q, 0)],
];

/// The client's hardware address.
pub const CLIENT: Mac = Mac([2, 0, 0, 2, 0, 0x81]);

/// A device on the segment.
#[derive(Clone, Copy, Debug)]
pub struct Nic {
    /// Its name.
    pub name: &'static str,
    /// Its hardware address.
    pub mac: Mac,
    /// Its own address.
    pub ip: Ipv4Addr,
    /// An address that nobody but the test asks for: once it is answered, all that was asked before
    /// is.
    mark: Ipv4Addr,
}

/// An address of the host or of a container behind it.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The address.
    pub ip: Ipv4Addr,
    /// Whether the kernel proxies for it. Then it answers no probes.
    pub proxied: bool,
    /// Which of the devices shall answer for it.
    pub nic: usize,
}

/// The host, its client and the segment between them.
#[derive(Debug)]
pub struct Flux {
    /// The host.
    pub host: Namespace,
    /// Its devices on the segment.
    pub nics: Vec<Nic>,
    /// What the client asks for.
    pub targets: Vec<Target>,
    /// The containers, in the order of their targets.
    pub containers: Vec<Namespace>,
    /// The client's address.
    pub client: Ipv4Addr,
    /// The client.
    pub client_host: Namespace,
    /// What the client hears and says.
    pub ears: Port,
    /// What is between them.
    pub segment: Segment,
}

impl Flux {
    /// A container host with three NICs, one of them for management, and two containers for which it
    /// proxies on all of them.
    pub fn container_host() -> Self {
        let net = [192, 168, 18];
        let mut flux = Self::new(net, 129, &[("eth0", 10), ("eth3", 11), ("eth4", 12)]);
        let Self { host, nics, .. } = &flux;
        host.set("net/ipv4/ip_forward", "1");
        for nic in nics {
            // Else proxied addresses are answered at random moments.
            host.set(&format!("net/ipv4/neigh/{}/proxy_delay", nic.name), "0");
        }
        let (mut containers, mut targets) = (Vec::new(), Vec::new());
        for last in [101, 102] {
            let ip = address(net, last);
            let container = Namespace::new("container");
            let near = format!("c{last}");
            let macs = [0, 1].map(|end| Mac([2, 0, 0, 3, end, last]));
            Wire::between((host, &near, macs[0]), (&container, "eth0", macs[1]));
            container.sh(&format!("ip addr add {ip}/32 dev eth0"));
            container.sh("ip route add default dev eth0");
            host.sh(&format!("ip route add {ip}/32 dev {near}"));
            for nic in nics {
                host.sh(&format!("ip neigh add proxy {ip} dev {}", nic.name));
            }
            containers.push(container);
            targets.push(Target {
                ip,
                proxied: true,
                nic: 1,
            });
        }
        flux.containers = containers;
        flux.targets.extend(targets);
        flux
    }

    /// A server with two NICs in one subnet.
    pub fn two_nics() -> Self {
        Self::new([10, 211, 55], 7, &[("eth0", 13), ("eth1", 14)])
    }

    fn new(net: [u8; 3], client: u8, devices: &[(&'static str, u8)]) -> Self {
        let segment = Segment::new();
        let client_host = Namespace::new("client");
        let client = address(net, client);
        segment.attach(&client_host, "eth0", CLIENT, &[&format!("{client}/24")]);
        let host = Namespace::new("host");
        let nic = |(number, (name, last)): (usize, &(&'static str, u8))| Nic {
            name,
            mac: Mac([2, 0, 0, 2, 0, *last]),
            ip: address(net, *last),
            mark: Ipv4Addr::new(10, 255, 0, 1 + u8::try_from(number).unwrap()),
        };
        let nics: Vec<_> = devices.iter().enumerate().map(nic).collect();
        for nic in &nics {
            let (own, mark) = (format!("{}/24", nic.ip), format!("{}/32", nic.mark));
            segment.attach(&host, nic.name, nic.mac, &[&own, &mark]);
        }
        let own = |(nic, Nic { ip, .. }): (usize, &Nic)| Target {
            ip: *ip,
            proxied: false,
            nic,
        };
        Self {
            targets: nics.iter().enumerate().map(own).collect(),
            containers: Vec::new(),
            ears: Port::open(&client_host, "eth0"),
            host,
            nics,
            client,
            client_host,
            segment,
        }
    }

    /// Takes the cable out of a device, by its number.
    pub fn unplug(&self, nic: usize) {
        self.set_port(nic, "down");
    }

    /// Puts it in again.
    pub fn plug(&self, nic: usize) {
        self.set_port(nic, "up");
    }

    /// The first port of the segment is the client's.
    fn set_port(&self, nic: usize, state: &str) {
        let line = format!("ip link set p{} {state}", nic + 1);
        self.segment.namespace().sh(&line);
    }

    /// Every form in which the client may ask for every address.
    pub fn requests(&self) -> Vec<Frame> {
        let macs = self.nics.iter().map(|nic| nic.mac);
        let destinations: Vec<_> = [Mac::BROADCAST].into_iter().chain(macs).collect();
        let mut requests = Vec::new();
        for target in &self.targets {
            for destination in &destinations {
                for spa in [self.client, arp::NOBODY] {
                    for htype in [arp::ETHERNET, arp::IEEE_802] {
                        for tags in TAGS {
                            let asked = arp::request(CLIENT, spa, target.ip);
                            let asked = asked.to(*destination).tagged(tags);
                            requests.push(Frame { htype, ..asked });
                        }
                    }
                }
            }
        }
        requests
    }

    /// Whether `target` has to be answered to a request by `nic`, if that may speak for it.
    pub fn reaches(&self, request: &Frame, target: &Target, nic: usize) -> bool {
        let to = request.destination;
        let known = !(target.proxied && request.spa.is_unspecified());
        request.tpa == target.ip && known && (to.is_group() || to == self.nics[nic].mac)
    }

    /// Sends `count` requests, all forms in turn, and gives how many answers came for each address,
    /// by the hardware address that they tell.
    pub fn ask(&self, count: usize) -> BTreeMap<(Ipv4Addr, Mac), usize> {
        let forms = self.requests();
        let mut requests = forms.iter().cycle().take(count).peekable();
        let mut answers = BTreeMap::new();
        while requests.peek().is_some() {
            for request in requests.by_ref().take(BATCH) {
                self.ears.send(&request.bytes());
            }
            for reply in self.hear() {
                if self.targets.iter().any(|target| target.ip == reply.spa) {
                    assert_eq!(reply.source, reply.sha, "{reply:?}");
                    *answers.entry((reply.spa, reply.sha)).or_default() += 1;
                }
            }
        }
        answers
    }

    /// Asks each device for its mark, waits for the answers, and gives all replies that were heard.
    fn hear(&self) -> Vec<Frame> {
        let mut heard = Vec::new();
        for nic in &self.nics {
            let asked = arp::request(CLIENT, self.client, nic.mark).to(nic.mac);
            self.ears.send(&asked.bytes());
            let answer = arp::reply(nic.mac, nic.mark, CLIENT, self.client).bytes();
            heard.extend(self.ears.until(|frame| frame == answer));
        }
        let frames = heard.iter().filter_map(|frame| Frame::read(frame));
        frames.filter(|frame| frame.op == arp::REPLY).collect()
    }

    /// Which hardware addresses the answers for an address tell.
    pub fn macs(answers: &BTreeMap<(Ipv4Addr, Mac), usize>, ip: Ipv4Addr) -> BTreeSet<Mac> {
        let of = answers.keys().filter(|(spa, _)| *spa == ip);
        of.map(|(_, mac)| *mac).collect()
    }

    /// Has the client forget `ip` and use it: gives the entry that it then has.
    pub fn resolve(&self, ip: Ipv4Addr) -> String {
        self.client_host
            .sh(&format!("ip neigh flush to {ip} dev eth0"));
        self.send(&self.client_host, "0.0.0.0".parse().unwrap(), ip);
        let deadline = Instant::now() + patience();
        loop {
            let shown = self
                .client_host
                .sh(&format!("ip neigh show to {ip} dev eth0"));
            let mut words = shown
                .split_whitespace()
                .skip_while(|word| *word != "lladdr");
            if let Some(mac) = words.nth(1) {
                return mac.to_owned();
            }
            assert!(Instant::now() < deadline, "{ip} is not resolved");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Has the host forget the client and send it a packet as `ip`: gives the requests that are heard
    /// before it.
    pub fn send_as(&self, ip: Ipv4Addr) -> Vec<Frame> {
        self.host.sh(&format!("ip neigh flush to {}", self.client));
        self.send(&self.host, ip, self.client);
        let packet = |frame: &[u8]| {
            // IPv4 with UDP in it, and the source address; from there also come errors of ICMP, about
            // what was sent to it before.
            frame.get(12..14) == Some(&[8, 0])
                && frame.get(23) == Some(&UDP)
                && frame.get(26..30) == Some(&ip.octets())
        };
        let heard = self.ears.until(packet);
        let frames = heard.iter().filter_map(|frame| Frame::read(frame));
        frames.filter(|frame| frame.op == arp::REQUEST).collect()
    }

    /// Whether a packet of the client's comes to a container.
    pub fn reaches_container(&self, number: usize) -> bool {
        let ip = self
            .targets
            .iter()
            .filter(|target| target.proxied)
            .nth(number);
        let ip = ip.unwrap().ip;
        let listens = self.containers[number].enter(|| UdpSocket::bind((ip, 9)).unwrap());
        listens.set_read_timeout(Some(patience())).unwrap();
        self.resolve(ip);
        listens.recv(&mut [0; 8]).is_ok()
    }

    fn send(&self, from: &Namespace, source: Ipv4Addr, to: Ipv4Addr) {
        from.enter(|| {
            let socket = UdpSocket::bind((source, 0)).unwrap();
            socket.send_to(b"?", (to, 9)).unwrap();
        });
    }
}

fn address([a, b, c]: [u8; 3], last: u8) -> Ipv4Addr {
    Ipv4Addr::new(a, b, c, last)
}
