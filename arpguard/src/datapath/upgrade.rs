//! Replacing the programs of another build by this binary's, while they guard.
//!
//! The maps stay, and each link or filter gets its new program in place: no frame goes unjudged. A
//! process that dies on the way leaves the old build's name, so the next one begins again.

use std::{fs, path::Path};

use super::{
    Datapath, Hook,
    bpffs::{Pins, make_directory, remove_directory},
    clsact,
    hooks::Side,
    object,
    program::Programs,
    sys,
};
use crate::{
    device::Device,
    error::{Error, Result},
    fault,
    netlink::Netlink,
};

const REPLACE: &str = "replace the programs on";

impl Datapath {
    /// Puts this binary's programs in place of those in the kernel, where they are another build's;
    /// whether they were.
    ///
    /// # Errors
    /// Where the kernel refuses one. Those before it are replaced then, which does no harm.
    pub async fn upgrade(&mut self, netlink: &Netlink, devices: &[Device]) -> Result<bool> {
        let Some(pins) = self.pins().cloned() else {
            // What this process holds, it has loaded.
            return Ok(false);
        };
        if self.maps.build() == object::BUILD {
            return Ok(false);
        }
        let directory = pins.next_programs();
        remove_directory(&directory)?;
        let next = match load(&pins, &directory) {
            Ok(next) => next,
            Err(error) => {
                remove_directory(&directory)?;
                return Err(error);
            }
        };
        for device in devices {
            self.replace(netlink, device, &next).await?;
        }
        self.take_over(&pins, next)?;
        Ok(true)
    }

    async fn replace(&self, netlink: &Netlink, device: &Device, next: &Programs) -> Result<()> {
        for hook in Hook::ALL {
            if let Some(link) = self.links.find(device.index, hook)? {
                sys::replace(&link, next.of(hook))
                    .map_err(|cause| Error::from_cause(REPLACE, &device.name, &cause))?;
            }
        }
        for side in [Side::Ingress, Side::Egress] {
            let hook = Hook::Tc(side);
            clsact::replace(netlink, device, side, next.of(hook)).await?;
        }
        Ok(())
    }

    /// Puts the pins of the next build's programs over the last one's.
    fn take_over(&mut self, pins: &Pins, next: Programs) -> Result<()> {
        let (from, to) = (pins.next_programs(), pins.programs());
        let tried = |cause| Error::from_cause("replace the pins in", to.display(), &cause);
        for entry in fs::read_dir(&from).map_err(tried)? {
            let entry = entry.map_err(tried)?;
            let to = to.join(entry.file_name());
            fault::step("pin/move", || fs::rename(entry.path(), to)).map_err(tried)?;
        }
        remove_directory(&from)?;
        self.programs = next;
        self.maps.set_build(object::BUILD)
    }
}

/// Loads this binary's programs, and pins them to a directory that is made for them.
fn load(pins: &Pins, directory: &Path) -> Result<Programs> {
    make_directory(directory)?;
    object::load_over(pins, directory)?;
    Programs::pinned(directory)
}
