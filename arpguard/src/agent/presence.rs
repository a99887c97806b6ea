//! That an agent runs in this network namespace, for those who say what only an agent does.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// A name among abstract sockets, of which each network namespace has its own.
const NAME: &str = "arpguard-agent";

/// Held while the agent runs.
pub(super) struct Presence(#[expect(dead_code, reason = "it is there")] Option<UnixDatagram>);

impl Presence {
    /// Shows that it runs. Where another one does, that is shown already.
    pub(super) fn claim() -> Self {
        Self(bind())
    }
}

/// Whether an agent runs in the network namespace of the calling thread.
pub fn is_there() -> bool {
    bind().is_none()
}

fn bind() -> Option<UnixDatagram> {
    let address = SocketAddr::from_abstract_name(NAME).ok()?;
    UnixDatagram::bind_addr(&address).ok()
}
