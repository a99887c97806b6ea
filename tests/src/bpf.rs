//! Programs of a few instructions, and `BPF_PROG_TEST_RUN`.

use std::{
    io,
    os::fd::{AsFd, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd},
};

use nix::{
    errno::Errno,
    net::if_::if_nametoindex,
    sys::resource::{RLIM_INFINITY, Resource, setrlimit},
};

use crate::lab::Namespace;

const BPF_PROG_LOAD: libc::c_long = 5;
const BPF_PROG_TEST_RUN: libc::c_long = 10;
const BPF_PROG_QUERY: libc::c_long = 16;
const BPF_LINK_CREATE: libc::c_long = 28;
const BPF_XDP: u32 = 37;
const BPF_TCX_EGRESS: u32 = 47;
const BPF_TCX_INGRESS: u32 = 46;
const XDP_FLAGS_DRV_MODE: u32 = 1 << 2;
const BPF_F_XDP_HAS_FRAGS: u32 = 1 << 5;
const BPF_F_TEST_XDP_LIVE_FRAMES: u32 = 1 << 1;
/// The helper's number.
pub const BPF_REDIRECT: i32 = 23;

/// `BPF_PROG_TYPE_*`.
#[derive(Clone, Copy)]
#[repr(u32)]
pub enum Kind {
    /// `BPF_PROG_TYPE_SCHED_CLS`
    Tc = 3,
    /// `BPF_PROG_TYPE_XDP`
    Xdp = 6,
}

/// Of XDP: nobody gets the frame.
pub const XDP_DROP: i32 = 1;
/// Of XDP: the kernel gets it.
pub const XDP_PASS: i32 = 2;
/// XDP_TX.
pub const XDP_TX: i32 = 3;
/// Of TC: `TC_ACT_UNSPEC`, the next program decides.
pub const TC_NEXT: i32 = -1;

/// The first fields of `union bpf_attr` for `BPF_PROG_LOAD`.
#[repr(C)]
#[derive(Default)]
struct Load {
    kind: u32,
    length: u32,
    program: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    version: u32,
    flags: u32,
    name: [u8; 16],
}

/// The first fields of `union bpf_attr` for `BPF_PROG_QUERY`.
#[repr(C)]
#[derive(Default)]
struct Query {
    device: u32,
    hook: u32,
    flags: u32,
    attach_flags: u32,
    programs: u64,
    count: u32,
    zero: u32,
}

/// The first fields of `union bpf_attr` for `BPF_LINK_CREATE`.
#[repr(C)]
struct Link {
    program: RawFd,
    device: u32,
    hook: u32,
    flags: u32,
}

/// The fields of `union bpf_attr` for `BPF_PROG_TEST_RUN`.
#[repr(C)]
#[derive(Default)]
struct Run {
    program: RawFd,
    returned: u32,
    data_len: u32,
    data_out_len: u32,
    data: u64,
    data_out: u64,
    repeat: u32,
    duration: u32,
    context_len: u32,
    context_out_len: u32,
    context: u64,
    context_out: u64,
    flags: u32,
    cpu: u32,
    batch: u32,
    zero: u32,
}

/// A program in the kernel.
#[derive(Debug)]
pub struct Program(OwnedFd);

impl Program {
    /// The program that does nothing but return this.
    pub fn returning(kind: Kind, code: i32) -> Self {
        Self::load(kind, &[insn(0xb7, 0, 0, 0, code), EXIT])
    }

    /// The XDP program that sends every frame out of the device with this interface index.
    pub fn redirecting(device: u32) -> Self {
        let code = [
            insn(0xb7, 1, 0, 0, device.cast_signed()),
            insn(0xb7, 2, 0, 0, 0),
            insn(0x85, 0, 0, 0, BPF_REDIRECT),
            EXIT,
        ];
        Self::load(Kind::Xdp, &code)
    }

    /// Loads these instructions.
    pub fn load(kind: Kind, code: &[u64]) -> Self {
        Self::try_load(kind, code, 0).expect("load a program")
    }

    /// Loads XDP for frames in several buffers.
    pub(crate) fn try_load_frags(code: &[u64]) -> io::Result<Self> {
        Self::try_load(Kind::Xdp, code, BPF_F_XDP_HAS_FRAGS)
    }

    fn try_load(kind: Kind, code: &[u64], flags: u32) -> io::Result<Self> {
        // Before Linux 5.11 a program counts as memory that is locked.
        // Where that is refused, loading tells whether it was needed.
        let _ = setrlimit(Resource::RLIMIT_MEMLOCK, RLIM_INFINITY, RLIM_INFINITY);
        let mut load = Load {
            kind: kind as u32,
            length: code.len().try_into().unwrap(),
            program: code.as_ptr().addr() as u64,
            license: c"GPL".as_ptr().addr() as u64,
            flags,
            name: *b"somebody_elses\0\0",
            ..Load::default()
        };
        Ok(Self(descriptor(bpf(BPF_PROG_LOAD, &mut load)?)))
    }

    /// Attaches it as XDP in the driver, until what is returned is dropped.
    pub fn attach(&self, namespace: &Namespace, device: &str) -> OwnedFd {
        self.attach_at(BPF_XDP, XDP_FLAGS_DRV_MODE, namespace, device)
    }

    /// Attaches it by TCX to what is sent, until what is returned is dropped.
    pub fn attach_tcx(&self, namespace: &Namespace, device: &str) -> OwnedFd {
        self.attach_at(BPF_TCX_EGRESS, 0, namespace, device)
    }

    fn attach_at(&self, hook: u32, flags: u32, namespace: &Namespace, device: &str) -> OwnedFd {
        let mut link = Link {
            program: self.0.as_raw_fd(),
            device: namespace.enter(|| if_nametoindex(device)).unwrap(),
            hook,
            flags,
        };
        let made = namespace.enter(|| bpf(BPF_LINK_CREATE, &mut link));
        descriptor(made.unwrap_or_else(|error| panic!("hook {hook} of {device}: {error}")))
    }

    /// Sends a frame through it so many times, as a network card would bring it
    /// (`bpf_test_run_xdp_live` in `net/bpf/test_run.c`, Linux 5.18).
    pub fn live(&self, frame: &[u8], times: u32) {
        self.try_live(frame, times).expect("live frames");
    }

    pub(crate) fn try_live(&self, frame: &[u8], times: u32) -> io::Result<()> {
        let mut run = Run {
            program: self.0.as_raw_fd(),
            data_len: frame.len().try_into().unwrap(),
            data: frame.as_ptr().addr() as u64,
            repeat: times,
            flags: BPF_F_TEST_XDP_LIVE_FRAMES,
            batch: 64,
            ..Run::default()
        };
        bpf(BPF_PROG_TEST_RUN, &mut run).map(drop)
    }
}

impl AsFd for Program {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Runs a program so often on this frame, with this context; what all runs take.
pub fn test_run(
    program: BorrowedFd<'_>,
    frame: &[u8],
    context: &[u8],
    repeat: u32,
) -> std::time::Duration {
    let started = std::time::Instant::now();
    try_test_run(&program, frame, context, repeat).expect("test run");
    // The kernel tells whole nanoseconds of one run only; beside so many the system call is nothing.
    started.elapsed()
}

/// As [`test_run`], with a new frame for each run; how long the kernel says that they took, which is
/// more than in a row: a run is no more than its clock can tell.
pub fn test_runs(
    program: BorrowedFd<'_>,
    frame: &[u8],
    context: &[u8],
    runs: u32,
) -> std::time::Duration {
    let run = |_| try_test_run(&program, frame, context, 1).expect("test run");
    (0..runs).map(run).sum()
}

/// How long one of the runs took, as the kernel says.
pub(crate) fn try_test_run(
    program: &impl AsFd,
    frame: &[u8],
    context: &[u8],
    repeat: u32,
) -> io::Result<std::time::Duration> {
    let mut run = Run {
        program: program.as_fd().as_raw_fd(),
        data_len: frame.len().try_into().unwrap(),
        data: frame.as_ptr().addr() as u64,
        repeat,
        context_len: context.len().try_into().unwrap(),
        // The kernel refuses a place without a length.
        context: if context.is_empty() {
            0
        } else {
            context.as_ptr().addr() as u64
        },
        ..Run::default()
    };
    bpf(BPF_PROG_TEST_RUN, &mut run)?;
    Ok(std::time::Duration::from_nanos(run.duration.into()))
}

/// Asks what is attached to the loopback device by TCX.
pub(crate) fn query_tcx() -> io::Result<()> {
    let mut query = Query {
        // LOOPBACK_IFINDEX, `include/net/flow.h`
        device: 1,
        hook: BPF_TCX_INGRESS,
        ..Query::default()
    };
    bpf(BPF_PROG_QUERY, &mut query).map(drop)
}

/// The instruction that ends a program.
pub const EXIT: u64 = 0x95;

/// One instruction, as `struct bpf_insn` lies in memory.
pub fn insn(code: u8, to: u8, from: u8, offset: i16, immediate: i32) -> u64 {
    let [low, high] = offset.to_ne_bytes();
    let [a, b, c, d] = immediate.to_ne_bytes();
    let registers = if cfg!(target_endian = "big") {
        to << 4 | from
    } else {
        from << 4 | to
    };
    u64::from_ne_bytes([code, registers, low, high, a, b, c, d])
}

fn descriptor(made: RawFd) -> OwnedFd {
    // SAFETY: the kernel has just made the descriptor and it has no other owner.
    unsafe { OwnedFd::from_raw_fd(made) }
}

fn bpf<T>(command: libc::c_long, attributes: &mut T) -> io::Result<RawFd> {
    // SAFETY: the pointer and the size are those of live attributes, and what these point to lives
    // as long; the kernel takes all fields behind them as zero, and writes to these fields alone.
    let made =
        unsafe { libc::syscall(libc::SYS_bpf, command, &raw mut *attributes, size_of::<T>()) };
    Ok(RawFd::try_from(Errno::result(made)?).unwrap())
}
