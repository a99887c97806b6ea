//! A real server on a wire, for tests that are about arpguard itself.

use std::path::PathBuf;

use crate::{
    lab::{Namespace, Wire},
    pins::Pins,
};
use arpguard_common::wire::Mac;

/// A namespace with 192.168.18.10 on `eth0`, and the one at the other end of the wire.
pub fn real_server() -> (Namespace, Namespace) {
    let (server, peer) = (Namespace::new("server"), Namespace::new("peer"));
    Wire::between(
        (&server, "eth0", Mac([2, 0, 0, 0, 0, 0x10])),
        (&peer, "eth0", None),
    );
    server.sh("ip addr add 192.168.18.10/24 dev eth0");
    (server, peer)
}

/// Where arpguard has pinned what it has for `server`.
pub fn pins(server: &Namespace) -> PathBuf {
    Pins::of(server).directory().to_owned()
}

/// Whether `address` is in a rule that is in force. Programs are attached before rules are written: who
/// waits for an agent's first policy waits for this, and not until a device is guarded.
pub fn hides(server: &Namespace, address: &str) -> bool {
    server.guard("list").contains(address)
}

/// Whether programs are attached to the device of this name.
pub fn guards(server: &Namespace, device: &str) -> bool {
    let status = server.guard("status");
    let mut lines = status.lines();
    lines.any(|line| line.starts_with(&format!("{device} ")) && !line.contains("not guarded"))
}
