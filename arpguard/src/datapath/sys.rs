//! The bpf system call, as far as aya has no call for it, or one that wants a privilege which the
//! kernel does not: attaching by descriptor, replacing, detaching at once, asking what is attached.
//!
//! The layouts are those of `union bpf_attr` in `include/uapi/linux/bpf.h`. What a command does not
//! name is zero, so a shorter one is enough.
#![expect(unsafe_code, reason = "the bpf system call")]

use std::{
    ffi::CString,
    fs, io,
    os::{
        fd::{AsFd, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd},
        unix::ffi::OsStrExt as _,
    },
    path::Path,
};

use aya_obj::generated::{bpf_attach_type, bpf_cmd, bpf_map_type};
use nix::errno::Errno;

use crate::fault;

/// `BPF_OBJ_PIN`, `BPF_OBJ_GET`
#[repr(C)]
struct Object {
    pathname: u64,
    fd: u32,
    flags: u32,
}

/// `BPF_LINK_CREATE`
#[repr(C)]
struct Create {
    program: u32,
    device: u32,
    attach_type: u32,
    flags: u32,
}

/// `BPF_LINK_UPDATE`
#[repr(C)]
struct Update {
    link: u32,
    program: u32,
}

/// `BPF_LINK_DETACH`
#[repr(C)]
struct Detach {
    link: u32,
}

/// `BPF_PROG_QUERY`. The kernel writes to it, up to the last field.
#[repr(C)]
#[derive(Default)]
struct Query {
    device: u32,
    attach_type: u32,
    flags: u32,
    attach_flags: u32,
    programs: u64,
    count: u32,
    reserved: u32,
    program_flags: u64,
    links: u64,
    link_flags: u64,
    revision: u64,
}

/// `BPF_MAP_CREATE`
#[repr(C)]
struct CreateMap {
    kind: u32,
    key_size: u32,
    value_size: u32,
    entries: u32,
    flags: u32,
    inner: u32,
}

/// `BPF_MAP_LOOKUP_ELEM`, `BPF_MAP_UPDATE_ELEM`
#[repr(C)]
struct Element {
    map: u32,
    pad: u32,
    key: u64,
    value: u64,
    flags: u64,
}

/// The beginning of `struct bpf_map_info`.
#[repr(C)]
#[derive(Default)]
struct MapInfo {
    kind: u32,
    id: u32,
    key_size: u32,
    value_size: u32,
}

/// `BPF_OBJ_GET_INFO_BY_FD`
#[repr(C)]
struct Info {
    fd: u32,
    length: u32,
    info: u64,
}

/// The beginning of `struct bpf_prog_info`.
#[repr(C)]
#[derive(Default)]
struct ProgramInfo {
    kind: u32,
    id: u32,
    tag: Tag,
}

/// What the kernel tells programs of the same instructions by (`BPF_TAG_SIZE`).
pub(super) type Tag = [u8; 8];

/// As many programs as a hook can have (`BPF_MPROG_MAX`).
const MOST: usize = 64;

/// Pins what a descriptor is of.
pub(super) fn pin(object: &impl AsFd, path: &Path) -> io::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut attributes = Object {
        pathname: path.as_ptr() as u64,
        fd: number(object),
        flags: 0,
    };
    fault::point("pin")?;
    bpf(bpf_cmd::BPF_OBJ_PIN, &mut attributes)?;
    Ok(())
}

/// What can be pinned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Map,
    Program,
    Link,
}

impl Kind {
    /// As the kernel names it in `/proc/PID/fd`, but for underscores, which only some kernels have in it.
    const fn name(self) -> &'static str {
        match self {
            Self::Map => "anon-inode:bpf-map",
            Self::Program => "anon-inode:bpf-prog",
            Self::Link => "anon-inode:bpf-link",
        }
    }

    /// Refuses what somebody else has put in place of what is of this kind.
    ///
    /// # Errors
    /// Where it is of another kind.
    pub(super) fn check(self, object: &impl AsFd) -> io::Result<()> {
        let path = format!("/proc/self/fd/{}", number(object));
        // Without /proc nobody can tell.
        match fs::read_link(path) {
            Ok(found) if found.to_string_lossy().replace('_', "-") != self.name() => {
                Err(NotOurs.into())
            }
            _ => Ok(()),
        }
    }
}

/// Why a pin is refused.
#[derive(Debug, thiserror::Error)]
#[error("arpguard has not pinned it; to begin anew: arpguard detach")]
pub(super) struct NotOurs;

impl From<NotOurs> for io::Error {
    fn from(cause: NotOurs) -> Self {
        Self::other(cause)
    }
}

/// Whether a pin was refused.
pub(super) fn is_not_ours(cause: &io::Error) -> bool {
    cause.get_ref().is_some_and(|cause| cause.is::<NotOurs>())
}

/// Opens what is pinned.
pub(super) fn open(path: &Path, kind: Kind) -> io::Result<OwnedFd> {
    let at = path;
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut attributes = Object {
        pathname: path.as_ptr() as u64,
        fd: 0,
        flags: 0,
    };
    let object = match bpf(bpf_cmd::BPF_OBJ_GET, &mut attributes) {
        Err(_) if at.is_dir() => return Err(NotOurs.into()),
        object => opened(object?)?,
    };
    kind.check(&object)?;
    Ok(object)
}

/// Opens what is pinned, if it is.
pub(super) fn find(path: &Path, kind: Kind) -> io::Result<Option<OwnedFd>> {
    match open(path, kind) {
        Ok(object) => Ok(Some(object)),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(cause),
    }
}

/// Removes a pin, if it is there.
pub(super) fn unpin(path: &Path) -> io::Result<()> {
    fault::point("unpin")?;
    match fs::remove_file(path) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(cause),
        _ => Ok(()),
    }
}

/// Attaches a program to a device. It is attached for as long as the link is open or pinned.
pub(super) fn attach(
    program: &impl AsFd,
    device: u32,
    attach_type: bpf_attach_type,
    flags: u32,
) -> io::Result<OwnedFd> {
    let mut attributes = Create {
        program: number(program),
        device,
        attach_type: attach_type as u32,
        flags,
    };
    fault::point(match attach_type {
        bpf_attach_type::BPF_XDP => "link/xdp",
        _ => "link/tcx",
    })?;
    opened(bpf(bpf_cmd::BPF_LINK_CREATE, &mut attributes)?)
}

/// Puts a program in place of a link's, without a moment at which there is none.
///
/// A link without a device has nothing to replace: its device has vanished, or a process was killed
/// after it had detached the link and before it removed the pin.
pub(super) fn replace(link: &impl AsFd, program: &impl AsFd) -> io::Result<()> {
    let mut attributes = Update {
        link: number(link),
        program: number(program),
    };
    fault::point("link/replace")?;
    match bpf(bpf_cmd::BPF_LINK_UPDATE, &mut attributes) {
        Err(cause) if cause.raw_os_error() != Some(libc::ENOLINK) => Err(cause),
        _ => Ok(()),
    }
}

/// Takes a link off its device (Linux 5.9) before it returns. A link that is merely closed lives
/// until the kernel has cleaned up, some time later, and its hook is taken until then.
pub(super) fn detach(link: &impl AsFd) -> io::Result<()> {
    let mut attributes = Detach { link: number(link) };
    fault::point("link/detach")?;
    bpf(bpf_cmd::BPF_LINK_DETACH, &mut attributes)?;
    Ok(())
}

/// The identifiers of the programs of a device's hook, in the order in which they run.
pub(super) fn attached(device: u32, attach_type: bpf_attach_type) -> io::Result<Vec<u32>> {
    let mut programs = vec![0_u32; MOST];
    let mut attributes = Query {
        device,
        attach_type: attach_type as u32,
        programs: programs.as_mut_ptr() as u64,
        count: MOST as u32,
        ..Query::default()
    };
    bpf(bpf_cmd::BPF_PROG_QUERY, &mut attributes)?;
    programs.truncate(attributes.count as usize);
    Ok(programs)
}

/// The identifier of a program, and its tag: a hash of its instructions, whatever maps they use.
pub(super) fn identify(program: &impl AsFd) -> io::Result<(u32, Tag)> {
    let info: ProgramInfo = ask(program)?;
    Ok((info.id, info.tag))
}

/// A map that names one device of this thread's network namespace, for as long as that is there.
pub(super) fn create_device_map(device: u32) -> io::Result<OwnedFd> {
    let map = create_word(bpf_map_type::BPF_MAP_TYPE_DEVMAP, 0)?;
    element(&map, bpf_cmd::BPF_MAP_UPDATE_ELEM, &mut { device })?;
    Ok(map)
}

/// Whether such a map still names its device.
pub(super) fn names_a_device(map: &impl AsFd) -> io::Result<bool> {
    let info: MapInfo = ask(map)?;
    let word = size_of::<u32>() as u32;
    let is_ours = info.kind == bpf_map_type::BPF_MAP_TYPE_DEVMAP as u32
        && (info.key_size, info.value_size) == (word, word);
    if !is_ours {
        return Err(NotOurs.into());
    }
    match element(map, bpf_cmd::BPF_MAP_LOOKUP_ELEM, &mut 0) {
        Ok(()) => Ok(true),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(cause) => Err(cause),
    }
}

/// Waits for an RCU grace period: until each run of a program has ended that began before.
///
/// The kernel does before it returns from the update of a map of maps, so that no program still uses the
/// former one (`maybe_wait_bpf_programs` in `kernel/bpf/syscall.c`). membarrier(2) does not where a CPU
/// runs without a tick.
pub(super) fn wait_for_runs() -> io::Result<()> {
    fault::point("map/wait")?;
    let inner = create_word(bpf_map_type::BPF_MAP_TYPE_ARRAY, 0)?;
    let mut inner_fd = number(&inner);
    let outer = create_word(bpf_map_type::BPF_MAP_TYPE_ARRAY_OF_MAPS, inner_fd)?;
    element(&outer, bpf_cmd::BPF_MAP_UPDATE_ELEM, &mut inner_fd)
}

/// A map of one word, which is that of a map like `inner` where it is one of maps.
fn create_word(kind: bpf_map_type, inner: u32) -> io::Result<OwnedFd> {
    let mut attributes = CreateMap {
        kind: kind as u32,
        key_size: size_of::<u32>() as u32,
        value_size: size_of::<u32>() as u32,
        entries: 1,
        flags: 0,
        inner,
    };
    opened(bpf(bpf_cmd::BPF_MAP_CREATE, &mut attributes)?)
}

/// The beginning of what the kernel tells of a program or map: `T` is the one that is asked.
fn ask<T: Default>(object: &impl AsFd) -> io::Result<T> {
    let mut told = T::default();
    let mut attributes = Info {
        fd: number(object),
        length: size_of::<T>() as u32,
        info: (&raw mut told) as u64,
    };
    bpf(bpf_cmd::BPF_OBJ_GET_INFO_BY_FD, &mut attributes)?;
    Ok(told)
}

/// Writes or reads the first element of a map of words.
fn element(map: &impl AsFd, command: bpf_cmd, value: &mut u32) -> io::Result<()> {
    let first = 0_u32;
    let mut attributes = Element {
        map: number(map),
        pad: 0,
        key: (&raw const first) as u64,
        value: (&raw mut *value) as u64,
        flags: 0,
    };
    bpf(command, &mut attributes)?;
    Ok(())
}

/// Makes the descriptor `place` one of what `object` is open on, in place of what it was open on.
pub(super) fn put_in_place(place: BorrowedFd<'_>, object: &impl AsFd) -> io::Result<()> {
    let (from, to) = (object.as_fd().as_raw_fd(), place.as_raw_fd());
    // SAFETY: both are open. Whoever owns the second one still does, and closes it once.
    let result = unsafe { libc::dup3(from, to, libc::O_CLOEXEC) };
    Errno::result(result)?;
    Ok(())
}

fn number(object: &impl AsFd) -> u32 {
    object.as_fd().as_raw_fd().cast_unsigned()
}

fn opened(fd: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: the kernel has just opened it for this process, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn bpf<T>(command: bpf_cmd, attributes: &mut T) -> io::Result<RawFd> {
    // SAFETY: the kernel reads and writes `attributes` for as long as it is told that they are, and
    // takes the rest of bpf_attr to be zeros; what they point to outlives the call, and is as long
    // as they say.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command as libc::c_long,
            &raw mut *attributes,
            size_of::<T>(),
        )
    };
    Ok(Errno::result(result)? as RawFd)
}
