//! The state, as `arpguard status` shows it.

use std::{net::Ipv4Addr, path::PathBuf};

use arpguard_common::{
    abi::counter,
    policy::View,
    verdict::{Mode, Policy, Reason},
};
use serde::Serialize;

use super::rules::{self, Rule};
use crate::{
    clock::Wall,
    datapath::{Attached, Datapath, Egress, Ingress, Keeper, Totals},
    device::{self, Unguardable},
    error::Result,
    host::Host,
    netlink::Netlink,
    policy::EVERY_ADDRESS,
};

/// The state of a network namespace.
#[derive(Debug, Serialize)]
pub struct Status {
    /// Where it is pinned; `None` where it is not.
    pub pins: Option<PathBuf>,
    /// Whether the agent holds it, since nothing can be pinned. With neither, nothing is loaded.
    pub held: bool,
    /// How many single addresses rules are for, counting each device that has one of its own.
    pub addresses: u32,
    /// How many prefixes are, likewise.
    pub prefixes: u32,
    /// How many addresses are promoted, likewise.
    pub promoted: u32,
    /// The devices that are guarded or could be, and those that nothing is known of.
    pub devices: Vec<Device>,
    /// The pins that are on their fallback, in the order of their addresses.
    pub moved: Vec<Rule>,
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
    /// Why the ingress hook is not a better one, or what it lacks, or why it is not guarded; empty where
    /// it is the best.
    pub note: String,
    /// Whether it is held to what it owns.
    pub strict: bool,
    /// Who was heard to have addresses that are hidden, pinned or answered here.
    pub claims: Vec<Claim>,
    /// What was done to frames. Counters of nothing are left out.
    pub counters: Vec<Counter>,
}

/// Who was last heard on a device to have an address.
#[derive(Debug, Serialize)]
pub struct Claim {
    /// The address.
    pub address: Ipv4Addr,
    /// The station's hardware address.
    pub mac: String,
    /// The device of this host that has this hardware address, if one has: it hears itself.
    pub here: Option<String>,
    /// When the station was first heard since another was, as RFC 3339 writes it.
    pub since: String,
    /// When it was last heard, to the second, likewise.
    pub seen: String,
    /// How often another station than the last was heard.
    pub changes: u64,
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
    let listed = |device: &&device::Device| match &device.unguardable {
        None | Some(Unguardable::Unreadable) => true,
        Some(_) => false,
    };
    for device in host.devices.iter().filter(listed) {
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
            note: match &device.unguardable {
                Some(reason) => reason.to_string(),
                None => attached.note,
            },
            strict: datapath.is_some_and(|datapath| is_strict(datapath, device.index)),
            claims: Vec::new(),
            counters: totals.as_ref().map(counters).unwrap_or_default(),
        });
    }
    if let Some(datapath) = datapath {
        add_claims(datapath, host, &mut devices)?;
    }
    let shape = datapath.map(Datapath::rules).unwrap_or_default();
    let (mut prefixes, mut promoted) = (0_u32, Vec::new());
    if let Some(datapath) = datapath {
        promoted = datapath.maps.promoted_rules()?;
        for rule in datapath.maps.prefix_rules() {
            let (place, _) = rule?;
            prefixes += u32::from(place.prefix != EVERY_ADDRESS);
        }
    }
    let lent = promoted.iter().filter(|(_, rule)| rule.is_lent());
    let lent = lent.count() as u32;
    let (pins, held) = match datapath.map(Datapath::keeper) {
        None => (None, false),
        Some(Keeper::Pins(pins)) => (Some(pins), false),
        Some(Keeper::Process) => (None, true),
    };
    Ok(Status {
        pins,
        held,
        addresses: shape.addresses().saturating_sub(lent),
        prefixes,
        promoted: promoted.len() as u32,
        devices,
        moved: datapath.map_or_else(|| Ok(Vec::new()), |datapath| moved(datapath, host))?,
    })
}

/// Adds to each device who claims what. What a rule is about no longer is nobody's business.
fn add_claims(datapath: &Datapath, host: &Host, devices: &mut [Device]) -> Result<()> {
    let mut claims = datapath.maps.claims()?;
    claims.sort_unstable_by_key(|(key, _)| *key);
    for (key, claim) in claims {
        let address = Ipv4Addr::from(key.address);
        let rule = View::new(&datapath.maps, key.device()).found(address);
        let is_watched = rule.is_some_and(|rule| rule.policy() != Policy::Strict);
        let mut devices = devices.iter_mut();
        if let Some(device) = devices.find(|device| device.index == key.device())
            && is_watched
        {
            let here = host.devices.iter().find(|own| own.mac == Some(claim.mac));
            device.claims.push(Claim {
                address,
                mac: claim.mac.to_string(),
                here: here.map(|own| own.name.clone()),
                since: Wall::at(claim.since).rfc_3339().to_string(),
                seen: Wall::at(claim.seen).rfc_3339().to_string(),
                changes: claim.changes,
            });
        }
    }
    Ok(())
}

/// The pins that are on their fallback.
fn moved(datapath: &Datapath, host: &Host) -> Result<Vec<Rule>> {
    let terms = datapath.maps.terms()?;
    if terms.values().all(|terms| terms.fallback.is_none()) {
        return Ok(Vec::new());
    }
    let mut rules = rules::read(&datapath.maps, host)?;
    let moved = |rule: &Rule| rule.home.as_ref().is_some_and(|home| home.moved.is_some());
    rules.retain(moved);
    Ok(rules)
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
