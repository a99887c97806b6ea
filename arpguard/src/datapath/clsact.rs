//! The clsact qdisc, which holds the TC programs before Linux 6.6.
//!
//! It may be somebody else's, and hold other filters: it goes only when it is ours and empty.

use aya::programs::{
    Link as _, SchedClassifier, TcAttachType,
    tc::{
        NlOptions, SchedClassifierLink, TcAttachOptions, TcError, TcHandle as TcFilterHandle,
        qdisc_add_clsact,
    },
};
use futures_util::TryStreamExt as _;
use nix::errno::Errno;
use rtnetlink::packet_route::tc::{TcAttribute, TcFilterBpfOption, TcHandle, TcMessage, TcOption};

use crate::{
    error::{Error, Result, errno},
    host::{Device, Netlink},
};

const KIND: &str = "clsact";
/// `TC_H_CLSACT` of `linux/pkt_sched.h`
const HANDLE: TcHandle = TcHandle {
    major: 0xffff,
    minor: 0xfff1,
};

/// Adds the qdisc; whether it was not there before.
pub(super) fn add(device: &Device) -> Result<bool> {
    match qdisc_add_clsact(&device.name) {
        Ok(()) => Ok(true),
        Err(TcError::AlreadyAttached) => Ok(false),
        Err(cause) if errno(&cause) == Some(Errno::EEXIST) => Ok(false),
        Err(cause) => Err(Error::from_cause(
            "add a clsact qdisc",
            &device.name,
            &cause,
        )),
    }
}

/// Attaches a program before the filters that are there.
pub(super) fn attach(
    program: &mut SchedClassifier,
    device: &Device,
    hook: TcAttachType,
) -> Result<()> {
    // Without a priority the kernel chooses one below the lowest there is (`tcf_auto_prio`).
    let options = TcAttachOptions::Netlink(NlOptions::default());
    let tried = |cause: &(dyn std::error::Error + 'static)| {
        Error::from_cause("attach a TC filter", &device.name, cause)
    };
    let id = program
        .attach_with_options(&device.name, hook, options)
        .map_err(|cause| tried(&cause))?;
    let link = program.take_link(id).map_err(|cause| tried(&cause))?;
    // Dropping it would detach the filter, which is to outlive this process.
    std::mem::forget(link);
    Ok(())
}

/// Detaches the program with this identifier from a hook, if it is there.
pub(super) async fn detach(
    netlink: &Netlink,
    device: &Device,
    hook: TcAttachType,
    program: u32,
) -> Result<()> {
    for filter in own(netlink, device, hook, program).await? {
        filter
            .detach()
            .map_err(|cause| Error::from_cause("detach a TC filter", &device.name, &cause))?;
    }
    Ok(())
}

/// Puts `next` in place of the program with this identifier on a hook, if it is there.
pub(super) async fn replace(
    netlink: &Netlink,
    device: &Device,
    hook: TcAttachType,
    program: u32,
    next: &mut SchedClassifier,
) -> Result<()> {
    for filter in own(netlink, device, hook, program).await? {
        let replaced = next
            .attach_to_link(filter)
            .and_then(|id| next.take_link(id));
        let link = replaced
            .map_err(|cause| Error::from_cause("replace a TC filter", &device.name, &cause))?;
        // As in `attach`.
        std::mem::forget(link);
    }
    Ok(())
}

/// The filters of a hook that run the program with this identifier.
async fn own(
    netlink: &Netlink,
    device: &Device,
    hook: TcAttachType,
    program: u32,
) -> Result<Vec<SchedClassifierLink>> {
    let mut own = Vec::new();
    for filter in filters(netlink, device, hook).await? {
        if runs(&filter, program) {
            // The upper half is the priority, the lower the protocol.
            let priority = (filter.header.info >> 16) as u16;
            let TcHandle { major, minor } = filter.header.handle;
            let handle = TcFilterHandle::new(major, minor);
            let link = SchedClassifierLink::attached(&device.name, hook, priority, handle, None);
            own.push(
                link.map_err(|cause| Error::from_cause("find a TC filter", &device.name, &cause))?,
            );
        }
    }
    Ok(own)
}

/// Whether the program with this identifier is among the filters of a hook.
pub(super) async fn has(
    netlink: &Netlink,
    device: &Device,
    hook: TcAttachType,
    program: u32,
) -> Result<bool> {
    let filters = filters(netlink, device, hook).await?;
    Ok(filters.iter().any(|filter| runs(filter, program)))
}

fn runs(filter: &TcMessage, program: u32) -> bool {
    let ours = TcOption::Bpf(TcFilterBpfOption::ProgId(program));
    filter.attributes.iter().any(|attribute| match attribute {
        TcAttribute::Options(options) => options.contains(&ours),
        _ => false,
    })
}

/// Removes the qdisc if it is empty.
pub(super) async fn remove_if_empty(netlink: &Netlink, device: &Device) -> Result<()> {
    for hook in [TcAttachType::Ingress, TcAttachType::Egress] {
        if !filters(netlink, device, hook).await?.is_empty() {
            return Ok(());
        }
    }
    let mut request = netlink.handle().qdisc().del(device.index.cast_signed());
    request.message_mut().header.parent = HANDLE;
    match request.execute().await {
        Err(cause) if !matches!(errno(&cause), Some(Errno::ENOENT | Errno::EINVAL)) => Err(
            Error::from_cause("remove the clsact qdisc", &device.name, &cause),
        ),
        _ => Ok(()),
    }
}

/// Whether there is a clsact qdisc at all: without one, asking for filters is an error.
async fn is_there(netlink: &Netlink, device: &Device) -> Result<bool> {
    let mut qdiscs = netlink.handle().qdisc().get().execute();
    let tried = |cause| Error::from_cause("read the qdiscs", &device.name, &cause);
    while let Some(qdisc) = qdiscs.try_next().await.map_err(tried)? {
        let clsact = |attribute: &TcAttribute| *attribute == TcAttribute::Kind(KIND.to_owned());
        if qdisc.header.index == device.index.cast_signed() && qdisc.attributes.iter().any(clsact) {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn filters(netlink: &Netlink, device: &Device, hook: TcAttachType) -> Result<Vec<TcMessage>> {
    if !is_there(netlink, device).await? {
        return Ok(Vec::new());
    }
    let mut handle = netlink.handle().traffic_filter(device.index.cast_signed());
    let request = match hook {
        TcAttachType::Egress => handle.get().egress(),
        TcAttachType::Ingress | TcAttachType::Custom(_) => handle.get().ingress(),
    };
    let mut answers = request.execute();
    let tried = |cause| Error::from_cause("read the TC filters", &device.name, &cause);
    let mut filters = Vec::new();
    while let Some(filter) = answers.try_next().await.map_err(tried)? {
        // The kernel tells of each priority first, without a handle, then of the filters in it.
        if filter.header.handle != TcHandle::default() {
            filters.push(filter);
        }
    }
    Ok(filters)
}
