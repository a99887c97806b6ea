//! Frames as fast as a network card would bring them.

use nix::net::if_::if_nametoindex;

use super::Namespace;
use crate::bpf::Program;

/// A generator that puts a frame on a wire: what it sends by a veth device is received at the other
/// end without ever having been an skb.
#[derive(Debug)]
pub struct Flood(Program);

impl Flood {
    /// One out of `device` of `namespace`.
    pub fn new(namespace: &Namespace, device: &str) -> Self {
        let index = namespace.enter(|| if_nametoindex(device));
        let index = index.unwrap_or_else(|error| panic!("flood {device}: {error}"));
        Self(Program::redirecting(index))
    }

    /// Sends the frame so many times.
    pub fn send(&self, namespace: &Namespace, frame: &[u8], times: u32) {
        namespace.enter(|| self.0.live(frame, times));
    }
}
