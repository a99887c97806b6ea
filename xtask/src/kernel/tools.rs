//! The programs that a virtual machine takes: unpacked in the cache, or installed.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use super::image::Image;
use crate::process;

/// Debian's packages of these programs.
pub(super) const PACKAGES: [&str; 6] = [
    "qemu-system-x86",
    "busybox-static",
    "kmod",
    "ipvsadm",
    "xz-utils",
    "zstd",
];
/// Where packages have their programs.
const BIN: [&str; 4] = ["usr/bin", "usr/sbin", "bin", "sbin"];
/// Where they have their libraries.
const LIB: [&str; 2] = ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"];

/// A directory into which the packages are unpacked that the machine does not have installed.
#[derive(Clone, Debug)]
pub(super) struct Tools {
    directory: PathBuf,
}

/// A program, and what it needs to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tool {
    /// The file.
    pub(super) path: PathBuf,
    /// `LD_LIBRARY_PATH`: empty where the machine has all of its libraries.
    pub(super) libraries: String,
}

impl Tools {
    /// Those below `directory`.
    pub(super) fn at(directory: &Path) -> Result<Self> {
        let tools = Self {
            directory: directory.to_owned(),
        };
        for name in ["qemu-system-x86_64", "busybox", "kmod", "ipvsadm"] {
            tools.find(name)?;
        }
        Ok(tools)
    }

    /// The program `name`.
    pub(super) fn find(&self, name: &str) -> Result<Tool> {
        let unpacked = BIN
            .map(|bin| self.directory.join(bin).join(name))
            .into_iter()
            .find(|path| path.is_file());
        if let Some(path) = unpacked {
            let libraries = LIB.map(|lib| self.directory.join(lib).display().to_string());
            let libraries = libraries.join(":");
            return Ok(Tool { path, libraries });
        }
        match process::find(name) {
            Some(path) => Ok(Tool {
                path,
                libraries: String::new(),
            }),
            None => bail!(
                "find: {name}: it is neither in {} nor installed; remove that directory, and it is \
                 fetched anew",
                self.directory.display()
            ),
        }
    }

    /// A command that runs the program `name`.
    pub(super) fn command(&self, name: &str) -> Result<Command> {
        let Tool { path, libraries } = self.find(name)?;
        let mut command = Command::new(path);
        if !libraries.is_empty() {
            command.env("LD_LIBRARY_PATH", libraries);
        }
        Ok(command)
    }

    /// Directories in which QEMU is to look for its firmware.
    pub(super) fn firmware(&self) -> Vec<PathBuf> {
        ["usr/share/qemu", "usr/share/seabios"]
            .map(|path| self.directory.join(path))
            .into_iter()
            .filter(|path| path.is_dir())
            .collect()
    }

    /// Writes `modules.dep` and the tables beside it, as installing a kernel does.
    pub(super) fn index_modules(&self, image: &Image) -> Result<()> {
        use std::os::unix::process::CommandExt as _;

        let mut depmod = self.command("kmod")?;
        // One program for all; it goes by the name that it is called by.
        depmod
            .arg0("depmod")
            .arg("-b")
            .arg(&image.base)
            .arg(&image.version);
        process::run(&mut depmod, "index", "the kernel's modules")
    }

    /// What a file is that may be compressed, as its name says.
    pub(super) fn read(&self, path: &Path) -> Result<Vec<u8>> {
        let unpacks = match path.extension().and_then(|kind| kind.to_str()) {
            Some("xz") => Some("xz"),
            Some("zst") => Some("zstd"),
            _ => None,
        };
        let Some(name) = unpacks else {
            return std::fs::read(path).with_context(|| format!("read: {}", path.display()));
        };
        let output = self.command(name)?.arg("-dcq").arg(path).output();
        let output = output.with_context(|| format!("unpack: {}: {name}", path.display()))?;
        if !output.status.success() {
            let error = String::from_utf8_lossy(&output.stderr);
            bail!("unpack: {}: {}", path.display(), error.trim());
        }
        Ok(output.stdout)
    }
}
