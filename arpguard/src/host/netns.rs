//! Network namespaces: entering one, and telling them apart.
#![expect(unsafe_code, reason = "a socket option that nix has not")]

use std::{
    fs::File,
    os::{
        fd::{AsFd as _, AsRawFd as _, BorrowedFd},
        unix::fs::MetadataExt as _,
    },
    path::{Path, PathBuf},
};

use nix::{
    errno::Errno,
    sched::{CloneFlags, setns},
    sys::socket::{AddressFamily, SockFlag, SockType, socket},
};

use crate::{
    error::{Error, Result},
    trust,
};

/// Where `ip netns` keeps the namespaces that have a name.
pub(super) const NAMED: &str = "/run/netns";
/// That of the calling thread.
pub(super) const OWN: &str = "/proc/thread-self/ns/net";

/// Moves the calling thread into a namespace: a name as `ip netns` knows it, or a path.
///
/// To be called before the process has other threads, so that all of them are there.
///
/// # Errors
/// Where there is no such namespace, or the caller may not enter it (`CAP_SYS_ADMIN`).
pub fn enter(namespace: &str) -> Result<()> {
    let path = if namespace.contains('/') {
        PathBuf::from(namespace)
    } else {
        Path::new(NAMED).join(namespace)
    };
    let tried = "enter the network namespace";
    if matches!(namespace, "" | "." | "..") {
        return Err(Error::new(tried, format!("{namespace:?}"), "it is no name")
            .advise("`ip netns` lists those with names"));
    }
    // Who can put a link there decides where this command works.
    let file = trust::find(tried, &path)?.ok_or_else(|| {
        Error::from_cause(tried, path.display(), &Errno::ENOENT)
            .advise("`ip netns` lists those with names")
    })?;
    setns(file.as_fd(), CloneFlags::CLONE_NEWNET).map_err(|cause| match cause {
        Errno::EINVAL => Error::new(tried, path.display(), "it is no network namespace")
            .advise("`ip netns` lists those with names"),
        cause => Error::from_cause(tried, path.display(), &cause),
    })
}

/// A name for the namespace of the calling thread that no other has had since the machine started.
///
/// Before Linux 5.14 there is no such number. The inode's is used then, which a later namespace may
/// get again when this one is gone.
///
/// # Errors
/// Where the kernel gives no socket.
pub fn identity() -> Result<String> {
    let tried = |cause: &(dyn std::error::Error + 'static)| {
        Error::from_cause("identify", "this network namespace", cause)
    };
    let socket = socket(
        AddressFamily::Inet,
        SockType::Datagram,
        SockFlag::SOCK_CLOEXEC,
        None,
    )
    .map_err(|cause| tried(&cause))?;
    if let Some(cookie) = cookie(socket.as_fd()) {
        return Ok(format!("net-{cookie}"));
    }
    let file = File::open(OWN).map_err(|cause| tried(&cause))?;
    let inode = file.metadata().map_err(|cause| tried(&cause))?.ino();
    Ok(format!("net-inode-{inode}"))
}

/// The namespace's own number (`SO_NETNS_COOKIE`, Linux 5.14).
fn cookie(socket: BorrowedFd<'_>) -> Option<u64> {
    let mut cookie = 0_u64;
    let mut length = size_of_val(&cookie) as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes to `cookie`, which is that long, and the
    // length it wrote to `length`; both outlive the call.
    let failed = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_NETNS_COOKIE,
            (&raw mut cookie).cast(),
            &raw mut length,
        )
    };
    (failed == 0).then_some(cookie)
}
