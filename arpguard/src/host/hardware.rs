//! What a device and its driver say of themselves, asked by ioctl.
#![expect(unsafe_code, reason = "an ioctl")]

use std::{
    ffi::CStr,
    mem,
    os::fd::{AsFd, AsRawFd as _, OwnedFd},
};

use nix::{
    errno::Errno,
    sys::socket::{AddressFamily, SockFlag, SockType, socket},
};

/// `ETHTOOL_GDRVINFO` and `ETHTOOL_GFLAGS` in `include/uapi/linux/ethtool.h`.
const GET_DRIVER: u32 = 0x03;
const GET_FLAGS: u32 = 0x25;
/// `ETH_FLAG_RXVLAN`
const RXVLAN: u32 = 1 << 8;

/// What is known of a device's driver.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hardware {
    /// The driver's name; empty where it does not tell.
    pub driver: String,
    /// Whether VLAN tags are taken out of received frames before XDP sees them.
    pub strips_vlan: bool,
    /// The largest IP packet that it takes, in bytes; 0 where it does not tell.
    pub mtu: u32,
}

/// The beginning of `struct ethtool_drvinfo`, and room for its end.
#[repr(C)]
struct Driver {
    command: u32,
    name: [u8; 32],
    rest: [u8; 160],
}

/// `struct ethtool_value`
#[repr(C)]
struct Value {
    command: u32,
    data: u32,
}

impl Hardware {
    /// Asks a device of this process's network namespace. A driver that does not know a question
    /// leaves its answer empty.
    ///
    /// # Errors
    /// Where the kernel gives no socket to ask by.
    pub fn of(device: &str) -> nix::Result<Self> {
        let kind = (SockType::Datagram, SockFlag::SOCK_CLOEXEC);
        let socket = socket(AddressFamily::Inet, kind.0, kind.1, None)?;
        let mut driver = Driver {
            command: GET_DRIVER,
            name: [0; 32],
            rest: [0; 160],
        };
        let mut flags = Value {
            command: GET_FLAGS,
            data: 0,
        };
        let mut hardware = Self::default();
        if ask(&socket, device, &mut driver).is_ok()
            && let Ok(name) = CStr::from_bytes_until_nul(&driver.name)
        {
            hardware.driver = name.to_string_lossy().into_owned();
        }
        if ask(&socket, device, &mut flags).is_ok() {
            hardware.strips_vlan = flags.data & RXVLAN != 0;
        }
        hardware.mtu = mtu(&socket, device).unwrap_or_default();
        Ok(hardware)
    }
}

fn mtu(socket: &OwnedFd, device: &str) -> Option<u32> {
    let mut request = request(device);
    let descriptor = socket.as_fd().as_raw_fd();
    // SAFETY: the kernel reads the request and writes to it, and it outlives the call.
    let result = unsafe { libc::ioctl(descriptor, libc::SIOCGIFMTU, &raw mut request) };
    Errno::result(result).ok()?;
    // SAFETY: this command has written a number there.
    u32::try_from(unsafe { request.ifr_ifru.ifru_mtu }).ok()
}

/// A request about a device, with nothing else in it.
fn request(device: &str) -> libc::ifreq {
    // SAFETY: all zero is a request without a name and a pointer.
    let mut request: libc::ifreq = unsafe { mem::zeroed() };
    // The last byte stays zero.
    let room = request.ifr_name.len() - 1;
    for (to, from) in request.ifr_name.iter_mut().take(room).zip(device.bytes()) {
        *to = from.cast_signed();
    }
    request
}

/// Asks a question, which the answer is written over. It is a struct of ethtool's, as long as the
/// command at its beginning says.
fn ask<T>(socket: &OwnedFd, device: &str, question: &mut T) -> nix::Result<()> {
    let mut request = request(device);
    request.ifr_ifru.ifru_data = (&raw mut *question).cast();
    let descriptor = socket.as_fd().as_raw_fd();
    // SAFETY: the kernel reads the request, and reads and writes what it points to, which outlives
    // the call and is as long as its command has it.
    let result = unsafe { libc::ioctl(descriptor, libc::SIOCETHTOOL, &raw mut request) };
    Errno::result(result).map(drop)
}
