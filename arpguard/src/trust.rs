//! Whether only those can change a file who may decide what this process does.
//!
//! A name is walked as the kernel walks it, and each directory and each link on the way is looked at
//! where it is opened: so it does not matter how the name is spelled, and nothing can be put in
//! another's place between the look and the use.

mod walk;

use std::{
    fs::{File, Metadata},
    io,
    os::unix::fs::MetadataExt as _,
    path::Path,
};

use nix::{
    sys::statvfs::{FsFlags, fstatvfs},
    unistd::geteuid,
};

use crate::error::{Error, Result};

const ROOT: u32 = 0;
/// `S_ISVTX`: only its owner may rename or remove what is in a directory.
const STICKY: u32 = 0o1000;
const WRITABLE_BY_GROUP: u32 = 0o020;
const WRITABLE_BY_ALL: u32 = 0o002;

/// Opens a file, or a directory, to read it; `None` where it is not there. `tried` is what is to be
/// done with it. Refuses what another user than root and this one could change, or put another in
/// place of.
///
/// What the kernel itself gives is as it is: a descriptor of a process of root's or of this user's,
/// who knew what it opened, and the namespace of any process.
///
/// # Errors
/// Where it is refused, with what to do, or cannot be opened.
pub(crate) fn find(tried: &str, path: &Path) -> Result<Option<File>> {
    match walk::along(tried, path) {
        Ok(file) => Ok(Some(file)),
        Err(Stop::Cause(cause)) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(Stop::Cause(cause)) => Err(Error::from_cause(tried, path.display(), &cause)),
        Err(Stop::Distrust(error)) => Err(error),
    }
}

/// As [`find`], of what has to be there.
///
/// # Errors
/// Where it is not there, is refused, or cannot be opened.
pub(crate) fn open(tried: &str, path: &Path) -> Result<File> {
    find(tried, path)?.ok_or_else(|| {
        let cause = io::Error::from_raw_os_error(libc::ENOENT);
        Error::from_cause(tried, path.display(), &cause)
    })
}

/// As [`find`], of what is opened by others. What is not there, nobody has changed.
///
/// # Errors
/// Where it is refused, or cannot be opened.
pub(crate) fn check(tried: &str, path: &Path) -> Result<()> {
    find(tried, path).map(drop)
}

/// Why a walk ends before its end.
enum Stop {
    Cause(io::Error),
    Distrust(Error),
}

impl<E: Into<io::Error>> From<E> for Stop {
    fn from(cause: E) -> Self {
        Self::Cause(cause.into())
    }
}

/// Refuses what others can change. In what `is_own` they may put no files either; in what is shared,
/// such as /tmp, they may, if they cannot take away those of others.
fn check_one(tried: &str, path: &Path, file: &File, is_own: bool) -> Result<(), Stop> {
    let found = file.metadata()?;
    match distrust(&found, is_own) {
        Some(why) if !is_read_only(file) => Err(Stop::Distrust(refusal(tried, path, &found, why))),
        Some(_) | None => Ok(()),
    }
}

enum Distrust {
    Owner(u32),
    Writable,
}

fn distrust(found: &Metadata, is_own: bool) -> Option<Distrust> {
    let owner = found.uid();
    if owner != ROOT && owner != geteuid().as_raw() {
        return Some(Distrust::Owner(owner));
    }
    if found.is_symlink() {
        // Nobody can write to a link, whatever its mode is.
        return None;
    }
    let mode = found.mode();
    // The group root is as trusted as the user.
    let mut writable = mode & WRITABLE_BY_ALL;
    if found.gid() != ROOT {
        writable |= mode & WRITABLE_BY_GROUP;
    }
    let is_shared = found.is_dir() && !is_own && mode & STICKY != 0;
    (writable != 0 && !is_shared).then_some(Distrust::Writable)
}

/// Nobody writes to a file system that is mounted read-only, such as that of a Kubernetes ConfigMap.
fn is_read_only(file: &File) -> bool {
    fstatvfs(file).is_ok_and(|found| found.flags().contains(FsFlags::ST_RDONLY))
}

fn refusal(tried: &str, path: &Path, found: &Metadata, why: Distrust) -> Error {
    let path = path.display();
    let (why, advice) = match why {
        Distrust::Owner(owner) => {
            let link = if found.is_symlink() { "-h " } else { "" };
            (
                format!("user {owner} owns it, who could change what root is to do"),
                format!("look at it, and give it to root: chown {link}root {path}"),
            )
        }
        Distrust::Writable => (
            "other users can change it, and so what root is to do".to_owned(),
            format!("look at it, and take that from them: chmod go-w {path}"),
        ),
    };
    Error::new(tried, path, why).advise(advice)
}
