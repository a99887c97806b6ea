//! Whether only those can change a file who may decide what this process does.

use std::{fs, os::unix::fs::MetadataExt as _, path::Path};

use nix::{
    sys::statvfs::{FsFlags, statvfs},
    unistd::geteuid,
};

use crate::error::{Error, Result};

const ROOT: u32 = 0;
/// `S_ISVTX`: only its owner may rename or remove what is in a directory.
const STICKY: u32 = 0o1000;
const WRITABLE_BY_GROUP: u32 = 0o020;
const WRITABLE_BY_ALL: u32 = 0o002;

/// Refuses a file, or a directory, that another user than root and this one could change or put
/// another in place of. `tried` is what was to be done with it. What is not there, nobody has
/// changed.
///
/// # Errors
/// With what to do.
pub(crate) fn check(tried: &str, path: &Path) -> Result<()> {
    let Ok(path) = path.canonicalize() else {
        return Ok(());
    };
    check_one(tried, &path, true)?;
    check_above(tried, &path)
}

/// As [`check`], of what decides which file a name is of: a link, and the directories above. What it
/// leads to may be another user's.
///
/// # Errors
/// With what to do.
pub(crate) fn check_name(tried: &str, path: &Path) -> Result<()> {
    if let Ok(found) = fs::symlink_metadata(path)
        && let Some(owner) = stranger(&found)
        && found.is_symlink()
    {
        return Err(refusal(tried, path, Distrust::Owner(owner)));
    }
    let parent = path.parent().and_then(|parent| parent.canonicalize().ok());
    parent.map_or(Ok(()), |parent| {
        check_one(tried, &parent, false)?;
        check_above(tried, &parent)
    })
}

fn check_above(tried: &str, path: &Path) -> Result<()> {
    let mut above = path.ancestors().skip(1);
    above.try_for_each(|directory| check_one(tried, directory, false))
}

/// As [`check`], of one file alone. In what `is_own` others may put no files
/// either; in what is shared, such as /tmp, they may, if they cannot take away those of others.
///
/// # Errors
/// With what to do.
pub(crate) fn check_one(tried: &str, path: &Path, is_own: bool) -> Result<()> {
    let Ok(found) = fs::metadata(path) else {
        return Ok(());
    };
    match distrust(&found, is_own) {
        Some(why) if !is_read_only(path) => Err(refusal(tried, path, why)),
        Some(_) | None => Ok(()),
    }
}

enum Distrust {
    Owner(u32),
    Writable,
}

fn distrust(found: &fs::Metadata, is_own: bool) -> Option<Distrust> {
    if let Some(owner) = stranger(found) {
        return Some(Distrust::Owner(owner));
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

/// The owner, where that is neither root nor this user.
fn stranger(found: &fs::Metadata) -> Option<u32> {
    let owner = found.uid();
    (owner != ROOT && owner != geteuid().as_raw()).then_some(owner)
}

/// Nobody writes to a file system that is mounted read-only, such as that of a Kubernetes ConfigMap.
fn is_read_only(path: &Path) -> bool {
    statvfs(path).is_ok_and(|found| found.flags().contains(FsFlags::ST_RDONLY))
}

fn refusal(tried: &str, path: &Path, why: Distrust) -> Error {
    let path = path.display();
    let (why, advice) = match why {
        Distrust::Owner(owner) => (
            format!("user {owner} owns it, who could change what root is to do"),
            format!("look at it, and give it to root: chown root {path}"),
        ),
        Distrust::Writable => (
            "other users can change it, and so what root is to do".to_owned(),
            format!("look at it, and take that from them: chmod go-w {path}"),
        ),
    };
    Error::new(tried, path, why).advise(advice)
}
