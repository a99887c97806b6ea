//! Attaching the programs to a device, by the best hook that it has.
//!
//! What is attached is read from the kernel each time. The egress hook comes first, so there is no
//! moment at which a device is silent to requests and leaks in its own.

use aya::programs::{
    LinkOrder, ProgramError, SchedClassifier, TcAttachType, Xdp, XdpMode, links::FdLink,
    loaded_programs, tc::TcAttachOptions,
};
use nix::errno::Errno;

use super::{
    Attached, Datapath, Egress, Ingress, Mode, clsact, link,
    maps::{Known, Note},
};
use crate::{
    error::{Error, Result, errno},
    host::{Device, Netlink},
};

pub(super) const XDP: &str = "xdp";
const INGRESS: &str = "ingress";
const EGRESS: &str = "egress";

/// XDP on veth copies each packet into a buffer of its own, and in the driver it takes segmentation
/// offload away from the peer (`veth_xdp_set` in `drivers/net/veth.c`).
const VETH: &str = "on veth XDP would copy every packet";
/// What is transmitted then wakes no peer without an XDP program (`veth_xdp_flush`).
const VETH_NATIVE: &str = "answers are lost unless the peer has an XDP program too";

impl Datapath {
    /// What is attached to `device` now.
    ///
    /// # Errors
    /// Where the kernel does not tell.
    pub async fn attached(&self, netlink: &Netlink, device: &Device) -> Result<Attached> {
        let xdp = match &device.xdp {
            Some(found) if found.program == self.xdp_program()? => Some(found.generic),
            _ => None,
        };
        let ingress = match xdp {
            Some(false) => Some(Ingress::Native),
            Some(true) => Some(Ingress::Generic),
            None => {
                let hook = self.tc_hook(netlink, device, TcAttachType::Ingress).await?;
                hook.map(|hook| match hook {
                    Egress::Tcx => Ingress::Tcx,
                    Egress::Clsact => Ingress::Clsact,
                })
            }
        };
        let egress = self.tc_hook(netlink, device, TcAttachType::Egress).await?;
        let note = self.maps.note(device.index).text;
        Ok(Attached {
            ingress,
            egress,
            note,
        })
    }

    /// Guards `device`: makes it known to the programs, with its addresses, and attaches what is
    /// not attached yet. Returns what was attached before.
    ///
    /// # Errors
    /// Where a hook cannot be had. Then the device is as it was.
    pub async fn guard(
        &mut self,
        netlink: &Netlink,
        device: &Device,
        known: Known,
        mode: Mode,
    ) -> Result<Attached> {
        let before = self.attached(netlink, device).await?;
        let done = self.complete(netlink, device, known, mode, &before).await;
        if done.is_err() && before == Attached::default() {
            self.detach(netlink, device).await?;
        }
        done.map(|()| before)
    }

    async fn complete(
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
            self.attach_tc(device, TcAttachType::Egress)?;
        }
        match before.ingress {
            Some(ingress) if ingress.satisfies(mode) => Ok(()),
            _ => self.climb(netlink, device, mode, before.ingress).await,
        }
    }

    /// Takes the best ingress hook that `mode` allows, and then leaves the `old` one.
    async fn climb(
        &mut self,
        netlink: &Netlink,
        device: &Device,
        mode: Mode,
        old: Option<Ingress>,
    ) -> Result<()> {
        let foreign = self.foreign_xdp(device)?;
        let steps: &[Mode] = match mode {
            Mode::Auto if foreign.is_some() => &[Mode::Tc],
            Mode::Auto if is_veth(device) => &[Mode::Tc],
            Mode::Auto => &[Mode::Native, Mode::Generic, Mode::Tc],
            Mode::Native => &[Mode::Native],
            Mode::Generic => &[Mode::Generic],
            Mode::Tc => &[Mode::Tc],
        };
        let mut why = match (&foreign, mode) {
            (Some(name), _) => vec![format!("the XDP program {name} is attached")],
            (None, Mode::Auto) if steps == [Mode::Tc] => vec![VETH.to_owned()],
            (None, Mode::Auto) => Vec::new(),
            (None, Mode::Native | Mode::Generic | Mode::Tc) => vec!["as told".to_owned()],
        };
        if let (Some(name), Mode::Native | Mode::Generic) = (&foreign, mode) {
            let why = format!("the XDP program {name} is attached already");
            return Err(Error::new("attach by XDP", &device.name, why)
                .advise("use --attach tc, or --attach auto, which takes the TC hook then"));
        }
        // The kernel has native and generic XDP on a device only in turn; the TC hook bridges.
        if matches!(old, Some(Ingress::Native | Ingress::Generic)) {
            self.attach_tc(device, TcAttachType::Ingress)?;
            link::detach(&self.pins, device.index, XDP)?;
        }
        for step in steps {
            let attached = match step {
                Mode::Native => self.attach_xdp(device, XdpMode::Driver),
                Mode::Generic => self.attach_xdp(device, XdpMode::Skb),
                // It is attached already, or has just been, as the bridge.
                Mode::Tc | Mode::Auto if old.is_some() => Ok(()),
                Mode::Tc | Mode::Auto => self.attach_tc(device, TcAttachType::Ingress),
            };
            match attached {
                Ok(()) => {
                    if *step != Mode::Tc {
                        self.detach_tc(netlink, device, TcAttachType::Ingress)
                            .await?;
                    }
                    if *step == Mode::Native {
                        why.clear();
                        why.extend(is_veth(device).then(|| VETH_NATIVE.to_owned()));
                    }
                    return self.set_note_text(device, &why.join("; "));
                }
                Err(error) if Some(step) == steps.last() => return Err(error),
                Err(error) => why.push(error.to_string()),
            }
        }
        Ok(())
    }

    /// Leaves `device`: detaches everything of ours from it, and forgets it.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub async fn detach(&mut self, netlink: &Netlink, device: &Device) -> Result<()> {
        link::detach(&self.pins, device.index, XDP)?;
        for hook in [TcAttachType::Ingress, TcAttachType::Egress] {
            self.detach_tc(netlink, device, hook).await?;
        }
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

    /// Forgets a device that is gone from the namespace.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn forget(&mut self, index: u32) -> Result<()> {
        for hook in [XDP, INGRESS, EGRESS] {
            link::detach(&self.pins, index, hook)?;
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
        if found.program == self.xdp_program()? {
            return Ok(None);
        }
        let name = loaded_programs()
            .flatten()
            .find(|program| program.id() == found.program)
            .and_then(|program| program.name_as_str().map(str::to_owned))
            .unwrap_or_default();
        Ok(Some(format!("{name:?} (id {})", found.program)))
    }

    fn xdp_program(&self) -> Result<u32> {
        identifier(self.programs.xdp.info().map(|info| info.id()))
    }

    pub(super) fn tc_identifier(&self, hook: TcAttachType) -> Result<u32> {
        let program = match hook {
            TcAttachType::Egress => &self.programs.tc_egress,
            TcAttachType::Ingress | TcAttachType::Custom(_) => &self.programs.tc_ingress,
        };
        identifier(program.info().map(|info| info.id()))
    }

    async fn tc_hook(
        &self,
        netlink: &Netlink,
        device: &Device,
        hook: TcAttachType,
    ) -> Result<Option<Egress>> {
        let ours = self.tc_identifier(hook)?;
        // Kernels without TCX refuse the question.
        if let Ok((_, programs)) = SchedClassifier::query_tcx(&device.name, hook)
            && programs.iter().any(|program| program.id() == ours)
        {
            return Ok(Some(Egress::Tcx));
        }
        let clsact = clsact::has(netlink, device, hook, ours).await?;
        Ok(clsact.then_some(Egress::Clsact))
    }

    fn attach_xdp(&mut self, device: &Device, mode: XdpMode) -> Result<()> {
        let tried = match mode {
            XdpMode::Driver => "native XDP",
            _ => "generic XDP",
        };
        let pins = self.pins.clone();
        let program: &mut Xdp = &mut self.programs.xdp;
        let link = program
            .attach_to_if_index(device.index, mode)
            .and_then(|id| program.take_link(id))
            .map_err(|cause| Error::from_cause(tried, &device.name, &cause))?;
        // The kernel refused a link, and took what cannot be pinned: dropping it detaches it.
        let link = FdLink::try_from(link)
            .map_err(|cause| Error::from_cause(tried, &device.name, &cause))?;
        link::pin(&pins, device.index, XDP, link)
    }

    fn attach_tc(&mut self, device: &Device, hook: TcAttachType) -> Result<()> {
        let pins = self.pins.clone();
        let program = self.programs.tc(hook);
        // Before all others: one that ends the walk would let frames past us.
        let options = TcAttachOptions::TcxOrder(LinkOrder::first());
        let link = program
            .attach_with_options(&device.name, hook, options)
            .and_then(|id| program.take_link(id));
        match link {
            Ok(link) => {
                let link = FdLink::try_from(link)
                    .map_err(|cause| Error::from_cause("attach by TCX", &device.name, &cause))?;
                link::pin(&pins, device.index, side(hook), link)
            }
            Err(cause) if is_unknown(&cause) => {
                let own_clsact = clsact::add(device)? || self.maps.note(device.index).own_clsact;
                let note = Note {
                    own_clsact,
                    ..self.maps.note(device.index)
                };
                self.maps.set_note(device.index, &note)?;
                clsact::attach(self.programs.tc(hook), device, hook)
            }
            Err(cause) => Err(Error::from_cause("attach by TCX", &device.name, &cause)),
        }
    }

    async fn detach_tc(
        &mut self,
        netlink: &Netlink,
        device: &Device,
        hook: TcAttachType,
    ) -> Result<()> {
        link::detach(&self.pins, device.index, side(hook))?;
        clsact::detach(netlink, device, hook, self.tc_identifier(hook)?).await
    }
}

fn is_veth(device: &Device) -> bool {
    device.kind.as_deref() == Some("veth")
}

/// Whether the kernel does not know TCX at all.
fn is_unknown(cause: &ProgramError) -> bool {
    matches!(errno(cause), Some(Errno::EINVAL | Errno::EOPNOTSUPP))
}

pub(super) const fn side(hook: TcAttachType) -> &'static str {
    match hook {
        TcAttachType::Egress => EGRESS,
        TcAttachType::Ingress | TcAttachType::Custom(_) => INGRESS,
    }
}

fn identifier(id: Result<u32, ProgramError>) -> Result<u32> {
    id.map_err(|cause| Error::from_cause("read what is loaded", "a program", &cause))
}
