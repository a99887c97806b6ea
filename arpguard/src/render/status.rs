//! The state, as `arpguard status` shows it.

use std::{net::Ipv4Addr, path::PathBuf};

use arpguard_common::{
    abi::{Shape, counter},
    policy::View,
    verdict::{Mode, Policy, Reason},
};
use serde::Serialize;

use crate::{
    datapath::{Attached, Datapath, Egress, Ingress, Keeper, Totals},
    error::Result,
    host::Host,
    netlink::Netlink,
};

/// The state of a network namespace.
#[derive(Debug, Serialize)]
pub struct Status {
    /// Where it is pinned; `None` where it is not.
    pub pins: Option<PathBuf>,
    /// Whether the agent holds it, since nothing can be pinned. With neither, nothing is loaded.
    pub held: bool,
    /// How many single addresses are hidden or pinned, counting each device that one is hidden on.
    pub addresses: u32,
    /// How many prefixes are, likewise.
    pub prefixes: u32,
    /// The devices that are guarded or could be.
    pub devices: Vec<Device>,
}

/// The state of one device.
#[derive(Debug, Serialize)]
pub struct Device {
    /// Its name.
    pub name: String,
    /// Its interface index.
    pub index: u32,
    /// The hook for received frames; `None`: not guarded.
    pub ingress: Option<&'static str>,
    /// The hook for sent frames; `None`: not guarded.
    pub egress: Option<&'static str>,
    /// Why the ingress hook is not a better one, or what it lacks; empty where it is the best.
    pub note: String,
    /// Whether it is held to what it owns.
    pub strict: bool,
    /// What was done to frames. Counters of nothing are left out.
    pub counters: Vec<Counter>,
}

/// How many frames had one verdict.
#[derive(Debug, Serialize)]
pub struct Counter {
    /// The policy that decided; `None` where there was none.
    pub policy: Option<&'static str>,
    /// Why.
    pub reason: &'static str,
    /// What was done to them, or under audit would have been.
    pub outcome: &'static str,
    /// Whether the policy only counts.
    pub audit: bool,
    /// How many frames.
    pub frames: u64,
}

/// Reads it.
///
/// # Errors
/// Where the kernel does not tell.
pub async fn read(datapath: Option<&Datapath>, host: &Host, netlink: &Netlink) -> Result<Status> {
    let mut devices = Vec::new();
    for device in host.guardable() {
        let (attached, totals) = match datapath {
            Some(datapath) => {
                let attached = datapath.attached(netlink, device).await?;
                (attached, Some(datapath.maps.totals(device.index)))
            }
            None => (Attached::default(), None),
        };
        devices.push(Device {
            name: device.name.clone(),
            index: device.index,
            ingress: attached.ingress.map(Ingress::name),
            egress: attached.egress.map(Egress::name),
            note: attached.note,
            strict: datapath.is_some_and(|datapath| is_strict(datapath, device.index)),
            counters: totals.as_ref().map(counters).unwrap_or_default(),
        });
    }
    let Shape {
        exact,
        exact_on_device,
        ..
    } = datapath.map(Datapath::rules).unwrap_or_default();
    let mut prefixes = 0_u32;
    if let Some(datapath) = datapath {
        for rule in datapath.maps.prefix_rules() {
            let (_, _, rule) = rule?;
            prefixes += match rule.policy() {
                Policy::Hide | Policy::Pin => 1,
                Policy::Strict => 0,
            };
        }
    }
    let (pins, held) = match datapath.map(Datapath::keeper) {
        None => (None, false),
        Some(Keeper::Pins(pins)) => (Some(pins), false),
        Some(Keeper::Process) => (None, true),
    };
    Ok(Status {
        pins,
        held,
        addresses: exact + exact_on_device,
        prefixes,
        devices,
    })
}

/// Whether a device is held to what it owns. Only a rule for every address is found for one that no
/// host has.
fn is_strict(datapath: &Datapath, device: u32) -> bool {
    let view = View::new(&datapath.maps, device);
    view.found(Ipv4Addr::UNSPECIFIED)
        .is_some_and(|rule| rule.policy() == Policy::Strict)
}

fn counters(totals: &Totals) -> Vec<Counter> {
    let modes =
        |policy: &'static Policy| [Mode::Enforce, Mode::Audit].map(|mode| Some((*policy, mode)));
    let deciders = Policy::ALL.iter().flat_map(modes).chain([None]);
    let all = deciders.flat_map(|decided_by| {
        Reason::ALL.iter().map(move |reason| Counter {
            policy: decided_by.map(|(policy, _)| policy.name()),
            reason: reason.name(),
            outcome: reason.outcome(),
            audit: matches!(decided_by, Some((_, Mode::Audit))),
            frames: totals[counter(decided_by, *reason)],
        })
    });
    all.filter(|counter| counter.frames != 0).collect()
}
