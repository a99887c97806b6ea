//! The way of a name, from one directory to the next.

use std::{
    env,
    ffi::{OsStr, OsString},
    fs::File,
    os::fd::AsFd,
    path::{Component, Path, PathBuf},
};

use nix::{
    errno::Errno,
    fcntl::{OFlag, open, openat, readlinkat},
    sys::{
        stat::Mode,
        statfs::{FsType, NSFS_MAGIC, PROC_SUPER_MAGIC, fstatfs},
    },
};

use super::{Stop, check_one};

/// How many links a name may lead along (`MAXSYMLINKS` of `linux/namei.h`).
const MOST_LINKS: usize = 40;
/// Only to look at it, and what it is itself.
const LOOK: OFlag = OFlag::O_PATH.union(OFlag::O_NOFOLLOW);
const READ: OFlag = OFlag::O_RDONLY.union(OFlag::O_NOFOLLOW);
/// Where the kernel says that it leads.
const FOLLOW: OFlag = OFlag::O_PATH;

/// Opens what a name is of.
pub(super) fn along(tried: &str, path: &Path) -> Result<File, Stop> {
    let path = match path.is_absolute() {
        true => path.to_owned(),
        false => env::current_dir()?.join(path),
    };
    let mut place = Place::root(tried)?;
    let mut left = names(&path);
    let mut links = 0;
    while let Some(name) = left.pop() {
        match place.look(&name)? {
            Found::Place(next) => place = next,
            Found::Link(to) => {
                links += 1;
                if links > MOST_LINKS {
                    return Err(Errno::ELOOP.into());
                }
                if to.is_absolute() {
                    place = Place::root(tried)?;
                }
                left.extend(names(&to));
            }
            Found::Opened if left.is_empty() => return place.open(&name, OFlag::O_RDONLY),
            Found::Opened => return Err(Errno::ENOTDIR.into()),
        }
    }
    place.read()
}

/// The names that a path leads along, the last one first.
fn names(path: &Path) -> Vec<OsString> {
    let names = path.components().rev().filter_map(|name| match name {
        Component::Normal(_) | Component::ParentDir => Some(name.as_os_str().to_owned()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    });
    names.collect()
}

/// What a name leads to.
enum Found<'a> {
    Place(Place<'a>),
    Link(PathBuf),
    /// What a process has opened, or a namespace.
    Opened,
}

/// How far a walk has come.
struct Place<'a> {
    tried: &'a str,
    /// For messages.
    path: PathBuf,
    /// Opened to look at it.
    at: File,
    /// Where it was found, and by which name.
    found: Option<(File, OsString)>,
}

impl<'a> Place<'a> {
    fn root(tried: &'a str) -> Result<Self, Stop> {
        let at = open(
            "/",
            LOOK | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC,
            Mode::empty(),
        )?;
        let root = Self {
            tried,
            path: PathBuf::from("/"),
            at: at.into(),
            found: None,
        };
        root.check()?;
        Ok(root)
    }

    fn look(&self, name: &OsStr) -> Result<Found<'a>, Stop> {
        let at = self.open(name, LOOK)?;
        let path = self.path.join(name);
        if !at.metadata()?.is_symlink() {
            let found = Some((self.at.try_clone()?, name.to_owned()));
            return self.arrive(at, path, found);
        }
        if !is_on(&self.at, PROC_SUPER_MAGIC) {
            check_one(self.tried, &path, &at, false)?;
            return Ok(Found::Link(readlinkat(&at, "")?.into()));
        }
        // Such a link is the kernel's, and need not say where it leads.
        let to = self.open(name, FOLLOW)?;
        if is_on(&to, NSFS_MAGIC) {
            return Ok(Found::Opened);
        }
        check_one(self.tried, &path, &at, false)?;
        match to.metadata()?.is_dir() {
            true => self.arrive(to, path, None),
            false => Ok(Found::Opened),
        }
    }

    fn arrive(
        &self,
        at: File,
        path: PathBuf,
        found: Option<(File, OsString)>,
    ) -> Result<Found<'a>, Stop> {
        let place = Self {
            tried: self.tried,
            path,
            at,
            found,
        };
        place.check()?;
        Ok(Found::Place(place))
    }

    /// Refuses a directory in which others could put another thing in place of what is there. In
    /// /proc nobody can, whoever a process belongs to.
    fn check(&self) -> Result<(), Stop> {
        match is_on(&self.at, PROC_SUPER_MAGIC) {
            true => Ok(()),
            false => check_one(self.tried, &self.path, &self.at, false),
        }
    }

    /// The end of the way, opened to be read.
    fn read(&self) -> Result<File, Stop> {
        let file = match &self.found {
            Some((directory, name)) => open_in(directory, name, READ)?,
            None => self.open(OsStr::new("."), READ)?,
        };
        check_one(self.tried, &self.path, &file, true)?;
        Ok(file)
    }

    fn open(&self, name: &OsStr, how: OFlag) -> Result<File, Stop> {
        open_in(&self.at, name, how)
    }
}

fn open_in(directory: &File, name: &OsStr, how: OFlag) -> Result<File, Stop> {
    Ok(openat(directory, name, how | OFlag::O_CLOEXEC, Mode::empty())?.into())
}

fn is_on(file: &impl AsFd, kind: FsType) -> bool {
    fstatfs(file).is_ok_and(|found| found.filesystem_type() == kind)
}
