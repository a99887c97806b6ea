//! The links of the devices' hooks, by which the programs stay attached.

use std::{collections::BTreeMap, os::fd::OwnedFd};

use super::{
    Hook,
    bpffs::{self, Pins},
    sys,
};
use crate::error::{Error, Result};

/// Where they are kept.
pub(super) enum Links {
    /// On bpffs: they outlive the process.
    Pinned(Pins),
    /// By this process.
    Held(BTreeMap<(u32, Hook), OwnedFd>),
}

impl Links {
    /// Keeps a link, in place of one whose device is gone, should there be one.
    pub(super) fn keep(&mut self, device: u32, hook: Hook, link: OwnedFd) -> Result<()> {
        self.take_off(device, hook)?;
        match self {
            Self::Pinned(pins) => {
                let path = pins.link(device, hook);
                sys::pin(&link, &path)
                    .map_err(|cause| Error::from_cause("pin", path.display(), &cause))
            }
            Self::Held(links) => {
                links.insert((device, hook), link);
                Ok(())
            }
        }
    }

    /// The link of a hook, if there is one.
    pub(super) fn find(&self, device: u32, hook: Hook) -> Result<Option<OwnedFd>> {
        let found = match self {
            Self::Pinned(pins) => sys::find(&pins.link(device, hook), sys::Kind::Link),
            Self::Held(links) => links
                .get(&(device, hook))
                .map(OwnedFd::try_clone)
                .transpose(),
        };
        found.map_err(|cause| Error::from_cause("open the link of", hook.name(), &cause))
    }

    /// As [`Self::take_off`], where all of a device's are to go: what somebody has put in the place of
    /// a link goes, too.
    pub(super) fn remove(&mut self, device: u32, hook: Hook) -> Result<()> {
        if let Self::Pinned(pins) = self {
            let path = pins.link(device, hook);
            let found = sys::find(&path, sys::Kind::Link);
            if found.is_err_and(|cause| sys::is_not_ours(&cause)) {
                return bpffs::clear(&path);
            }
        }
        self.take_off(device, hook)
    }

    /// Takes a link off its device, and keeps it no longer; nothing where there is none.
    ///
    /// A process that dies in between has taken it off: nobody holds it any more.
    pub(super) fn take_off(&mut self, device: u32, hook: Hook) -> Result<()> {
        let Some(link) = self.find(device, hook)? else {
            return Ok(());
        };
        let taken_off = match self {
            Self::Pinned(pins) => {
                let path = pins.link(device, hook);
                sys::unpin(&path).and_then(|()| {
                    sys::detach(&link).or_else(|cause| {
                        sys::pin(&link, &path)?;
                        Err(cause)
                    })
                })
            }
            Self::Held(links) => sys::detach(&link).map(|()| {
                links.remove(&(device, hook));
            }),
        };
        taken_off.map_err(|cause| Error::from_cause("detach", hook.name(), &cause))
    }
}
