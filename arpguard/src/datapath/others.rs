//! Programs of others on a device, which arpguard's come before.

use aya::programs::loaded_programs;
use nix::errno::Errno;

use super::{Egress, Hook, clsact, hooks::Side, sys};
use crate::{
    device::Device,
    error::{Error, Result, errno},
    netlink::Netlink,
};

/// A program on a TC hook that is not arpguard's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Other {
    /// Whether it sees what is sent, else what is received.
    pub is_sent: bool,
    /// The hook.
    pub hook: Egress,
    /// The name of the program, or the kind of a filter that is none; `None` where the kernel tells
    /// this process no names.
    pub name: Option<String>,
    /// The identifier of the program.
    pub program: Option<u32>,
}

/// The name of a program, which the kernel tells to CAP_SYS_ADMIN alone.
pub fn name(program: u32) -> Option<String> {
    let mut loaded = loaded_programs().flatten();
    let found = loaded.find(|one| one.id() == program)?;
    found.name_as_str().map(str::to_owned)
}

/// The programs of others on the TC hooks of a device. Those with arpguard's names are arpguard's.
///
/// # Errors
/// Where the kernel does not tell.
pub async fn others(netlink: &Netlink, device: &Device) -> Result<Vec<Other>> {
    let mut others = Vec::new();
    for side in [Side::Ingress, Side::Egress] {
        let (own, is_sent) = (Hook::Tc(side), side == Side::Egress);
        for program in tcx(device, own)? {
            others.push(Other {
                is_sent,
                hook: Egress::Tcx,
                name: name(program),
                program: Some(program),
            });
        }
        for (name, program) in clsact::all(netlink, device, side).await? {
            others.push(Other {
                is_sent,
                hook: Egress::Clsact,
                name: Some(name),
                program,
            });
        }
        let is_own = |name: &String| own.programs().contains(&name.as_str());
        others.retain(|other| !other.name.as_ref().is_some_and(is_own));
    }
    Ok(others)
}

fn tcx(device: &Device, hook: Hook) -> Result<Vec<u32>> {
    sys::attached(device.index, hook.attach_type()).or_else(|cause| match errno(&cause) {
        // Before Linux 6.6 there is no such hook.
        Some(Errno::EINVAL | Errno::EOPNOTSUPP) => Ok(Vec::new()),
        _ => Err(Error::from_cause(
            "read the TCX programs",
            &device.name,
            &cause,
        )),
    })
}
