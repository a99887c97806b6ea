//! A cluster with a real director: IPVS in direct routing, and TCP connections through it.
//!
//! Everybody is in VLAN 10. The real servers have the VIP on `lo` or on a dummy device, and one of
//! them is on the segment by a bond.

mod service;

pub use self::service::Service;

use std::{
    io::Read as _,
    net::{Ipv4Addr, SocketAddr, TcpStream},
    process::Command,
};

use arpguard_common::wire::Mac;

use crate::lab::{Namespace, Segment, patience, slower};

/// The address of the service.
pub const VIP: Ipv4Addr = Ipv4Addr::new(192, 168, 18, 101);
/// The port of the service.
pub const PORT: u16 = 80;
/// The VLAN that all are in.
pub const VLAN: u16 = 10;

/// A host in the VLAN.
#[derive(Debug)]
pub struct Station {
    /// Its namespace.
    pub host: Namespace,
    /// Its device in the VLAN.
    pub device: String,
    /// The hardware address of that.
    pub mac: Mac,
    /// Its own address.
    pub ip: Ipv4Addr,
}

/// The cluster.
#[derive(Debug)]
pub struct Ipvs {
    /// Who connects to the VIP.
    pub client: Station,
    /// Who has the VIP for all to see, and gives each connection to the next real server.
    pub director: Station,
    /// Who serve it.
    pub servers: Vec<Station>,
    services: Vec<Service>,
    segment: Segment,
}

/// What this machine lacks for such a cluster; `None` where it lacks nothing.
///
/// # Panics
///
/// In the virtual machine of `cargo xtask test --kernel`, whose kernels have all of it.
pub fn lacks() -> Option<String> {
    // ipvsadm asks for it in a way that kmod does not know. Where it fails, the first line does too.
    let _ = Command::new("modprobe")
        .args(["-a", "ip_vs", "ip_vs_rr"])
        .output();
    let probe = Namespace::new("probe");
    let words = |line: &str| -> Vec<String> { line.split(' ').map(str::to_owned).collect() };
    let mut lines = vec!["ipvsadm -L -n".to_owned()];
    for kind in ["dummy", "bond", "vlan id 10 protocol 802.1q"] {
        let link = if kind.starts_with("vlan") {
            " link d0"
        } else {
            ""
        };
        let name = format!("{}0", &kind[..1]);
        lines.push(format!("ip link add{link} name {name} type {kind}"));
    }
    let missing = lines.iter().find_map(|line| {
        let words = words(line);
        let (program, arguments) = words.split_first()?;
        let mut command = probe.command(program);
        let why = match command.args(arguments).output() {
            Ok(output) if output.status.success() => return None,
            Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            Err(error) => error.to_string(),
        };
        Some(format!("this machine lacks what it takes: {line}: {why}"))
    });
    if let Some(missing) = &missing {
        assert!(slower() == 1, "{missing}");
    }
    missing
}

impl Ipvs {
    /// A client, a director and three real servers. Nothing is hidden.
    pub fn new() -> Self {
        let segment = Segment::new();
        let client = station(&segment, "client", 129, &["eth0"]);
        let director = station(&segment, "director", 10, &["eth0"]);
        let servers = vec![
            station(&segment, "rs1", 11, &["eth0"]),
            station(&segment, "rs2", 12, &["eth0", "eth1"]),
            station(&segment, "rs3", 13, &["eth0"]),
        ];
        let own = format!("ip addr add {VIP}/32 dev");
        director.host.sh(&format!("{own} {}", director.device));
        servers[0].host.sh(&format!("{own} lo"));
        for server in &servers[1..] {
            server.host.sh("ip link add dummy0 type dummy");
            server.host.sh("ip link set dummy0 up");
            server.host.sh(&format!("{own} dummy0"));
        }
        director.host.set("net/ipv4/ip_forward", "1");
        director.host.set("net/ipv4/conf/all/send_redirects", "0");
        let ipvsadm = |line: String| director.host.sh(&format!("ipvsadm {line}"));
        ipvsadm(format!("-A -t {VIP}:{PORT} -s rr"));
        for server in &servers {
            ipvsadm(format!("-a -t {VIP}:{PORT} -r {} -g", server.ip));
        }
        let services = servers
            .iter()
            .zip(1..)
            .map(|(server, number)| Service::start(&server.host, (VIP, PORT), number))
            .collect();
        Self {
            client,
            director,
            servers,
            services,
            segment,
        }
    }

    /// The segment that all are on.
    pub fn segment(&self) -> &Segment {
        &self.segment
    }

    /// Has the client connect to the VIP; the index of the real server that served it, `None` where
    /// it was none of them.
    pub fn connect(&self) -> Option<usize> {
        let at = SocketAddr::from((VIP, PORT));
        let connected = self.client.host.enter(|| {
            let mut stream = TcpStream::connect_timeout(&at, patience())?;
            stream.set_read_timeout(Some(patience()))?;
            let mut number = [0];
            stream.read_exact(&mut number).map(|()| number[0])
        });
        let number = connected.unwrap_or_else(|error| panic!("connect to {at}: {error}"));
        let mut services = self.services.iter();
        services.position(|service| service.number() == number)
    }

    /// Has everybody forget everybody's hardware address.
    pub fn forget(&self) {
        let all = [&self.client, &self.director];
        for station in all.into_iter().chain(&self.servers) {
            let device = &station.device;
            station.host.sh(&format!("ip neigh flush dev {device}"));
        }
    }

    /// What the client has as neighbour entry for the VIP.
    pub fn entry(&self) -> Option<Mac> {
        let device = &self.client.device;
        let line = format!("ip neigh show to {VIP} dev {device}");
        let shown = self.client.host.sh(&line);
        let mut words = shown.split_whitespace();
        words.find(|word| *word == "lladdr")?;
        let mut bytes = words.next()?.split(':');
        let mut mac = Mac::default();
        for byte in &mut mac.0 {
            *byte = u8::from_str_radix(bytes.next()?, 16).ok()?;
        }
        Some(mac)
    }

    /// Whether this is the hardware address of a real server.
    pub fn is_a_server(&self, mac: Mac) -> bool {
        self.servers.iter().any(|server| server.mac == mac)
    }
}

impl Default for Ipvs {
    fn default() -> Self {
        Self::new()
    }
}

/// A host whose device in the VLAN is on its one NIC, or on a bond of both.
fn station(segment: &Segment, name: &str, last: u8, nics: &[&str]) -> Station {
    let host = Namespace::new(name);
    let mac = Mac([2, 0, 0, 2, 0, last]);
    for (nic, number) in nics.iter().zip(0..) {
        let Mac([a, b, c, d, _, f]) = mac;
        segment.attach(&host, nic, Mac([a, b, c, d, number, f]), &[]);
    }
    let parent = match nics {
        [nic] => (*nic).to_owned(),
        several => {
            bond(&host, several, mac);
            "bond0".to_owned()
        }
    };
    let device = format!("{parent}.{VLAN}");
    host.sh(&format!(
        "ip link add link {parent} name {device} type vlan id {VLAN}"
    ));
    host.sh(&format!("ip link set {device} up"));
    let ip = Ipv4Addr::new(192, 168, 18, last);
    host.sh(&format!("ip addr add {ip}/24 dev {device}"));
    Station {
        host,
        device,
        mac,
        ip,
    }
}

/// Makes `bond0` of these devices, of which one is used and the others wait.
pub fn bond(host: &Namespace, nics: &[&str], mac: Mac) {
    host.sh(&format!(
        "ip link add bond0 address {mac} type bond mode active-backup miimon 100"
    ));
    for nic in nics {
        host.sh(&format!("ip link set {nic} down"));
        host.sh(&format!("ip link set {nic} master bond0"));
    }
    host.sh("ip link set bond0 up");
}
