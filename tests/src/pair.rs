//! Both ends of one of the real server's wires.

use std::cell::Cell;

use nix::{libc::ENOBUFS, net::if_::if_nametoindex};

use crate::{
    fixture::{Device, RealServer},
    lab::Port,
};

/// A device of the real server and the one at the other end, open for whole frames.
#[derive(Debug)]
pub struct Pair {
    /// The device of the real server.
    pub device: Device,
    /// Its interface index.
    pub index: u32,
    /// It, open.
    pub server: Port,
    /// The other end, open.
    pub peer: Port,
    sent: Cell<u64>,
}

/// EtherType for experiments (IEEE 802): what arpguard does not look at.
const EXPERIMENT: [u8; 2] = [0x88, 0xb5];

impl Pair {
    /// Opens both.
    pub fn open(server: &RealServer, device: Device) -> Self {
        let name = device.name();
        Self {
            device,
            index: server.host.enter(|| if_nametoindex(name).unwrap()),
            server: Port::open(&server.host, name),
            peer: Port::open(&server.peer, name),
            sent: Cell::new(0),
        }
    }

    /// A frame that is like no other.
    fn mark(&self) -> Vec<u8> {
        let number = self.sent.get() + 1;
        self.sent.set(number);
        let mut frame = [[0xff; 6], self.device.peer_mac().0].concat();
        frame.extend(EXPERIMENT);
        frame.extend(number.to_be_bytes());
        frame
    }

    /// Has all that was sent before arrive at `to`, and gives it.
    fn flush(&self, from: &Port, to: &Port) -> Vec<Vec<u8>> {
        let mark = self.mark();
        from.send(&mark);
        to.until(|frame| frame == mark)
    }

    /// Sends a frame to the real server: gives what its device received, before any TC hook, and
    /// what came back.
    pub fn receive(&self, frame: &[u8]) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
        self.peer.send(frame);
        let mut received = self.flush(&self.peer, &self.server);
        // The first mark may have been shown to the socket in one batch with the frame, before the
        // kernel's ARP saw that. The second comes in a batch of its own.
        received.extend(self.flush(&self.peer, &self.server));
        (received, self.flush(&self.server, &self.peer))
    }

    /// Has the real server send a frame: gives what the other end received, and whether the
    /// sender was told that it went out.
    pub fn send(&self, frame: &[u8]) -> (Vec<Vec<u8>>, bool) {
        let told = match self.server.try_send(frame) {
            Ok(()) => true,
            // What the egress hook drops is reported as a full queue.
            Err(error) if error.raw_os_error() == Some(ENOBUFS) => false,
            Err(error) => panic!("send: {error}"),
        };
        (self.flush(&self.server, &self.peer), told)
    }
}
