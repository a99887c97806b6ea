//! The macvlan devices, and those like them, that are on this network namespace's devices, wherever
//! they are.

use std::{
    collections::BTreeMap,
    error::Error as StdError,
    fs::{self, File},
    io,
    net::Ipv4Addr,
    os::{
        fd::{AsFd as _, AsRawFd as _},
        unix::fs::MetadataExt as _,
    },
    path::{Path, PathBuf},
    thread,
};

use futures_util::{StreamExt as _, TryStreamExt as _};
use nix::{
    errno::Errno,
    sched::{CloneFlags, setns},
};
use rtnetlink::{
    packet_core::{NLM_F_REQUEST, NetlinkMessage, NetlinkPayload},
    packet_route::{
        RouteNetlinkMessage,
        link::{InfoKind, LinkAttribute, LinkInfo, LinkMessage},
        nsid::{NsidAttribute, NsidMessage},
    },
};

use super::{
    addresses,
    netns::{NAMED, OWN},
    processes::{self, NAMESPACE},
};
use crate::{
    error::{Error, Result},
    netlink::Netlink,
};

/// A device that hears and speaks by the hooks of the one below it: macvlan, macvtap, ipvlan or ipvtap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Child {
    /// Its kind.
    pub kind: String,
    /// Its name, in its own namespace.
    pub name: String,
    /// The interface index of the device below it, which is in this namespace.
    pub lower: u32,
    /// A file of its namespace, where that is another one.
    pub namespace: Option<PathBuf>,
    /// Its addresses.
    pub addresses: Vec<Ipv4Addr>,
}

/// Such devices, and why some may be missing.
#[derive(Clone, Debug, Default)]
pub struct Children {
    /// Those that were found.
    pub found: Vec<Child>,
    /// What has kept namespaces from being looked into.
    pub unseen: Option<String>,
}

impl Children {
    /// Looks into this namespace, those with a name and those of processes that this one may look
    /// into. Nothing is changed: each is entered by a thread of its own.
    ///
    /// # Errors
    /// Where this process may not know its own namespace.
    pub fn observe() -> io::Result<Self> {
        let own = File::open(OWN)?;
        let id = own.metadata()?;
        let id = (id.dev(), id.ino());
        let mut namespaces = BTreeMap::from([(id, PathBuf::from(OWN))]);
        let mut children = Self::default();
        for path in files() {
            // A process that ends meanwhile has none, and some may be looked into by nobody.
            if let Ok(file) = fs::metadata(&path) {
                namespaces.entry((file.dev(), file.ino())).or_insert(path);
            }
        }
        for (other, path) in namespaces {
            let is_own = other == id;
            let look = || look(&path, (!is_own).then_some(&own));
            let looked = thread::scope(|scope| scope.spawn(look).join());
            match looked {
                Ok(Ok(found)) => children.found.extend(found.into_iter().map(|child| Child {
                    namespace: (!is_own).then(|| path.clone()),
                    ..child
                })),
                Ok(Err(_)) if !path.exists() => {}
                Ok(Err(error)) => children.unseen = Some(error.to_string()),
                Err(_) => children.unseen = Some("a thread has died".to_owned()),
            }
        }
        Ok(children)
    }
}

/// The files of namespaces, those with a name first.
fn files() -> impl Iterator<Item = PathBuf> {
    let named = fs::read_dir(NAMED).into_iter().flatten().flatten();
    let processes = processes::all().into_iter().flatten().flatten();
    named
        .map(|entry| entry.path())
        .chain(processes.map(|(_, process)| process.join(NAMESPACE)))
}

/// Such devices of a namespace that are on devices of `own`, or of itself where that is not
/// told.
fn look(namespace: &Path, own: Option<&File>) -> Result<Vec<Child>> {
    let tried = |cause: &(dyn StdError + 'static)| {
        Error::from_cause("look into", namespace.display(), cause)
    };
    if own.is_some() {
        let file = File::open(namespace).map_err(|cause| tried(&cause))?;
        match setns(file.as_fd(), CloneFlags::CLONE_NEWNET) {
            // A file on which `ip netns` has mounted none yet, or none any more.
            Err(Errno::EINVAL) => return Ok(Vec::new()),
            entered => entered.map_err(|cause| tried(&cause))?,
        }
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|cause| tried(&cause))?;
    runtime.block_on(async {
        let netlink = Netlink::connect()?;
        let number = match own {
            None => None,
            Some(own) => match number(&netlink, own).await? {
                Some(number) => Some(number),
                // It knows nothing of this one, so has nothing from it.
                None => return Ok(Vec::new()),
            },
        };
        let mut children = BTreeMap::new();
        let mut messages = netlink.handle().link().get().execute();
        while let Some(message) = messages.try_next().await.map_err(|cause| tried(&cause))? {
            let (index, child, of) = match child(&message) {
                Some(found) => found,
                None => continue,
            };
            if of == number {
                children.insert(index, child);
            }
        }
        for (index, address) in addresses::read(&netlink).await? {
            if let Some(child) = children.get_mut(&index) {
                child.addresses.push(address.address);
            }
        }
        Ok(children.into_values().collect())
    })
}

/// Such a device by its index, and the number of the namespace in which the device below it is,
/// where that is another one.
fn child(message: &LinkMessage) -> Option<(u32, Child, Option<i32>)> {
    let (mut name, mut lower, mut of, mut kind) = (None, None, None, None);
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(text) => name = Some(text.clone()),
            LinkAttribute::Link(index) => lower = Some(*index),
            LinkAttribute::LinkNetNsId(number) => of = Some(*number),
            LinkAttribute::LinkInfo(infos) => {
                kind = infos.iter().find_map(|info| match info {
                    LinkInfo::Kind(
                        kind @ (InfoKind::MacVlan
                        | InfoKind::MacVtap
                        | InfoKind::IpVlan
                        | InfoKind::IpVtap),
                    ) => Some(kind.to_string()),
                    _ => None,
                });
            }
            _ => {}
        }
    }
    let child = Child {
        kind: kind?,
        name: name?,
        lower: lower?,
        namespace: None,
        addresses: Vec::new(),
    };
    Some((message.header.index, child, of))
}

/// The number by which a namespace knows another, if it does.
async fn number(netlink: &Netlink, other: &File) -> Result<Option<i32>> {
    let tried =
        |cause: &(dyn StdError + 'static)| Error::from_cause("number", "network namespaces", cause);
    let mut message = NsidMessage::default();
    let descriptor = other.as_raw_fd().unsigned_abs();
    message.attributes.push(NsidAttribute::Fd(descriptor));
    let mut message = NetlinkMessage::from(RouteNetlinkMessage::GetNsId(message));
    message.header.flags = NLM_F_REQUEST;
    let mut answers = netlink
        .handle()
        .clone()
        .request(message)
        .map_err(|cause| tried(&cause))?;
    while let Some(answer) = answers.next().await {
        match answer.payload {
            NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewNsId(told)) => {
                let number = told
                    .attributes
                    .iter()
                    .find_map(|attribute| match attribute {
                        NsidAttribute::Id(number) => Some(*number),
                        _ => None,
                    });
                return Ok(number.filter(|number| *number >= 0));
            }
            NetlinkPayload::Error(error) => return Err(tried(&error.to_io())),
            _ => {}
        }
    }
    Ok(None)
}
