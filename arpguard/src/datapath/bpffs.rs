//! Where the pins are: on bpffs, below one directory for each network namespace.
//!
//! `ip netns exec` gives its command a mount namespace with an empty `/sys/fs/bpf`, and a bpffs that
//! is mounted there is gone when the command returns. So the bpffs of the mount namespace is used
//! that this one came from, through `/proc/PID/root`: that of process 1, or of the oldest ancestor
//! that may be looked at.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _},
    path::{Path, PathBuf},
    thread,
};

use arpguard_common::abi;
use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, setns, unshare},
    sys::statfs::{BPF_FS_MAGIC, statfs},
};

use super::{Hook, living, sys};
use crate::{
    error::{Error, Result},
    fault, trust,
};

const BPFFS: &str = "/sys/fs/bpf";
const SELF: &str = "/proc/self";
const OURS: &str = "arpguard";
/// What to do where nothing can be pinned.
const NOWHERE: &str = "give the container the host's /sys/fs/bpf, or let the agent hold the \
                       programs: arpguard run --hide VIP";
const FIND: &str = "find a BPF file system to pin to";
const MAKE: &str = "make a directory for pins";
const USE: &str = "use the pins in";

/// The pins of one network namespace.
#[derive(Clone, Debug)]
pub struct Pins {
    home: PathBuf,
    version: u32,
}

impl Pins {
    /// The pins of the namespace with this identity (see [`crate::host::netns::identity`]) on
    /// `bpffs`, or on the machine's own, which is mounted where it is not.
    ///
    /// # Errors
    /// Where there is no BPF file system and none can be mounted, or others could change what is
    /// pinned.
    pub fn locate(bpffs: Option<&Path>, identity: &str) -> Result<Self> {
        let root = match bpffs {
            Some(path) => {
                need_bpffs(path)?;
                path.to_owned()
            }
            None => machines_own()?,
        };
        let pins = Self {
            home: root.join(OURS).join(identity),
            version: abi::VERSION,
        };
        pins.check()?;
        Ok(pins)
    }

    /// As [`Self::locate`], without mounting anything; `None` where no BPF file system is mounted,
    /// so that nothing can be pinned to one.
    ///
    /// # Errors
    /// Where `bpffs` is no BPF file system.
    pub fn find(bpffs: Option<&Path>, identity: &str) -> Result<Option<Self>> {
        match bpffs {
            Some(_) => Self::locate(bpffs, identity).map(Some),
            None => mounted().map_or(Ok(None), |root| {
                Self::locate(Some(&root), identity).map(Some)
            }),
        }
    }

    /// The directory that holds them all, and that writers lock.
    pub(super) fn home(&self) -> &Path {
        &self.home
    }

    /// That directory, below the one of all network namespaces.
    fn homes(&self) -> impl Iterator<Item = &Path> {
        self.home.parent().into_iter().chain([self.home()])
    }

    /// Refuses directories that others could change. Those that are not there yet, others may make
    /// at any time: so it is asked again by who finds them.
    pub(super) fn check(&self) -> Result<()> {
        self.homes().try_for_each(|home| trust::check(USE, home))
    }

    /// Opens the directory that holds them all, which is made where it is not there; `None` where
    /// another process has removed it meanwhile.
    ///
    /// # Errors
    /// Where the file system was unmounted, or others could change what is pinned.
    pub(super) fn enter(&self) -> Result<Option<File>> {
        self.need_bpffs()?;
        let mut entered = None;
        for home in self.homes() {
            match make_home(home) {
                Ok(()) => {}
                Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {}
                Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(cause) => return Err(Error::from_cause(MAKE, home.display(), &cause)),
            }
            entered = trust::find(USE, home)?;
        }
        Ok(entered)
    }

    /// Which version of the layout they are of: see [`abi::VERSION`].
    pub(super) const fn number(&self) -> u32 {
        self.version
    }

    /// The directory of this version's pins.
    pub fn version(&self) -> PathBuf {
        self.home.join(format!("v{}", self.version))
    }

    /// The pins of an older version, if there are any that can be brought over.
    pub(super) fn former(&self) -> Option<Self> {
        let mut former = abi::FORMER.iter().map(|version| Self {
            version: *version,
            ..self.clone()
        });
        former.find(Self::exists)
    }

    pub(super) fn has_links(&self) -> bool {
        fs::read_dir(self.version().join("links")).is_ok_and(|mut links| links.next().is_some())
    }

    /// For messages.
    pub fn display(&self) -> impl std::fmt::Display + '_ {
        self.home.display()
    }

    /// Whether there are any of this version. Those of a namespace that is gone, and was told by the
    /// same number, are none.
    pub(super) fn exists(&self) -> bool {
        let version = self.version();
        version.is_dir() && !living::is_over(&version)
    }

    /// Removes what is there where [`Self::exists`] says that there is nothing.
    pub(super) fn remove_others(&self) -> Result<()> {
        match self.version().is_dir() {
            true => self.remove(),
            false => Ok(()),
        }
    }

    pub(super) fn map(&self, name: &str) -> PathBuf {
        self.version().join("maps").join(name)
    }

    pub(super) fn programs(&self) -> PathBuf {
        self.version().join("programs")
    }

    /// Where the next build's programs are until they have replaced the last one's.
    pub(super) fn next_programs(&self) -> PathBuf {
        self.version().join("programs-next")
    }

    pub(super) fn journal(&self) -> PathBuf {
        self.version().join("journal")
    }

    pub(super) fn link(&self, device: u32, hook: Hook) -> PathBuf {
        self.version()
            .join("links")
            .join(format!("{device}-{}", hook.name()))
    }

    /// The directory that the reader of the events locks.
    pub(super) fn monitor(&self) -> PathBuf {
        self.version().join("monitor")
    }

    /// # Errors
    /// Where the file system was unmounted since the pins were located.
    pub(super) fn need_bpffs(&self) -> Result<()> {
        let root = self.home.ancestors().nth(2);
        root.map_or(Ok(()), need_bpffs)
    }

    /// Makes the directories for new pins under a name that nobody looks at until
    /// [`Self::finish`] is called.
    ///
    /// # Errors
    /// Where the file system was unmounted meanwhile, or none can be made.
    pub(super) fn begin(&self) -> Result<Unfinished> {
        self.need_bpffs()?;
        let unfinished = Unfinished(self.unfinished());
        for directory in ["maps", "programs", "links", "monitor"] {
            make_directory(&unfinished.0.join(directory))?;
        }
        Ok(unfinished)
    }

    pub(super) fn finish(&self, unfinished: &Unfinished) -> Result<()> {
        let to = self.version();
        fault::step("pins/finish", || fs::rename(&unfinished.0, &to))
            .map_err(|cause| Error::from_cause("pin", to.display(), &cause))
    }

    /// Removes what a process that died while it loaded or removed has left.
    pub(super) fn remove_unfinished(&self) -> Result<()> {
        remove_directory(&self.unfinished())?;
        remove_directory(&self.removed())
    }

    /// Removes all of this version's pins: at once, as far as anybody can see who looks.
    pub(super) fn remove(&self) -> Result<()> {
        let (from, to) = (self.version(), self.removed());
        match fault::step("pins/remove", || fs::rename(&from, &to)) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
                Err(Error::from_cause("remove the pins", from.display(), &cause))
            }
            _ => remove_directory(&to),
        }
    }

    pub(super) fn refuse_other_versions(&self) -> Result<()> {
        let Ok(entries) = fs::read_dir(&self.home) else {
            return Ok(());
        };
        let known = [self.version(), self.unfinished(), self.removed()];
        let former = self.former().map(|former| former.version());
        for entry in entries.flatten() {
            if !known.contains(&entry.path()) && Some(entry.path()) != former {
                return Err(Error::new(
                    "open the state in the kernel",
                    entry.path().display(),
                    "another version of arpguard has made it",
                )
                .advise("run `arpguard detach` of that version, then this command again"));
            }
        }
        Ok(())
    }

    /// Where pins are from when they are to go until they are gone.
    fn removed(&self) -> PathBuf {
        self.home.join("removed")
    }

    // bpffs reserves names with a dot.
    fn unfinished(&self) -> PathBuf {
        self.home.join(format!("v{}-unfinished", self.version))
    }
}

/// A directory of pins that is not complete yet.
pub(super) struct Unfinished(PathBuf);

impl Unfinished {
    pub(super) fn map(&self, name: &str) -> PathBuf {
        self.0.join("maps").join(name)
    }

    pub(super) fn programs(&self) -> PathBuf {
        self.0.join("programs")
    }

    pub(super) fn living(&self) -> PathBuf {
        self.0.join(living::MARK)
    }
}

pub(super) fn make_directory(path: &Path) -> Result<()> {
    fault::step("pins/directory", || private().recursive(true).create(path))
        .map_err(|cause| Error::from_cause(MAKE, path.display(), &cause))
}

fn make_home(path: &Path) -> io::Result<()> {
    fault::step("pins/home", || private().create(path))
}

fn private() -> fs::DirBuilder {
    let mut builder = fs::DirBuilder::new();
    builder.mode(0o700);
    builder
}

/// Removes a directory and all pins in it, if it is there.
pub(super) fn remove_directory(path: &Path) -> Result<()> {
    match remove_tree(path) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
            Err(Error::from_cause("remove the pins", path.display(), &cause))
        }
        _ => Ok(()),
    }
}

/// Removes what is at the place of a pin, whatever it is.
pub(super) fn clear(path: &Path) -> Result<()> {
    match path.is_dir() {
        true => remove_directory(path),
        false => sys::unpin(path)
            .map_err(|cause| Error::from_cause("remove the pins", path.display(), &cause)),
    }
}

fn remove_tree(path: &Path) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_tree(&entry.path())?;
        } else {
            sys::unpin(&entry.path())?;
        }
    }
    fault::step("pins/directory/remove", || fs::remove_dir(path))
}

fn need_bpffs(path: &Path) -> Result<()> {
    if is_bpffs(path) {
        return Ok(());
    }
    let error = Error::new(FIND, path.display(), "it is not a BPF file system");
    Err(error.advise(format!("mount one: mount -t bpf bpf {}", path.display())))
}

fn is_bpffs(path: &Path) -> bool {
    statfs(path).is_ok_and(|found| found.filesystem_type() == BPF_FS_MAGIC)
}

fn machines_own() -> Result<PathBuf> {
    let own = Path::new(BPFFS);
    let Some(origin) = origin() else {
        if !is_bpffs(own) {
            mount_bpffs(own).map_err(|cause| {
                Error::from_cause("mount a BPF file system", BPFFS, &cause).advise(NOWHERE)
            })?;
        }
        return Ok(own.to_owned());
    };
    let theirs = origin.join("root").join(BPFFS.trim_start_matches('/'));
    if is_bpffs(&theirs) || mount_in(&origin).is_ok() {
        // A container may have been given the very same file system under its own path.
        return Ok(if same_device(own, &theirs) {
            own.to_owned()
        } else {
            theirs
        });
    }
    if is_bpffs(own) {
        return Ok(own.to_owned());
    }
    Err(Error::new(
        FIND,
        BPFFS,
        "this mount namespace has none, and that which it came from is out of reach",
    )
    .advise(NOWHERE))
}

/// The BPF file system that [`machines_own`] would take, where it is mounted.
fn mounted() -> Option<PathBuf> {
    let own = PathBuf::from(BPFFS);
    let theirs = origin()
        .map(|origin| origin.join("root").join(BPFFS.trim_start_matches('/')))
        .filter(|theirs| is_bpffs(theirs) && !same_device(&own, theirs));
    theirs.or_else(|| is_bpffs(&own).then_some(own))
}

/// The process, as its directory in `/proc`, whose mount namespace ours came from; `None` where that
/// is ours.
fn origin() -> Option<PathBuf> {
    let mounts = |process: &Path| fs::read_link(process.join("ns/mnt")).ok();
    let ours = mounts(Path::new(SELF));
    let mut ancestors: Vec<_> =
        std::iter::successors(parent(Path::new(SELF)), |process| parent(process)).collect();
    ancestors.push(PathBuf::from("/proc/1"));
    let oldest = ancestors
        .into_iter()
        .rev()
        .find(|process| mounts(process).is_some())?;
    (mounts(&oldest) != ours).then_some(oldest)
}

/// The parent of a process, unless it is in another PID namespace.
fn parent(process: &Path) -> Option<PathBuf> {
    let status = fs::read_to_string(process.join("status")).ok()?;
    let parent = status
        .lines()
        .find_map(|line| line.strip_prefix("PPid:"))?
        .trim();
    (parent != "0").then(|| Path::new("/proc").join(parent))
}

fn same_device(one: &Path, other: &Path) -> bool {
    let device = |path: &Path| fs::metadata(path).map(|metadata| metadata.dev());
    is_bpffs(one) && matches!((device(one), device(other)), (Ok(a), Ok(b)) if a == b)
}

fn mount_bpffs(at: &Path) -> io::Result<()> {
    mount(
        Some("bpf"),
        at,
        Some("bpf"),
        MsFlags::empty(),
        Some("mode=0700"),
    )?;
    Ok(())
}

/// Mounts it where a process is. A thread can change mount namespaces only when it shares its file
/// system attributes with no other, so a short-lived one does it.
fn mount_in(process: &Path) -> io::Result<()> {
    let enter_and_mount = || -> io::Result<()> {
        let mounts = File::open(process.join("ns/mnt"))?;
        unshare(CloneFlags::CLONE_FS)?;
        setns(mounts, CloneFlags::CLONE_NEWNS)?;
        mount_bpffs(Path::new(BPFFS))
    };
    thread::scope(|scope| scope.spawn(enter_and_mount).join())
        .unwrap_or_else(|_| Err(io::Error::other("the thread that mounts has died")))
}
