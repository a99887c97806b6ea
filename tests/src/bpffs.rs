//! A BPF file system of a test's own.

use std::{fs, os::unix::fs::PermissionsExt as _};

use nix::mount::{MntFlags, MsFlags, mount, umount2};

use crate::running::Directory;

/// Mounted in a directory of its own. It goes when it is dropped, and what is pinned with it.
#[derive(Debug)]
pub struct Bpffs {
    // Dropped last, when nothing is mounted in it any more.
    _directory: Directory,
    path: String,
}

impl Bpffs {
    /// Mounts one whose root has this mode; `name` becomes part of its name.
    pub fn new(name: &str, mode: u32) -> Self {
        let directory = Directory::new(name);
        let path = directory.file("bpf");
        fs::create_dir(&path).unwrap();
        let none = None::<&str>;
        mount(Some("bpf"), &*path, Some("bpf"), MsFlags::empty(), none).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        Self {
            _directory: directory,
            path,
        }
    }

    /// Where it is.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Where something on it is.
    pub fn file(&self, name: &str) -> String {
        format!("{}/{name}", self.path)
    }
}

impl Drop for Bpffs {
    fn drop(&mut self) {
        // Nobody can be told while a test unwinds.
        let _ = umount2(&*self.path, MntFlags::MNT_DETACH);
    }
}
