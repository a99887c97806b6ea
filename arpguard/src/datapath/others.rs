//! Programs of others on a device, which arpguard's come before.

use aya::programs::loaded_programs;
use nix::errno::Errno;

use super::{
    Egress, Hook,
    attach::is_unknown,
    clsact::{self, Qdisc},
    hooks::Side,
    sys,
};
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
    /// The hook: TCX, or the qdisc that has it.
    pub hook: &'static str,
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

/// A program in words, by its number and its name where that is known.
pub fn described(program: u32, name: Option<&str>) -> String {
    let name = name.map(|name| format!("{name:?} "));
    format!("{}(id {program})", name.unwrap_or_default())
}

/// The TC hook that this kernel has for arpguard; `None` where it does not tell this process.
pub fn tc_hook() -> Option<Egress> {
    const NO_DEVICE: u32 = 0;
    match sys::attached(NO_DEVICE, Hook::Tc(Side::Ingress).attach_type()) {
        Ok(_) => Some(Egress::Tcx),
        Err(cause) if errno(&cause) == Some(Errno::ENODEV) => Some(Egress::Tcx),
        Err(cause) => is_unknown(&cause).then_some(Egress::Clsact),
    }
}

/// Whether an ingress qdisc is where a device would have a clsact qdisc.
///
/// # Errors
/// Where the kernel does not tell.
pub async fn lacks_clsact(netlink: &Netlink, device: &Device) -> Result<bool> {
    Ok(clsact::qdisc(netlink, device).await? == Some(Qdisc::Ingress))
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
                hook: Egress::Tcx.name(),
                name: name(program),
                program: Some(program),
            });
        }
        for (qdisc, name, program) in clsact::all(netlink, device, side).await? {
            others.push(Other {
                is_sent,
                hook: qdisc.name(),
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
    let tried = |cause| Error::from_cause("read the TCX programs", &device.name, &cause);
    sys::attached(device.index, hook.attach_type()).or_else(|cause| match is_unknown(&cause) {
        // Before Linux 6.6 there is no such hook.
        true => Ok(Vec::new()),
        false => Err(tried(cause)),
    })
}
