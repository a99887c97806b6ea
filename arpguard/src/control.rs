//! The socket by which an agent is asked that holds the state itself, where nothing can be pinned.
//!
//! One connection is one request: a line of JSON, answered by another. Only the user whose process
//! it is, and root, are answered, and only theirs is asked.

mod client;
mod server;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tokio::net::{UnixStream, unix::UCred};

pub use self::{
    client::{Agent, find},
    server::Server,
};
use crate::{
    error::{Error, Result},
    render::Page,
    request::Request,
};

/// Where sockets are, when nothing else is said.
const DIRECTORY: &str = "/run/arpguard";
/// Requests and replies of two builds may differ.
const BUILD: &str = concat!(env!("CARGO_PKG_VERSION"), " ", env!("ARPGUARD_PROGRAMS"));
/// Longer than a million addresses are, in bytes.
const LONGEST: u64 = 64 << 20;

/// What is asked.
#[derive(Debug, Deserialize, Serialize)]
struct Message {
    build: String,
    page: Page,
    request: Request,
}

/// What is answered.
#[derive(Debug, Deserialize, Serialize)]
pub struct Reply {
    /// The output.
    pub output: String,
    /// How it went.
    pub outcome: Result<()>,
}

/// The socket of the namespace with this identity (see [`crate::host::netns::identity`]).
pub fn path(identity: &str) -> PathBuf {
    PathBuf::from(DIRECTORY).join(format!("{identity}.sock"))
}

/// Whether the process at the other end belongs to root or to this user.
fn is_trusted(stream: &UnixStream) -> bool {
    let own = nix::unistd::geteuid().as_raw();
    let peer = stream.peer_cred().map(|peer: UCred| peer.uid());
    peer.is_ok_and(|peer| peer == 0 || peer == own)
}
