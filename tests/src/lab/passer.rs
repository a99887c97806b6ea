//! The least XDP program there is.

use std::os::fd::OwnedFd;

use super::Namespace;
use crate::bpf::{Kind, Program, XDP_PASS};

/// A program on a device that passes every frame, until it is dropped.
///
/// A veth device takes what its peer's native XDP program sends only once it has a program itself
/// (`veth_xdp_flush` in `drivers/net/veth.c`), as a network card takes it from the wire.
#[derive(Debug)]
pub struct Passer {
    _link: OwnedFd,
}

impl Passer {
    /// Attaches one to `device` in `namespace`, in the driver.
    pub fn attach(namespace: &Namespace, device: &str) -> Self {
        let program = Program::returning(Kind::Xdp, XDP_PASS);
        Self {
            _link: program.attach(namespace, device),
        }
    }
}
