//! Whole frames on a device, past the kernel's protocols.

use std::{
    io, mem,
    os::fd::{AsFd as _, AsRawFd as _, FromRawFd as _, OwnedFd},
    ptr,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    net::if_::if_nametoindex,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};

use super::{Namespace, patience};

/// Where in a frame a tag stands: behind the two addresses.
const TAG_AT: usize = 12;

/// A packet socket on one device. It sees what is received there, not what is sent.
#[derive(Debug)]
pub struct Port {
    socket: OwnedFd,
}

impl Port {
    /// Opens a socket on `device` in `namespace`.
    pub fn open(namespace: &Namespace, device: &str) -> Self {
        let opened = namespace.enter(|| open(device));
        let socket =
            opened.unwrap_or_else(|error| panic!("{}: {device}: {error}", namespace.name()));
        Self { socket }
    }

    /// Sends one whole frame, as it is.
    pub fn send(&self, frame: &[u8]) {
        self.try_send(frame)
            .unwrap_or_else(|error| panic!("send of {} bytes: {error}", frame.len()));
    }

    /// As [`Port::send`], for who goes on where the device's queue is full.
    pub fn try_send(&self, frame: &[u8]) -> io::Result<()> {
        // SAFETY: the pointer and the length are those of one live slice.
        let sent = unsafe {
            libc::send(
                self.socket.as_raw_fd(),
                frame.as_ptr().cast(),
                frame.len(),
                0,
            )
        };
        usize::try_from(sent)
            .map(|_| ())
            .map_err(|_| io::Error::last_os_error())
    }

    /// The next frame, or `None` where none comes within `timeout`.
    pub fn receive(&self, timeout: Duration) -> Option<Vec<u8>> {
        let deadline = Instant::now() + timeout;
        loop {
            if let Some(frame) = self.take() {
                return Some(frame);
            }
            let left = deadline.checked_duration_since(Instant::now())?;
            let timeout = PollTimeout::try_from(left + Duration::from_millis(1)).unwrap();
            let mut wanted = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
            match poll(&mut wanted, timeout) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(error) => panic!("poll: {error}"),
            }
        }
    }

    /// All frames until one for which `last` holds, which is left out.
    ///
    /// # Panics
    ///
    /// Where that one does not come.
    pub fn until(&self, last: impl Fn(&[u8]) -> bool) -> Vec<Vec<u8>> {
        let mut seen = Vec::new();
        loop {
            let Some(frame) = self.receive(patience()) else {
                panic!("the frame that was waited for did not come, but {seen:02x?}");
            };
            if last(&frame) {
                return seen;
            }
            seen.push(frame);
        }
    }

    /// What is there now, without waiting.
    pub fn drain(&self) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| self.take()).collect()
    }

    /// What comes within `duration`.
    pub fn collect(&self, duration: Duration) -> Vec<Vec<u8>> {
        let deadline = Instant::now() + duration;
        std::iter::from_fn(|| self.receive(deadline.checked_duration_since(Instant::now())?))
            .collect()
    }

    /// How many frames came since the last time that found no room to wait in.
    pub fn lost(&self) -> u32 {
        let mut told = libc::tpacket_stats {
            tp_packets: 0,
            tp_drops: 0,
        };
        let mut length = u32::try_from(size_of_val(&told)).unwrap();
        // SAFETY: the pointers are those of live numbers, and the length is theirs.
        let done = unsafe {
            libc::getsockopt(
                self.socket.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_STATISTICS,
                (&raw mut told).cast(),
                &raw mut length,
            )
        };
        Errno::result(done).unwrap();
        told.tp_drops
    }

    /// The next frame, if it is there already, with the tag that the kernel took out of it.
    fn take(&self) -> Option<Vec<u8>> {
        let mut bytes = [0_u8; 2048];
        // Aligned as control messages must be.
        let mut control = [0_u64; 16];
        let mut piece = libc::iovec {
            iov_base: bytes.as_mut_ptr().cast(),
            iov_len: bytes.len(),
        };
        // SAFETY: all zero is a message header without anything.
        let mut message: libc::msghdr = unsafe { mem::zeroed() };
        message.msg_iov = &raw mut piece;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = size_of_val(&control);
        // SAFETY: the header names two buffers that are alive, with their lengths.
        let length = unsafe {
            libc::recvmsg(
                self.socket.as_raw_fd(),
                &raw mut message,
                libc::MSG_DONTWAIT,
            )
        };
        let Ok(length) = usize::try_from(length) else {
            match Errno::last() {
                Errno::EAGAIN | Errno::EINTR => return None,
                error => panic!("recvmsg: {error}"),
            }
        };
        let mut frame = bytes.get(..length).unwrap().to_vec();
        if let Some(tag) = stripped_tag(&message) {
            frame.splice(TAG_AT..TAG_AT, tag);
        }
        Some(frame)
    }
}

fn open(device: &str) -> io::Result<OwnedFd> {
    let all = u16::try_from(libc::ETH_P_ALL).unwrap().to_be();
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
    // No protocol yet: else it would see every device until it is bound.
    // SAFETY: the call takes plain numbers.
    let socket = Errno::result(unsafe { libc::socket(libc::AF_PACKET, kind, 0) })?;
    // SAFETY: the descriptor was just opened and has no other owner.
    let socket = unsafe { OwnedFd::from_raw_fd(socket) };
    let on: libc::c_int = 1;
    let room: libc::c_int = 32 << 20;
    set(&socket, libc::SOL_PACKET, libc::PACKET_IGNORE_OUTGOING, on)?;
    set(&socket, libc::SOL_PACKET, libc::PACKET_AUXDATA, on)?;
    set(&socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, room)?;
    // SAFETY: all zero is an address without anything.
    let mut address: libc::sockaddr_ll = unsafe { mem::zeroed() };
    address.sll_family = u16::try_from(libc::AF_PACKET).unwrap();
    address.sll_protocol = all;
    address.sll_ifindex = i32::try_from(if_nametoindex(device)?).unwrap();
    let length = u32::try_from(size_of_val(&address)).unwrap();
    // SAFETY: the pointer and the length are those of one live address.
    let bound = unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), length) };
    Errno::result(bound)?;
    Ok(socket)
}

fn set(socket: &OwnedFd, level: i32, option: i32, value: libc::c_int) -> io::Result<()> {
    let length = u32::try_from(size_of_val(&value)).unwrap();
    // SAFETY: the pointer and the length are those of one live number.
    let done = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            (&raw const value).cast(),
            length,
        )
    };
    Errno::result(done)?;
    Ok(())
}

/// The bytes of the tag that the kernel keeps beside a frame.
fn stripped_tag(message: &libc::msghdr) -> Option<[u8; 4]> {
    // SAFETY: the kernel has filled the header in.
    let mut header = unsafe { libc::CMSG_FIRSTHDR(message) };
    while !header.is_null() {
        // SAFETY: not null, so it points to a whole header inside the control buffer.
        let libc::cmsghdr {
            cmsg_level,
            cmsg_type,
            ..
        } = unsafe { *header };
        if cmsg_level == libc::SOL_PACKET && cmsg_type == libc::PACKET_AUXDATA {
            // SAFETY: the header is a whole one, and data follows it.
            let data = unsafe { libc::CMSG_DATA(header) };
            // SAFETY: the data of this kind of message is this struct; it may lie at any address.
            let aux: libc::tpacket_auxdata = unsafe { ptr::read_unaligned(data.cast()) };
            if aux.tp_status & libc::TP_STATUS_VLAN_VALID == 0 {
                return None;
            }
            let [a, b] = aux.tp_vlan_tpid.to_be_bytes();
            let [c, d] = aux.tp_vlan_tci.to_be_bytes();
            return Some([a, b, c, d]);
        }
        // SAFETY: both belong to the message that the kernel has filled in.
        header = unsafe { libc::CMSG_NXTHDR(message, header) };
    }
    None
}
