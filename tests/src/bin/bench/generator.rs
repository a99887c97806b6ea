//! The generator of frames.

use std::{net::Ipv4Addr, os::fd::OwnedFd};

use arpguard_common::wire::Mac;
use arpguard_tests::{
    arp,
    bpf::{BPF_REDIRECT, EXIT, Kind, Program, XDP_DROP, insn},
    lab::Namespace,
};
use nix::net::if_::if_nametoindex;

pub(crate) const SENDER: Ipv4Addr = Ipv4Addr::new(192, 168, 18, 129);
pub(crate) const SENDER_MAC: Mac = Mac([2, 0, 0, 0, 0, 0x81]);

/// What is asked for: so many addresses from the first one, each so many bits apart from the next.
#[derive(Clone, Copy)]
pub(crate) struct Targets {
    pub(crate) first: Ipv4Addr,
    pub(crate) count: u32,
    pub(crate) shift: u32,
}

/// Sends requests out of a device.
pub(crate) struct Generator {
    program: Program,
    _link: OwnedFd,
}

impl Generator {
    /// For these addresses.
    pub(crate) fn new(sender: &Namespace, device: &str, targets: Targets) -> Self {
        let device = sender.enter(|| if_nametoindex(device)).unwrap();
        let program = generator(device, targets, SENDER_MAC, SENDER);
        // A run of a program that is attached nowhere patches the kernel's XDP dispatcher first
        // (`bpf_prog_change_xdp`), which takes milliseconds: it is attached where nothing comes.
        sender.sh("ip link add idle0 type veth peer name idle1");
        let link = program.attach(sender, "idle0");
        Self {
            program,
            _link: link,
        }
    }

    /// Sends so many.
    pub(crate) fn send(&self, sender: &Namespace, frames: u32) {
        sender.enter(|| self.program.live(&[0; 60], frames));
    }
}

/// An XDP program that makes of any frame of 60 bytes a broadcast ARP request for one of the
/// `targets`, by chance, and sends it on by `device`. It writes every byte,
/// since the page of a frame comes back as the receiver left it.
fn generator(device: u32, targets: Targets, sha: Mac, spa: Ipv4Addr) -> Program {
    let Targets {
        first,
        count,
        shift,
    } = targets;
    let frame = arp::request(sha, spa, first).bytes();
    let mut code = vec![
        insn(0xbf, 6, 1, 0, 0),                             // r6 = context
        insn(0x85, 0, 0, 0, 7),                             // r0 = bpf_get_prandom_u32()
        insn(0x97, 0, 0, 0, count.cast_signed()),           // r0 %= count
        insn(0x67, 0, 0, 0, shift.cast_signed()),           // r0 <<= shift
        insn(0x07, 0, 0, 0, first.to_bits().cast_signed()), // r0 += first
        insn(0xdc, 0, 0, 0, 32),                            // r0 = big endian
        insn(0x61, 2, 6, 0, 0),                             // r2 = data
        insn(0x61, 3, 6, 4, 0),                             // r3 = data_end
        insn(0xbf, 4, 2, 0, 0),                             // r4 = data
        insn(0x07, 4, 0, 0, 42),                            // r4 += 42
        insn(0x2d, 4, 3, 15, 0),                            // past the end: to the drop
    ];
    for (at, word) in frame[..36].chunks_exact(4).enumerate() {
        let word = i32::from_ne_bytes(word.try_into().unwrap());
        code.push(insn(0x62, 2, 0, i16::try_from(at * 4).unwrap(), word));
    }
    code.extend([
        insn(0x6a, 2, 0, 36, 0), // the rest of THA
        insn(0x63, 2, 0, 38, 0), // TPA
        insn(0xb7, 1, 0, 0, device.cast_signed()),
        insn(0xb7, 2, 0, 0, 0),
        insn(0x85, 0, 0, 0, BPF_REDIRECT),
        EXIT,
        insn(0xb7, 0, 0, 0, XDP_DROP),
        EXIT,
    ]);
    Program::load(Kind::Xdp, &code)
}
