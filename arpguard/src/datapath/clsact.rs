//! The clsact qdisc, which holds the TC programs before Linux 6.6.
//!
//! It may be somebody else's, and hold other filters: it goes only when it is ours and empty.

use std::{
    io,
    os::fd::{AsFd as _, AsRawFd as _},
};

use futures_util::{StreamExt as _, TryStreamExt as _};
use nix::errno::Errno;
use rtnetlink::{
    packet_core::{
        NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, NLM_F_REQUEST, NetlinkMessage,
        NetlinkPayload,
    },
    packet_route::{
        RouteNetlinkMessage,
        tc::{
            TcAttribute, TcBpfFlags, TcFilterBpf, TcFilterBpfOption, TcHandle, TcHeader, TcMessage,
            TcOption,
        },
    },
};

use super::{
    hooks::{Hook, Side},
    program::Program,
};
use crate::{
    device::Device,
    error::{Error, Result, errno},
    fault,
    netlink::Netlink,
};

const CLSACT: &str = "clsact";
/// The kind of an ingress qdisc.
pub const INGRESS: &str = "ingress";
/// `TC_H_CLSACT` of `linux/pkt_sched.h`
const HANDLE: TcHandle = TcHandle {
    major: 0xffff,
    minor: 0xfff1,
};
const ADD: &str = "add a clsact qdisc";
/// `ETH_P_ALL` of `linux/if_ether.h`, in network byte order.
const EVERY_PROTOCOL: u16 = 0x0003_u16.to_be();

/// The qdisc that holds a device's TC filters for received frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Qdisc {
    /// It holds those for sent frames too.
    Clsact,
    /// It has the same place, and takes a filter for sent frames as one for received ones
    /// (`ingress_tcf_block` in `net/sched/sch_ingress.c`).
    Ingress,
}

impl Qdisc {
    const ALL: [Self; 2] = [Self::Clsact, Self::Ingress];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Clsact => CLSACT,
            Self::Ingress => INGRESS,
        }
    }
}

/// Adds the qdisc; whether it was not there before.
pub(super) async fn add(netlink: &Netlink, device: &Device) -> Result<bool> {
    let mut message = TcMessage::with_index(device.index.cast_signed());
    message.header.parent = HANDLE;
    message.header.handle = TcHandle {
        major: HANDLE.major,
        minor: 0,
    };
    message.attributes = vec![TcAttribute::Kind(CLSACT.to_owned())];
    let message = RouteNetlinkMessage::NewQueueDiscipline(message);
    match request(netlink, message, NLM_F_CREATE | NLM_F_EXCL).await {
        Ok(()) => Ok(true),
        Err(cause) if errno(&cause) == Some(Errno::EEXIST) => {
            is_there(netlink, device).await?;
            Ok(false)
        }
        Err(cause) => Err(Error::from_cause(ADD, &device.name, &cause)),
    }
}

/// Attaches a program before the filters that are there.
pub(super) async fn attach(
    netlink: &Netlink,
    device: &Device,
    side: Side,
    program: &Program,
) -> Result<()> {
    let mut header = TcMessage::with_index(device.index.cast_signed()).header;
    header.parent = parent(side);
    // Without a priority the kernel chooses one below the lowest there is (`tcf_auto_prio`).
    header.info = u32::from(EVERY_PROTOCOL);
    write(netlink, header, side, program, NLM_F_CREATE | NLM_F_EXCL)
        .await
        .map_err(|cause| Error::from_cause("attach a TC filter", &device.name, &cause))
}

/// Puts `next` in place of all other programs of its name on a hook. There may be several builds of
/// it, where processes have died that replaced one by the other.
pub(super) async fn replace(
    netlink: &Netlink,
    device: &Device,
    side: Side,
    next: &Program,
) -> Result<()> {
    for filter in namesakes(netlink, device, side, next).await? {
        write(netlink, filter.header, side, next, NLM_F_REPLACE)
            .await
            .map_err(|cause| Error::from_cause("replace a TC filter", &device.name, &cause))?;
    }
    Ok(())
}

/// Detaches the program with this identifier from a hook, if it is there.
pub(super) async fn detach(
    netlink: &Netlink,
    device: &Device,
    side: Side,
    program: u32,
) -> Result<()> {
    remove(netlink, device, own(netlink, device, side, program).await?).await
}

/// Detaches all other programs of the name that `program` has.
pub(super) async fn detach_namesakes(
    netlink: &Netlink,
    device: &Device,
    side: Side,
    program: &Program,
) -> Result<()> {
    let filters = namesakes(netlink, device, side, program).await?;
    remove(netlink, device, filters).await
}

/// Detaches all programs of our names, whichever build they are of.
pub(super) async fn detach_all(netlink: &Netlink, device: &Device) -> Result<()> {
    for side in [Side::Ingress, Side::Egress] {
        let filters = named(netlink, device, side).await?;
        remove(netlink, device, filters).await?;
    }
    Ok(())
}

/// The filters of a hook that run another program of the name that `program` has.
async fn namesakes(
    netlink: &Netlink,
    device: &Device,
    side: Side,
    program: &Program,
) -> Result<Vec<TcMessage>> {
    let mut filters = named(netlink, device, side).await?;
    filters.retain(|filter| !runs(filter, program.id));
    Ok(filters)
}

/// The filters of a hook that run a program of our name.
async fn named(netlink: &Netlink, device: &Device, side: Side) -> Result<Vec<TcMessage>> {
    let name = TcFilterBpfOption::ProgName(name(side));
    let mut filters = filters(netlink, device, side).await?;
    filters.retain(|filter| has_option(filter, name.clone()));
    Ok(filters)
}

async fn remove(netlink: &Netlink, device: &Device, filters: Vec<TcMessage>) -> Result<()> {
    for filter in filters {
        let mut message = TcMessage::default();
        message.header = filter.header;
        let message = RouteNetlinkMessage::DelTrafficFilter(message);
        match request(netlink, message, 0).await {
            Err(cause) if !is_gone(&cause) => {
                return Err(Error::from_cause(
                    "detach a TC filter",
                    &device.name,
                    &cause,
                ));
            }
            _ => {}
        }
    }
    Ok(())
}

async fn write(
    netlink: &Netlink,
    header: TcHeader,
    side: Side,
    program: &Program,
    flags: u16,
) -> io::Result<()> {
    let options = [
        TcFilterBpfOption::ProgFd(program.as_fd().as_raw_fd().cast_unsigned()),
        TcFilterBpfOption::ProgName(name(side)),
        TcFilterBpfOption::Flags(TcBpfFlags::DirectAction),
    ];
    let mut message = TcMessage::default();
    message.header = header;
    message.attributes = vec![
        TcAttribute::Kind(TcFilterBpf::KIND.to_owned()),
        TcAttribute::Options(options.map(TcOption::Bpf).to_vec()),
    ];
    request(
        netlink,
        RouteNetlinkMessage::NewTrafficFilter(message),
        flags,
    )
    .await
}

async fn request(netlink: &Netlink, message: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
    fault::point(match message {
        RouteNetlinkMessage::NewQueueDiscipline(_) => "tc/qdisc",
        RouteNetlinkMessage::DelQueueDiscipline(_) => "tc/qdisc/remove",
        RouteNetlinkMessage::DelTrafficFilter(_) => "tc/filter/remove",
        _ => "tc/filter",
    })?;
    let mut message = NetlinkMessage::from(message);
    message.header.flags = NLM_F_REQUEST | NLM_F_ACK | flags;
    let mut answers = netlink
        .handle()
        .clone()
        .request(message)
        .map_err(io::Error::other)?;
    while let Some(answer) = answers.next().await {
        if let NetlinkPayload::Error(error) = answer.payload
            && error.code.is_some()
        {
            return Err(error.to_io());
        }
    }
    Ok(())
}

/// The filters of a hook that run the program with this identifier.
async fn own(
    netlink: &Netlink,
    device: &Device,
    side: Side,
    program: u32,
) -> Result<Vec<TcMessage>> {
    let mut filters = filters(netlink, device, side).await?;
    filters.retain(|filter| runs(filter, program));
    Ok(filters)
}

/// Whether the program with this identifier is among the filters of a hook.
pub(super) async fn has(
    netlink: &Netlink,
    device: &Device,
    side: Side,
    program: u32,
) -> Result<bool> {
    Ok(!own(netlink, device, side, program).await?.is_empty())
}

/// The filters of a hook, whichever qdisc they are in: the name of each one's program, with its
/// identifier, or else its kind.
pub(super) async fn all(
    netlink: &Netlink,
    device: &Device,
    side: Side,
) -> Result<Vec<(Qdisc, String, Option<u32>)>> {
    let Some(qdisc) = qdisc(netlink, device).await? else {
        return Ok(Vec::new());
    };
    let filters = match (qdisc, side) {
        (Qdisc::Clsact, _) | (Qdisc::Ingress, Side::Ingress) => read(netlink, device, side).await?,
        // It would tell those for received frames once more.
        (Qdisc::Ingress, Side::Egress) => Vec::new(),
    };
    let tell = |filter: &TcMessage| {
        let (mut kind, mut name, mut program) = (String::new(), None, None);
        for attribute in &filter.attributes {
            match attribute {
                TcAttribute::Kind(text) => kind.clone_from(text),
                TcAttribute::Options(options) => {
                    for option in options {
                        match option {
                            TcOption::Bpf(TcFilterBpfOption::ProgName(text)) => {
                                name = Some(text.clone());
                            }
                            TcOption::Bpf(TcFilterBpfOption::ProgId(id)) => program = Some(*id),
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
        (qdisc, name.unwrap_or(kind), program)
    };
    Ok(filters.iter().map(tell).collect())
}

fn runs(filter: &TcMessage, program: u32) -> bool {
    has_option(filter, TcFilterBpfOption::ProgId(program))
}

fn has_option(filter: &TcMessage, option: TcFilterBpfOption) -> bool {
    let option = TcOption::Bpf(option);
    filter.attributes.iter().any(|attribute| match attribute {
        TcAttribute::Options(options) => options.contains(&option),
        _ => false,
    })
}

fn name(side: Side) -> String {
    Hook::Tc(side).programs().concat()
}

const fn parent(side: Side) -> TcHandle {
    TcHandle {
        major: HANDLE.major,
        minor: match side {
            Side::Ingress => TcHandle::MIN_INGRESS,
            Side::Egress => TcHandle::MIN_EGRESS,
        },
    }
}

/// Removes the qdisc if it is empty.
pub(super) async fn remove_if_empty(netlink: &Netlink, device: &Device) -> Result<()> {
    // The kernel removes what is in its place, of whichever kind.
    if qdisc(netlink, device).await? != Some(Qdisc::Clsact) {
        return Ok(());
    }
    for side in [Side::Ingress, Side::Egress] {
        if !filters(netlink, device, side).await?.is_empty() {
            return Ok(());
        }
    }
    let mut message = TcMessage::with_index(device.index.cast_signed());
    message.header.parent = HANDLE;
    let message = RouteNetlinkMessage::DelQueueDiscipline(message);
    match request(netlink, message, 0).await {
        Err(cause) if !is_gone(&cause) => Err(Error::from_cause(
            "remove the clsact qdisc",
            &device.name,
            &cause,
        )),
        _ => Ok(()),
    }
}

/// Whether what was to be removed went before: the filter, the qdisc, or the device with both. Of a
/// qdisc that is not there the kernel says that the request is none (`EINVAL`).
fn is_gone(cause: &(dyn std::error::Error + 'static)) -> bool {
    let gone = [Errno::ENOENT, Errno::EINVAL, Errno::ENODEV];
    errno(cause).is_some_and(|errno| gone.contains(&errno))
}

/// Whether there is a clsact qdisc.
///
/// # Errors
/// Where an ingress qdisc is in its place.
pub(super) async fn is_there(netlink: &Netlink, device: &Device) -> Result<bool> {
    match qdisc(netlink, device).await? {
        None => Ok(false),
        Some(Qdisc::Clsact) => Ok(true),
        Some(Qdisc::Ingress) => {
            let why = "an ingress qdisc is in its place, which has no hook for sent frames";
            Err(Error::new(ADD, &device.name, why).advise(
                "move its filters: tc qdisc del dev IF ingress, tc qdisc add dev IF clsact, tc \
                 filter add dev IF ingress ...",
            ))
        }
    }
}

/// The qdisc that a device has in the place of clsact, if any.
pub(super) async fn qdisc(netlink: &Netlink, device: &Device) -> Result<Option<Qdisc>> {
    let mut qdiscs = netlink.handle().qdisc().get().execute();
    let tried = |cause| Error::from_cause("read the qdiscs", &device.name, &cause);
    while let Some(found) = qdiscs.try_next().await.map_err(tried)? {
        if found.header.index == device.index.cast_signed() {
            let is = |qdisc: &Qdisc| {
                let kind = TcAttribute::Kind(qdisc.name().to_owned());
                found.attributes.contains(&kind)
            };
            if let Some(qdisc) = Qdisc::ALL.into_iter().find(is) {
                return Ok(Some(qdisc));
            }
        }
    }
    Ok(None)
}

/// The filters of a hook in a clsact qdisc. Arpguard has none in another one.
async fn filters(netlink: &Netlink, device: &Device, side: Side) -> Result<Vec<TcMessage>> {
    match qdisc(netlink, device).await? {
        Some(Qdisc::Clsact) => read(netlink, device, side).await,
        Some(Qdisc::Ingress) | None => Ok(Vec::new()),
    }
}

/// The filters of a hook. Without a qdisc for them, asking is an error.
async fn read(netlink: &Netlink, device: &Device, side: Side) -> Result<Vec<TcMessage>> {
    let mut handle = netlink.handle().traffic_filter(device.index.cast_signed());
    let request = match side {
        Side::Egress => handle.get().egress(),
        Side::Ingress => handle.get().ingress(),
    };
    let mut answers = request.execute();
    let tried = |cause| Error::from_cause("read the TC filters", &device.name, &cause);
    let mut filters = Vec::new();
    loop {
        let filter = match answers.try_next().await {
            Ok(Some(filter)) => filter,
            Ok(None) => break,
            Err(cause) if is_gone(&cause) => return Ok(Vec::new()),
            Err(cause) => return Err(tried(cause)),
        };
        // The kernel tells of each priority first, without a handle, then of the filters in it.
        if filter.header.handle != TcHandle::default() {
            filters.push(filter);
        }
    }
    Ok(filters)
}
