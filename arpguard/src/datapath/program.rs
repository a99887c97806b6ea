//! The programs in the kernel.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
};

use super::{
    Hook,
    hooks::Side,
    sys::{self, Tag},
};
use crate::error::{Error, Result};

/// A program that is loaded.
pub(super) struct Program {
    fd: OwnedFd,
    /// Its name in the object.
    pub(super) name: &'static str,
    /// Its identifier in the kernel.
    pub(super) id: u32,
    /// What it has in common with programs of the same instructions.
    pub(super) tag: Tag,
}

/// Those that are attached to the hooks of a device.
pub(super) struct Programs {
    xdp: Program,
    ingress: Program,
    egress: Program,
}

impl Program {
    fn of(name: &'static str, fd: OwnedFd) -> io::Result<Self> {
        let (id, tag) = sys::identify(&fd)?;
        Ok(Self { fd, name, id, tag })
    }
}

impl AsFd for Program {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Programs {
    /// Those that are pinned in a directory.
    pub(super) fn pinned(directory: &Path) -> Result<Self> {
        Self::find(|name| {
            let path = directory.join(name);
            sys::find(&path, sys::Kind::Program)
                .map_err(|cause| Error::from_cause("open a pin", path.display(), &cause))
        })
    }

    /// Those that `find` gives by name.
    pub(super) fn find(mut find: impl FnMut(&str) -> Result<Option<OwnedFd>>) -> Result<Self> {
        let mut best = |hook: Hook| {
            for name in hook.programs() {
                if let Some(fd) = find(name)? {
                    return Program::of(name, fd)
                        .map_err(|cause| Error::from_cause("read what is loaded", name, &cause));
                }
            }
            let why = "no program for it is loaded";
            Err(Error::new("attach", hook.name(), why)
                .advise("load them anew: arpguard detach, then hide the addresses again"))
        };
        Ok(Self {
            xdp: best(Hook::Xdp)?,
            ingress: best(Hook::Tc(Side::Ingress))?,
            egress: best(Hook::Tc(Side::Egress))?,
        })
    }

    pub(super) const fn of(&self, hook: Hook) -> &Program {
        match hook {
            Hook::Xdp => &self.xdp,
            Hook::Tc(Side::Ingress) => &self.ingress,
            Hook::Tc(Side::Egress) => &self.egress,
        }
    }
}
