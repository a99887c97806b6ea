//! The least XDP program there is.

use std::{
    io,
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd},
};

use nix::{
    errno::Errno,
    net::if_::if_nametoindex,
    sys::resource::{RLIM_INFINITY, Resource, setrlimit},
};

use super::Namespace;

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
        let link = namespace.enter(|| {
            let program = load()?;
            let index = if_nametoindex(device)?;
            link(&program, index)
        });
        let link = link.unwrap_or_else(|error| panic!("XDP on {device}: {error}"));
        Self { _link: link }
    }
}

const BPF_PROG_LOAD: libc::c_long = 5;
const BPF_LINK_CREATE: libc::c_long = 28;
const BPF_PROG_TYPE_XDP: u32 = 6;
const BPF_XDP: u32 = 37;
const XDP_FLAGS_DRV_MODE: u32 = 1 << 2;

/// `r0 = XDP_PASS; exit`
const PROGRAM: [u64; 2] = [0x0000_0002_0000_00b7, 0x0000_0000_0000_0095];

/// The first fields of `union bpf_attr` for `BPF_PROG_LOAD`.
#[repr(C)]
struct Load {
    kind: u32,
    length: u32,
    program: u64,
    license: u64,
}

/// The first fields of `union bpf_attr` for `BPF_LINK_CREATE`.
#[repr(C)]
struct Link {
    program: RawFd,
    device: u32,
    hook: u32,
    flags: u32,
}

fn load() -> io::Result<OwnedFd> {
    // Before Linux 5.11 a program counts as memory that is locked. Later nothing comes of a refusal.
    let _ = setrlimit(Resource::RLIMIT_MEMLOCK, RLIM_INFINITY, RLIM_INFINITY);
    bpf(
        BPF_PROG_LOAD,
        &Load {
            kind: BPF_PROG_TYPE_XDP,
            length: 2,
            program: PROGRAM.as_ptr().addr() as u64,
            license: c"GPL".as_ptr().addr() as u64,
        },
    )
}

fn link(program: &OwnedFd, device: u32) -> io::Result<OwnedFd> {
    bpf(
        BPF_LINK_CREATE,
        &Link {
            program: program.as_raw_fd(),
            device,
            hook: BPF_XDP,
            flags: XDP_FLAGS_DRV_MODE,
        },
    )
}

fn bpf<T>(command: libc::c_long, attributes: &T) -> io::Result<OwnedFd> {
    // SAFETY: the pointer and the size are those of live attributes, and what these point to is
    // static; the kernel takes all fields behind them as zero.
    let made = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            &raw const *attributes,
            size_of::<T>(),
        )
    };
    let made = RawFd::try_from(Errno::result(made)?).unwrap();
    // SAFETY: the kernel has just made the descriptor and it has no other owner.
    Ok(unsafe { OwnedFd::from_raw_fd(made) })
}
