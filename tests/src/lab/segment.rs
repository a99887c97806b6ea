//! Wires between namespaces.

use std::sync::atomic::{AtomicU32, Ordering};

use arpguard_common::wire::Mac;

use super::Namespace;

/// A bridge that knows nothing but MAC addresses, in a namespace of its own.
#[derive(Debug)]
pub struct Segment {
    namespace: Namespace,
    ports: AtomicU32,
}

impl Segment {
    /// A segment without hosts.
    pub fn new() -> Self {
        let namespace = Namespace::new("segment");
        namespace.sh("ip link add br0 type bridge mcast_snooping 0 forward_delay 0 stp_state 0");
        namespace.sh("ip link set br0 up");
        Self {
            namespace,
            ports: AtomicU32::new(0),
        }
    }

    /// Gives `host` a device on this segment, up, with this MAC address and these addresses
    /// (`192.168.18.10/24`).
    pub fn attach(&self, host: &Namespace, device: &str, mac: Mac, addresses: &[&str]) {
        let port = format!("p{}", self.ports.fetch_add(1, Ordering::Relaxed));
        Wire::between((host, device, mac), (&self.namespace, &port, None));
        self.namespace.sh(&format!("ip link set {port} master br0"));
        for address in addresses {
            host.sh(&format!("ip addr add {address} dev {device}"));
        }
    }

    /// The segment's own namespace.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }
}

impl Default for Segment {
    fn default() -> Self {
        Self::new()
    }
}

/// A veth pair between two namespaces.
#[derive(Debug)]
pub struct Wire;

impl Wire {
    /// Makes a pair, both ends up, without addresses. The kernel chooses the interface indexes.
    pub fn between(near: (&Namespace, &str, Mac), far: (&Namespace, &str, impl Into<Option<Mac>>)) {
        Self::make(near, "", far);
    }

    /// As [`Self::between`]; the near end gets the interface index `index`.
    pub fn numbered(
        near: (&Namespace, &str, Mac),
        index: u32,
        far: (&Namespace, &str, impl Into<Option<Mac>>),
    ) {
        Self::make(near, &format!("index {index}"), far);
    }

    /// As [`Self::between`], with the offloads that the kernel gives a pair, as users have it.
    pub fn as_it_comes(
        near: (&Namespace, &str, Mac),
        far: (&Namespace, &str, impl Into<Option<Mac>>),
    ) {
        let ends = [(near.0, near.1), (far.0, far.1)];
        Self::add(near, "", far);
        Self::up(ends);
    }

    /// With GRO on and the peer's TSO off, a veth device takes all frames from one queue (NAPI), so
    /// that frames sent from several CPUs do not overtake each other.
    fn make(
        near: (&Namespace, &str, Mac),
        index: &str,
        far: (&Namespace, &str, impl Into<Option<Mac>>),
    ) {
        let ends = [(near.0, near.1), (far.0, far.1)];
        Self::add(near, index, far);
        for (namespace, device) in ends {
            namespace.sh(&format!("ethtool -K {device} gro on tso off"));
        }
        Self::up(ends);
    }

    fn up(ends: [(&Namespace, &str); 2]) {
        for (namespace, device) in ends {
            namespace.sh(&format!("ip link set {device} up"));
        }
    }

    fn add(
        (near, device, mac): (&Namespace, &str, Mac),
        index: &str,
        (far, peer, peer_mac): (&Namespace, &str, impl Into<Option<Mac>>),
    ) {
        let peer_mac = peer_mac
            .into()
            .map(|mac| format!("address {mac}"))
            .unwrap_or_default();
        near.sh(&format!(
            "ip link add name {device} {index} address {mac} type veth \
             peer name {peer} {peer_mac} netns {}",
            far.name()
        ));
    }
}
