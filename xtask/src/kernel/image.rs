//! One kernel with its modules, unpacked.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

/// A kernel that can be started.
#[derive(Clone, Debug)]
pub(super) struct Image {
    /// As `uname -r` tells it.
    pub(super) version: String,
    /// The compressed kernel.
    pub(super) file: PathBuf,
    /// The directory that `lib/modules` is in.
    pub(super) base: PathBuf,
}

impl Image {
    /// The kernel whose packages were unpacked into `directory`.
    pub(super) fn at(directory: &Path) -> Result<Self> {
        // Newer Debian has merged /lib into /usr/lib.
        let bases = [directory.to_owned(), directory.join("usr")];
        let found = bases.into_iter().find_map(|base| {
            let version = version_in(&base.join("lib/modules"))?;
            Some((base, version))
        });
        let (base, version) = found.with_context(|| {
            format!(
                "read: {}: no kernel's modules are there; remove that directory, and it is fetched \
                 anew",
                directory.display()
            )
        })?;
        // From Linux 7 on the kernel lies with its modules.
        let beside = base.join("lib/modules").join(&version).join("vmlinuz");
        let files = [directory.join(format!("boot/vmlinuz-{version}")), beside];
        let file = files
            .into_iter()
            .find(|file| file.is_file())
            .with_context(|| format!("read: {}: no kernel is there", directory.display()))?;
        Ok(Self {
            version,
            file,
            base,
        })
    }

    /// The directory of its modules.
    pub(super) fn modules(&self) -> PathBuf {
        self.base.join("lib/modules").join(&self.version)
    }
}

fn version_in(modules: &Path) -> Option<String> {
    let directories = fs::read_dir(modules).ok()?;
    let mut paths = directories.filter_map(|entry| Some(entry.ok()?.path()));
    let path = paths.find(|path| path.join("kernel").is_dir())?;
    Some(path.file_name()?.to_str()?.to_owned())
}
