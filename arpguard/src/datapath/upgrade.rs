//! Replacing the programs of another build by this binary's, while they guard.
//!
//! The maps stay, and each link or filter gets its new program in place: no frame goes unjudged. A
//! process that dies on the way leaves the old build's name, so the next one begins again.

use std::fs;

use aya::programs::{
    ProgramError, SchedClassifier, TcAttachType, Xdp,
    links::{FdLink, LinkError, PinnedLink},
    tc::SchedClassifierLink,
    xdp::XdpLink,
};

use super::{
    Datapath,
    attach::{XDP, side},
    bpffs::{make_directory, remove_directory},
    clsact,
    object::{self, Programs},
};
use crate::{
    error::{Error, Result},
    host::{Device, Host, Netlink},
};

const REPLACE: &str = "replace the programs on";

impl Datapath {
    /// Puts this binary's programs in place of those in the kernel, where they are another build's;
    /// whether they were.
    ///
    /// # Errors
    /// Where the kernel refuses one. Those before it are replaced then, which does no harm.
    pub async fn upgrade(&mut self, netlink: &Netlink, host: &Host) -> Result<bool> {
        if self.maps.build() == object::BUILD {
            return Ok(false);
        }
        let directory = self.pins.next_programs();
        remove_directory(&directory)?;
        make_directory(&directory)?;
        object::load_over(&self.pins, &directory)?;
        let mut next = Programs::open(&directory)?;
        for device in &host.devices {
            self.replace(netlink, device, &mut next).await?;
        }
        self.take_over(next)?;
        Ok(true)
    }

    async fn replace(&self, netlink: &Netlink, device: &Device, next: &mut Programs) -> Result<()> {
        let tried = |cause| Error::from_cause(REPLACE, &device.name, &cause);
        if let Some(link) = self.pinned(device, XDP)? {
            replace_xdp(&mut next.xdp, link).map_err(tried)?;
        }
        for hook in [TcAttachType::Ingress, TcAttachType::Egress] {
            if let Some(link) = self.pinned(device, side(hook))? {
                replace_tcx(next.tc(hook), link).map_err(tried)?;
            }
            let old = self.tc_identifier(hook)?;
            clsact::replace(netlink, device, hook, old, next.tc(hook)).await?;
        }
        Ok(())
    }

    /// The pinned link of a device's hook.
    fn pinned(&self, device: &Device, hook: &str) -> Result<Option<FdLink>> {
        let path = self.pins.link(device.index, hook);
        if !path.exists() {
            return Ok(None);
        }
        let link = PinnedLink::from_pin(&path)
            .map_err(|cause| Error::from_cause("open a pin", path.display(), &cause))?;
        Ok(Some(link.into()))
    }

    /// Puts the pins of the next build's programs over the last one's.
    fn take_over(&mut self, next: Programs) -> Result<()> {
        let (from, to) = (self.pins.next_programs(), self.pins.programs());
        let tried = |cause| Error::from_cause("replace the pins in", to.display(), &cause);
        for entry in fs::read_dir(&from).map_err(tried)? {
            let entry = entry.map_err(tried)?;
            fs::rename(entry.path(), to.join(entry.file_name())).map_err(tried)?;
        }
        remove_directory(&from)?;
        self.programs = next;
        self.maps.set_build(object::BUILD)
    }
}

/// The link stays attached when its descriptor is closed, since it is pinned.
fn replace_xdp(next: &mut Xdp, link: FdLink) -> Result<(), ProgramError> {
    let link: XdpLink = link.try_into().map_err(into_program_error)?;
    next.attach_to_link(link)?;
    Ok(())
}

/// As [`replace_xdp`].
fn replace_tcx(next: &mut SchedClassifier, link: FdLink) -> Result<(), ProgramError> {
    let link: SchedClassifierLink = link.try_into().map_err(into_program_error)?;
    next.attach_to_link(link)?;
    Ok(())
}

fn into_program_error(error: LinkError) -> ProgramError {
    match error {
        LinkError::SyscallError(error) => ProgramError::SyscallError(error),
        _ => ProgramError::UnexpectedProgramType,
    }
}
