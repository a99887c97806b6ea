//! A packet socket that hears the ARP of one device, and sends on it.
#![expect(
    unsafe_code,
    reason = "the address of a packet socket is made of bytes"
)]

use std::{
    cell::Cell,
    mem,
    os::fd::{AsFd as _, AsRawFd as _, OwnedFd},
    time::{Duration, Instant},
};

use arpguard_common::{
    frame::{ETHERTYPE_ARP, find_arp},
    wire::{Arp, Mac},
};
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::socket::{
        AddressFamily, LinkAddr, MsgFlags, SetSockOpt as _, SockFlag, SockType, SockaddrLike as _,
        bind, recvfrom, sendto, setsockopt, socket, sockopt,
    },
};

use super::{answers::Heard, packet::Packet};
use crate::{
    device::Device,
    error::{Error, Result},
};

/// Longer than any ARP packet for IPv4 behind all tags that are looked behind.
const LONGEST: usize = 128;
/// Bytes of answers that may wait, as far as `net.core.rmem_max` allows.
const ROOM: usize = 4 << 20;
/// How often, and how many times, a frame is offered to a queue that is full.
const PAUSE: Duration = Duration::from_millis(5);
const OFFERS: u32 = 20;
/// The longest wait before a signal is looked for.
const LONGEST_WAIT: Duration = Duration::from_millis(100);

const RAW: &str = "run it as root, or with CAP_NET_RAW";

mod option {
    use nix::{libc, setsockopt_impl, sys::socket::sockopt::SetBool};

    /// Past the queue of the device, and the programs before it.
    #[derive(Clone, Copy, Debug)]
    pub(super) struct QdiscBypass;

    setsockopt_impl!(
        QdiscBypass,
        libc::SOL_PACKET,
        libc::PACKET_QDISC_BYPASS,
        bool,
        SetBool
    );
}

/// What was taken from a socket.
pub(super) enum Taken {
    /// There was nothing.
    Nothing,
    /// A frame that is not for this host, or no ARP for IPv4 over Ethernet.
    Other,
    /// ARP.
    Arp(Heard),
}

/// A packet socket on one device.
///
/// As it is bound to ARP's EtherType it gets nothing else, nor what this host sends, and it gets
/// frames as the kernel's own ARP does: after the ingress hooks, and without priority tags, which
/// the kernel has stripped by then (`__netif_receive_skb_core` in `net/core/dev.c`).
#[derive(Debug)]
pub(super) struct Socket {
    fd: OwnedFd,
    name: String,
    index: u32,
    own: Option<Mac>,
    bypasses: Cell<bool>,
}

impl Socket {
    /// # Errors
    /// Without `CAP_NET_RAW`, or where the device has gone.
    pub(super) fn open(device: &Device) -> Result<Self> {
        let tried = |cause: Errno| cannot_open(device, cause);
        let opened = Self::deaf(device)?;
        setsockopt(&opened.fd, sockopt::RcvBuf, &ROOM).map_err(tried)?;
        let address = address(device.index, ETHERTYPE_ARP).ok_or(Errno::EINVAL);
        bind(opened.fd.as_raw_fd(), &address.map_err(tried)?).map_err(tried)?;
        Ok(opened)
    }

    /// One that hears nothing, for who only sends.
    ///
    /// # Errors
    /// Without `CAP_NET_RAW`.
    pub(super) fn deaf(device: &Device) -> Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        // No protocol: with one it would hear every device until it is bound.
        let fd = socket(AddressFamily::Packet, SockType::Raw, flags, None)
            .map_err(|cause| cannot_open(device, cause))?;
        Ok(Self {
            fd,
            name: device.name.clone(),
            index: device.index,
            own: device.mac,
            bypasses: Cell::new(false),
        })
    }

    /// Sends a packet.
    ///
    /// One with a sender goes the way of all frames, so that programs on the egress hook, arpguard's
    /// too, have their say. A probe (SPA = 0) tells nobody anything, and goes past them: arpguard's
    /// would drop it for an address that this host hides, and there would be no asking.
    ///
    /// # Errors
    /// Where the device takes no frames, or a program on the egress hook drops this one.
    pub(super) fn send(&self, packet: &Packet) -> Result<()> {
        for _ in 0..OFFERS {
            if self.offer(packet)? {
                return Ok(());
            }
            std::thread::sleep(PAUSE);
        }
        let why = "its queue is full, or a program on its egress hook drops this ARP";
        Err(Error::new("send ARP", &self.name, why))
    }

    /// As [`Socket::send`], once: whether the device has taken it. It has not where its queue is
    /// full, or a program on the egress hook drops this ARP.
    ///
    /// # Errors
    /// Where the device takes no frames.
    pub(super) fn offer(&self, packet: &Packet) -> Result<bool> {
        self.bypass(packet.spa.is_unspecified())
            .map_err(|cause| self.failed("send", &cause))?;
        let to = address(self.index, packet.ethertype())
            .ok_or_else(|| self.failed("send", &Errno::EINVAL))?;
        match sendto(self.fd.as_raw_fd(), &packet.bytes(), &to, MsgFlags::empty()) {
            Ok(_) => Ok(true),
            // What the queue, or a program on the egress hook, has dropped is told as ENOBUFS
            // (`net_xmit_errno` in `include/linux/netdevice.h`).
            Err(Errno::ENOBUFS | Errno::EAGAIN | Errno::EINTR) => Ok(false),
            Err(cause) => Err(self.failed("send", &cause)),
        }
    }

    fn bypass(&self, wanted: bool) -> nix::Result<()> {
        if self.bypasses.replace(wanted) == wanted {
            return Ok(());
        }
        option::QdiscBypass.set(&self.fd, &wanted)
    }

    /// Takes the next frame, without waiting.
    ///
    /// # Errors
    /// Where the device has gone down.
    pub(super) fn take(&self) -> Result<Taken> {
        let mut bytes = [0; LONGEST];
        let (length, from) = match recvfrom::<LinkAddr>(self.fd.as_raw_fd(), &mut bytes) {
            Ok(taken) => taken,
            Err(Errno::EAGAIN | Errno::EINTR) => return Ok(Taken::Nothing),
            Err(cause) => return Err(self.failed("hear", &cause)),
        };
        let to_others = from.is_none_or(|from| {
            // A frame of a VLAN without a device here is one of these, too.
            [libc::PACKET_OTHERHOST, libc::PACKET_OUTGOING].contains(&from.pkttype())
        });
        let heard = bytes.get(..length).and_then(parse).filter(|heard| {
            // A loop in the network brings own frames back.
            !to_others && Some(heard.source) != self.own
        });
        Ok(heard.map_or(Taken::Other, Taken::Arp))
    }

    /// Waits until there is something to take, a signal comes, or `deadline` has passed; never
    /// long, so that the caller can look for both.
    pub(super) fn wait(&self, deadline: Instant) {
        let left = deadline.saturating_duration_since(Instant::now());
        // Rounded up: else the last part of a millisecond would be spent in a busy loop.
        let left = left.min(LONGEST_WAIT) + Duration::from_micros(999);
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
        let mut wanted = [PollFd::new(self.fd.as_fd(), PollFlags::POLLIN)];
        // What fails here fails again, and is told, where something is taken.
        let _: nix::Result<i32> = poll(&mut wanted, timeout);
    }

    fn failed(&self, tried: &str, cause: &Errno) -> Error {
        Error::from_cause(format!("{tried} ARP"), &self.name, cause)
    }
}

fn cannot_open(device: &Device, cause: Errno) -> Error {
    let error = Error::new("open a packet socket", &device.name, cause.desc());
    match cause {
        Errno::EPERM => error.advise(RAW),
        _ => error,
    }
}

fn parse(bytes: &[u8]) -> Option<Heard> {
    let place = find_arp(bytes)?;
    let arp = Arp::parse(bytes.get(place.at..)?.first_chunk()?)?;
    let source = Mac(*bytes.get(6..)?.first_chunk()?);
    (!place.vlan).then_some(Heard { arp, source })
}

/// Frames of an EtherType (host byte order) on the device with an interface index.
fn address(index: u32, ethertype: u16) -> Option<LinkAddr> {
    // SAFETY: all zero is an address without anything.
    let mut address: libc::sockaddr_ll = unsafe { mem::zeroed() };
    address.sll_family = u16::try_from(libc::AF_PACKET).ok()?;
    address.sll_protocol = ethertype.to_be();
    address.sll_ifindex = i32::try_from(index).ok()?;
    let length = libc::socklen_t::try_from(size_of_val(&address)).ok();
    // SAFETY: it points to one live address of the family that it names, as long as is said.
    unsafe { LinkAddr::from_raw((&raw const address).cast(), length) }
}
