//! Pinned links, and taking them off at once.
//!
//! A link whose pin is removed lives until the kernel has cleaned up, some time later; until then
//! its hook is taken. `BPF_LINK_DETACH` (Linux 5.9) takes it off the device before it returns, and
//! aya has no call for it.

use std::{
    ffi::CString,
    fs, io,
    os::{
        fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd},
        unix::ffi::OsStrExt as _,
    },
    path::Path,
};

use aya::programs::links::FdLink;
use aya_obj::generated::bpf_cmd;
use nix::errno::Errno;

use super::bpffs::Pins;
use crate::error::{Error, Result};

/// `bpf_attr` for `BPF_OBJ_GET`, as far as it is used.
#[repr(C)]
struct Get {
    pathname: u64,
    fd: u32,
    flags: u32,
}

/// `bpf_attr` for `BPF_LINK_DETACH`.
#[repr(C)]
struct Detach {
    link: u32,
}

/// Pins a link, in place of one whose device is gone, should there be one.
pub(super) fn pin(pins: &Pins, device: u32, hook: &str, link: FdLink) -> Result<()> {
    detach(pins, device, hook)?;
    let path = pins.link(device, hook);
    link.pin(&path)
        .map_err(|cause| Error::from_cause("pin", path.display(), &cause))?;
    Ok(())
}

/// Detaches a pinned link and removes its pin; nothing where there is none.
pub(super) fn detach(pins: &Pins, device: u32, hook: &str) -> Result<()> {
    let path = pins.link(device, hook);
    match open(&path)
        .and_then(|link| take_off(&link))
        .and_then(|()| fs::remove_file(&path))
    {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
            Err(Error::from_cause("detach", path.display(), &cause))
        }
        _ => Ok(()),
    }
}

fn open(path: &Path) -> io::Result<OwnedFd> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let attributes = Get {
        pathname: path.as_ptr() as u64,
        fd: 0,
        flags: 0,
    };
    let fd = bpf(bpf_cmd::BPF_OBJ_GET, &attributes)?;
    // SAFETY: the kernel has just opened it for this process, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn take_off(link: &OwnedFd) -> io::Result<()> {
    let attributes = Detach {
        link: link.as_raw_fd().cast_unsigned(),
    };
    bpf(bpf_cmd::BPF_LINK_DETACH, &attributes)?;
    Ok(())
}

fn bpf<T>(command: bpf_cmd, attributes: &T) -> io::Result<RawFd> {
    // SAFETY: the kernel reads `attributes` for as long as it is told that they are, and takes the
    // rest of bpf_attr to be zeros; what they point to outlives the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command as libc::c_long,
            &raw const *attributes,
            size_of::<T>(),
        )
    };
    Ok(Errno::result(result)? as RawFd)
}
