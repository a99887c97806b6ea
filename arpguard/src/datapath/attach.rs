//! Attaching the programs to a device, by the best hook that it has.
//!
//! What is attached is read from the kernel each time. The egress hook comes first, so there is no
//! moment at which a device is silent to requests and leaks in its own.

use std::{collections::BTreeMap, io, os::fd::OwnedFd};

use arpguard_common::wire::Mac;
use aya_obj::generated::{BPF_F_BEFORE, XDP_FLAGS_DRV_MODE, XDP_FLAGS_SKB_MODE};
use nix::errno::Errno;

use super::{
    Attached, Choice, Datapath, Egress, Hook, Ingress, Mode,
    choice::is_veth,
    clsact, described,
    hooks::Side,
    maps::{Known, Note},
    name, sys,
};
use crate::{
    device::Device,
    error::{Error, Result, errno},
    netlink::Netlink,
};

/// What is transmitted then wakes no peer without an XDP program (`veth_xdp_flush`).
const VETH_NATIVE: &str = "answers are lost unless the peer has an XDP program too";
/// What a note begins with that tells why there is no native XDP.
pub const REFUSED: &str = "native XDP";

impl Datapath {
    /// What is attached to `device` now.
    ///
    /// # Errors
    /// Where the kernel does not tell.
    pub async fn attached(&self, netlink: &Netlink, device: &Device) -> Result<Attached> {
        let tc = self.tc_hook(netlink, device, Side::Ingress).await?;
        let ingress = match &device.xdp {
            Some(found) if found.program == self.programs.of(Hook::Xdp).id => {
                Some(match found.generic {
                    true => Ingress::Generic,
                    false => Ingress::Native,
                })
            }
            _ => tc.map(|hook| match hook {
                Egress::Tcx => Ingress::Tcx,
                Egress::Clsact => Ingress::Clsact,
            }),
        };
        let is_xdp = matches!(ingress, Some(Ingress::Native | Ingress::Generic));
        let egress = self.tc_hook(netlink, device, Side::Egress).await?;
        let note = self.maps.note(device.index).text;
        Ok(Attached {
            ingress,
            egress,
            bridged: is_xdp && tc.is_some(),
            note,
        })
    }

    /// Guards `device`, which has `before`: makes it known to the programs, with its addresses, and
    /// attaches what is not attached yet.
    ///
    /// # Errors
    /// Where a hook cannot be had. What was attached until then still is.
    pub async fn guard(
        &mut self,
        netlink: &Netlink,
        device: &Device,
        known: Known,
        mode: Mode,
        before: &Attached,
    ) -> Result<()> {
        self.know(&[known])?;
        self.maps.start_counting(device.index)?;
        if before.egress.is_none() {
            self.attach_tc(netlink, device, Side::Egress).await?;
        }
        match before.ingress {
            Some(ingress) if ingress.satisfies(mode) => {
                if before.bridged {
                    self.detach_tc(netlink, device, Side::Ingress).await?;
                }
                Ok(())
            }
            _ => self.climb(netlink, device, mode, before).await,
        }
    }

    /// Takes the best ingress hook that `mode` allows, and then leaves the one of `before`.
    ///
    /// What is noted of a hook is noted before it is taken: of one that is, nobody asks again.
    async fn climb(
        &mut self,
        netlink: &Netlink,
        device: &Device,
        mode: Mode,
        before: &Attached,
    ) -> Result<()> {
        let old = before.ingress;
        let foreign = self.foreign_xdp(device)?;
        let choice = Choice::of(mode, device, foreign.as_deref());
        let steps = choice.steps;
        let mut why: Vec<_> = choice.why.iter().cloned().collect();
        if let (Some(name), Mode::Native | Mode::Generic) = (&foreign, mode) {
            let why = format!("the XDP program {name} is attached already");
            return Err(Error::new("attach by XDP", &device.name, why)
                .advise("use --attach tc, or --attach auto, which takes the TC hook then"));
        }
        // The kernel has native and generic XDP on a device only in turn; the TC hook bridges.
        if matches!(old, Some(Ingress::Native | Ingress::Generic)) {
            self.set_note_text(device, &why.join("; "))?;
            if !before.bridged {
                self.attach_tc(netlink, device, Side::Ingress).await?;
            }
            self.links.take_off(device.index, Hook::Xdp)?;
        }
        for step in steps {
            let note = match step {
                Mode::Native if is_veth(device) => VETH_NATIVE.to_owned(),
                Mode::Native => String::new(),
                Mode::Generic | Mode::Tc | Mode::Auto => why.join("; "),
            };
            self.set_note_text(device, &note)?;
            let attached = match step {
                Mode::Native => self.attach_xdp(device, XDP_FLAGS_DRV_MODE),
                Mode::Generic => self.attach_xdp(device, XDP_FLAGS_SKB_MODE),
                // It is attached already, or has just been, as the bridge.
                Mode::Tc | Mode::Auto if old.is_some() => Ok(()),
                Mode::Tc | Mode::Auto => self.attach_tc(netlink, device, Side::Ingress).await,
            };
            match attached {
                Ok(()) => {
                    if *step != Mode::Tc {
                        self.detach_tc(netlink, device, Side::Ingress).await?;
                    }
                    return Ok(());
                }
                Err(error) if Some(step) == steps.last() => return Err(error),
                Err(error) => {
                    why.push(error.to_string());
                    why.extend(choice.left_out().map(str::to_owned));
                }
            }
        }
        Ok(())
    }

    /// Leaves `device`: detaches everything of ours from it, and forgets it.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub async fn detach(&mut self, netlink: &Netlink, device: &Device) -> Result<()> {
        for hook in Hook::ALL {
            self.links.remove(device.index, hook)?;
        }
        // A process that died while it replaced programs may have left both builds of them.
        clsact::detach_all(netlink, device).await?;
        if self.maps.note(device.index).own_clsact {
            clsact::remove_if_empty(netlink, device).await?;
        }
        self.maps.forget_device(device.index)
    }

    /// Tells the programs the devices' hardware addresses and what they have for their own.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn know(&mut self, devices: &[Known]) -> Result<()> {
        self.maps.set_devices(devices)
    }

    /// Tells the programs which stations are this host: the hardware addresses of all of its devices,
    /// with their interface indexes.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn know_stations(&mut self, own: &BTreeMap<Mac, u32>) -> Result<()> {
        self.maps.set_stations(own)
    }

    /// Forgets a device that is gone from the namespace.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn forget(&mut self, index: u32) -> Result<()> {
        for hook in Hook::ALL {
            self.links.remove(index, hook)?;
        }
        self.maps.forget_device(index)
    }

    /// Notes why a device's ingress hook is not a better one.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn set_note_text(&mut self, device: &Device, text: &str) -> Result<()> {
        let note = Note {
            text: text.to_owned(),
            ..self.maps.note(device.index)
        };
        self.maps.set_note(device.index, &note)
    }

    /// Another XDP program on the device, by name and number.
    fn foreign_xdp(&self, device: &Device) -> Result<Option<String>> {
        let Some(found) = &device.xdp else {
            return Ok(None);
        };
        if found.program == self.programs.of(Hook::Xdp).id {
            return Ok(None);
        }
        let name = name(found.program);
        Ok(Some(described(found.program, name.as_deref())))
    }

    async fn tc_hook(
        &self,
        netlink: &Netlink,
        device: &Device,
        side: Side,
    ) -> Result<Option<Egress>> {
        let hook = Hook::Tc(side);
        let ours = self.programs.of(hook).id;
        // Kernels without TCX refuse the question.
        if sys::attached(device.index, hook.attach_type()).is_ok_and(|all| all.contains(&ours)) {
            return Ok(Some(Egress::Tcx));
        }
        let clsact = clsact::has(netlink, device, side, ours).await?;
        Ok(clsact.then_some(Egress::Clsact))
    }

    fn attach_xdp(&mut self, device: &Device, mode: u32) -> Result<()> {
        let tried = match mode {
            XDP_FLAGS_DRV_MODE => REFUSED,
            _ => "generic XDP",
        };
        self.link(device, Hook::Xdp, mode)
            .map_err(|cause| Error::from_cause(tried, &device.name, &cause))
            .and_then(|link| self.links.keep(device.index, Hook::Xdp, link))
    }

    async fn attach_tc(&mut self, netlink: &Netlink, device: &Device, side: Side) -> Result<()> {
        let hook = Hook::Tc(side);
        // Before all others: one that ends the walk would let frames past us.
        match self.link(device, hook, BPF_F_BEFORE) {
            Ok(link) => self.links.keep(device.index, hook, link),
            Err(cause) if is_unknown(&cause) => {
                self.add_clsact(netlink, device).await?;
                let program = self.programs.of(hook);
                clsact::attach(netlink, device, side, program).await?;
                if self.pins().is_none() {
                    // A filter outlives the process that held its program, were it killed.
                    clsact::detach_namesakes(netlink, device, side, program).await?;
                }
                Ok(())
            }
            Err(cause) => Err(Error::from_cause("attach by TCX", &device.name, &cause)),
        }
    }

    /// Adds the qdisc where there is none, which is noted first: a process that dies in between
    /// leaves none of which nobody knows whose it is.
    async fn add_clsact(&mut self, netlink: &Netlink, device: &Device) -> Result<()> {
        if clsact::is_there(netlink, device).await? {
            return Ok(());
        }
        let before = self.maps.note(device.index);
        let own = Note {
            own_clsact: true,
            ..before.clone()
        };
        self.maps.set_note(device.index, &own)?;
        let added = clsact::add(netlink, device).await;
        if !matches!(added, Ok(true)) {
            self.maps.set_note(device.index, &before)?;
        }
        added.map(drop)
    }

    fn link(&self, device: &Device, hook: Hook, flags: u32) -> io::Result<OwnedFd> {
        let program = self.programs.of(hook);
        sys::attach(program, device.index, hook.attach_type(), flags)
    }

    async fn detach_tc(&mut self, netlink: &Netlink, device: &Device, side: Side) -> Result<()> {
        let hook = Hook::Tc(side);
        self.links.take_off(device.index, hook)?;
        clsact::detach(netlink, device, side, self.programs.of(hook).id).await
    }
}

/// Whether the kernel does not know TCX at all.
pub(super) fn is_unknown(cause: &io::Error) -> bool {
    matches!(errno(cause), Some(Errno::EINVAL | Errno::EOPNOTSUPP))
}
