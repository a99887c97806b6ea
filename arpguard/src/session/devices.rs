//! The devices that a plan guards, and those that it leaves.
//!
//! One after the other: the kernel waits for a grace period under its own lock with each link
//! (`tcx_entry_sync` in `include/net/tcx.h`), so several at a time would take no less.

use arpguard_common::policy::View;

use super::{Done, Session, is_kept_out, known};
use crate::{
    device::Device,
    error::{Error, Result},
    host::Host,
    interrupt,
    plan::{Plan, Rules},
    progress::Progress,
};

impl Session {
    pub(super) async fn guard(&mut self, plan: &Plan) -> Result<()> {
        let soon: Rules = plan.changes.iter().collect();
        let mut progress = Progress::of_devices(plan.guard.len());
        for device in &plan.guard {
            interrupt::check()?;
            let datapath = self.writer.loaded()?;
            let view = View::new(&soon, device.index);
            let known = known(datapath, device, |address| is_kept_out(&view, address))?;
            let before = datapath.attached(&self.netlink, device).await?;
            self.done
                .push(Done::Attached(device.clone(), before.clone()));
            let guarded = datapath
                .guard(&self.netlink, device, known, plan.attach, &before)
                .await;
            if let Err(error) = guarded {
                self.pass_over(device, plan, error).await?;
            }
            progress.step();
        }
        Ok(())
    }

    pub(super) async fn leave(&mut self, plan: &Plan) -> Result<()> {
        let mut progress = Progress::of_devices(plan.leave.len());
        for device in &plan.leave {
            interrupt::check()?;
            if let Some(datapath) = self.writer.datapath_mut() {
                let before = datapath.attached(&self.netlink, device).await?;
                self.done.push(Done::Attached(device.clone(), before));
                if let Err(error) = datapath.detach(&self.netlink, device).await {
                    self.pass_over(device, plan, error).await?;
                }
            }
            progress.step();
        }
        Ok(())
    }

    /// Goes on where a device has vanished in the meantime, which then has nothing to guard: to
    /// undo everything would leave the others without what they have just been given.
    ///
    /// # Errors
    /// `error`, where the device is there or is one that a rule names.
    async fn pass_over(&mut self, device: &Device, plan: &Plan, error: Error) -> Result<()> {
        let named = plan
            .changes
            .iter()
            .any(|of| of.place.device == device.index);
        let host = Host::observe(&self.netlink).await?;
        if named || host.by_index(device.index).is_some() {
            return Err(error);
        }
        self.host = host;
        self.writer.loaded()?.forget(device.index)
    }
}
