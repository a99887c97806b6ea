//! Frames as fast as a network card would bring them.

use std::{
    io,
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd},
};

use nix::{errno::Errno, net::if_::if_nametoindex};

use super::Namespace;

/// A generator that puts a frame on a wire: `BPF_PROG_TEST_RUN` with live frames, of a program that
/// redirects each to a veth device (`bpf_test_run_xdp_live` in `net/bpf/test_run.c`, Linux 5.18).
/// What it sends is received at the other end without ever having been an skb.
#[derive(Debug)]
pub struct Flood {
    program: OwnedFd,
}

const BPF_PROG_LOAD: libc::c_long = 5;
const BPF_PROG_TEST_RUN: libc::c_long = 10;
const BPF_PROG_TYPE_XDP: u32 = 6;
/// `BPF_F_TEST_XDP_LIVE_FRAMES`
const LIVE_FRAMES: u32 = 1 << 1;

/// The first fields of `union bpf_attr` for `BPF_PROG_LOAD`.
#[repr(C)]
struct Load {
    kind: u32,
    length: u32,
    program: u64,
    license: u64,
}

/// `BPF_PROG_TEST_RUN`
#[repr(C)]
#[derive(Default)]
struct Run {
    program: u32,
    result: u32,
    size_in: u32,
    size_out: u32,
    data_in: u64,
    data_out: u64,
    repeat: u32,
    duration: u32,
    context_size_in: u32,
    context_size_out: u32,
    context_in: u64,
    context_out: u64,
    flags: u32,
    cpu: u32,
    batch_size: u32,
    padding: u32,
}

impl Flood {
    /// One out of `device` of `namespace`.
    pub fn new(namespace: &Namespace, device: &str) -> Self {
        let program = namespace.enter(|| load(if_nametoindex(device)?));
        let program = program.unwrap_or_else(|error| panic!("flood {device}: {error}"));
        Self { program }
    }

    /// Sends the frame so many times.
    pub fn send(&self, namespace: &Namespace, frame: &[u8], times: u32) {
        let mut run = Run {
            program: self.program.as_raw_fd().cast_unsigned(),
            size_in: u32::try_from(frame.len()).unwrap(),
            data_in: frame.as_ptr().addr() as u64,
            repeat: times,
            flags: LIVE_FRAMES,
            ..Run::default()
        };
        let done = namespace.enter(|| bpf(BPF_PROG_TEST_RUN, &mut run));
        done.unwrap_or_else(|error| panic!("flood: {error}"));
    }
}

/// `r1 = device; r2 = 0; call bpf_redirect; exit`
fn load(device: u32) -> io::Result<OwnedFd> {
    let program = [
        0x0000_01b7 | u64::from(device) << 32,
        0x0000_02b7,
        0x0000_0085 | 23 << 32,
        0x0000_0095,
    ];
    let mut attributes = Load {
        kind: BPF_PROG_TYPE_XDP,
        length: u32::try_from(program.len()).unwrap(),
        program: program.as_ptr().addr() as u64,
        license: c"GPL".as_ptr().addr() as u64,
    };
    let fd = bpf(BPF_PROG_LOAD, &mut attributes)?;
    // SAFETY: the kernel has just made the descriptor and it has no other owner.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn bpf<T>(command: libc::c_long, attributes: &mut T) -> io::Result<RawFd> {
    // SAFETY: the pointer and the size are those of live attributes, and what these point to
    // outlives the call; the kernel takes all fields behind them as zero.
    let made =
        unsafe { libc::syscall(libc::SYS_bpf, command, &raw mut *attributes, size_of::<T>()) };
    Ok(RawFd::try_from(Errno::result(made)?).unwrap())
}
