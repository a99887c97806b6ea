//! Looking at everything, without changing anything.

use std::{collections::BTreeSet, net::Ipv4Addr};

use ipnet::Ipv4Net;

use super::{Facts, Guard, Rule, State, agent, daemons, subnets};
use crate::{
    control,
    datapath::{self, Egress, Reader, Store},
    device::Device,
    error::{Error, Result},
    host::{
        Children, Hardware, Host, Lookup, Processes, Proxy, Release, Sysctls, Way, drivers, local,
        proxies,
    },
    netlink::Netlink,
    policy,
    render::{rules, status},
};

/// Where the state is.
pub enum Source {
    /// Nowhere: no BPF file system is mounted, so nothing is loaded.
    Nowhere,
    /// On a BPF file system.
    Pinned(Store),
    /// With an agent, which is asked twice.
    Agent(control::Agent, control::Agent),
    /// Out of sight.
    Unseen(Error),
}

/// Looks at the devices of these names, or at all.
///
/// # Errors
/// Where a device is not there or speaks no ARP, or the kernel does not tell what there is. What this
/// process may not see is among the facts.
pub async fn observe(netlink: &Netlink, source: Source, chosen: Vec<String>) -> Result<Facts> {
    let host = Host::observe(netlink).await?;
    for name in &chosen {
        policy::guardable(&host, name)?;
    }
    let mut facts = Facts {
        host,
        chosen,
        lacks_bpffs: matches!(source, Source::Nowhere),
        lacks_bpf: !datapath::has_bpf(),
        tc: datapath::tc_hook(),
        ..Facts::default()
    };
    facts.sysctls = seen(&mut facts, "/proc/sys/net", Sysctls::read());
    facts.release = seen(
        &mut facts,
        "the kernel's release",
        Release::running().map(Some),
    );
    match proxied(netlink, &facts.host).await {
        Ok(proxied) => facts.proxied = proxied,
        Err(error) => facts.unseen.push(error.to_string()),
    }
    match local(netlink).await {
        Ok(local) => facts.local = local,
        Err(error) => facts.unseen.push(error.to_string()),
    }
    match refused(netlink, &facts.host).await {
        Ok(refused) => facts.refused = refused,
        Err(error) => facts.unseen.push(error.to_string()),
    }
    match drivers().await {
        Ok(told) => facts.native = told,
        Err(error) => facts.unseen.push(error.to_string()),
    }
    let with_ports = |device| std::iter::once(device).chain(facts.host.ports(device));
    let asked: Result<_, _> = facts
        .speaking()
        .flat_map(with_ports)
        .map(|device| Ok((device.name.clone(), Hardware::of(&device.name)?)))
        .collect();
    facts.hardware = seen(&mut facts, "drivers", asked);
    if let Err(error) = programs(netlink, &mut facts).await {
        facts.unseen.push(error.to_string());
    }
    let names = daemons::names();
    facts.processes = seen(&mut facts, "processes", Processes::named(&names));
    if facts.processes.unknown > 0 {
        let why = "this user may not see in which network namespace they are";
        facts.unseen.push(format!("processes of others: {why}"));
    }
    match state(netlink, &facts.host, source).await {
        Ok(Some((rules, guards))) => {
            let named = |guard: Guard| (guard.name.clone(), guard);
            facts.policy = rules.into_iter().collect();
            facts.guards = guards.into_iter().map(named).collect();
            facts.state = State::Read;
        }
        Ok(None) => facts.state = State::Older,
        Err(error) => facts.unseen.push(format!("what is hidden: {error}")),
    }
    if !facts.guards.is_empty() {
        let Children { found, unseen } = seen(&mut facts, "macvlan devices", Children::observe());
        facts.children = found;
        let why = |why| format!("macvlan devices of some network namespaces: {why}");
        facts.unseen.extend(unseen.map(why));
    }
    Ok(facts)
}

fn seen<T: Default>(facts: &mut Facts, what: &str, read: std::io::Result<T>) -> T {
    read.unwrap_or_else(|cause| {
        facts.unseen.push(format!("{what}: {cause}"));
        T::default()
    })
}

/// What is attached to the devices already.
async fn programs(netlink: &Netlink, facts: &mut Facts) -> Result<()> {
    let devices: Vec<_> = facts.speaking().cloned().collect();
    for device in devices {
        let program = device.xdp.as_ref().map(|found| found.program);
        let named = program.and_then(|program| Some((program, datapath::name(program)?)));
        facts.xdp.extend(named);
        let needs_clsact = facts.tc == Some(Egress::Clsact);
        if needs_clsact && datapath::lacks_clsact(netlink, &device).await? {
            facts.lacks_clsact.insert(device.name.clone());
        }
        let others = datapath::others(netlink, &device).await?;
        facts.others.insert(device.name, others);
    }
    Ok(())
}

/// The entries of `ip neigh … proxy` that have an effect where their device forwards: the kernel asks
/// for them last, and not for addresses of its own or those behind the device (`arp_process` in
/// `net/ipv4/arp.c`).
async fn proxied(netlink: &Netlink, host: &Host) -> Result<Vec<(String, Ipv4Addr)>> {
    let mut proxied = Vec::new();
    for Proxy { device, address } in proxies(netlink).await? {
        let lookup = Lookup {
            source: None,
            target: address,
            device: None,
        };
        let Way::Through(out) = lookup.way(netlink).await? else {
            continue;
        };
        let is_asked = |one: &&Device| one.index != out && device.is_none_or(|of| of == one.index);
        let devices = host.guardable().filter(is_asked);
        proxied.extend(devices.map(|device| (device.name.clone(), address)));
    }
    // The kernel tells them in the order of its hash table.
    proxied.sort_unstable();
    Ok(proxied)
}

/// The shared subnets from which the kernel takes nothing on a device, since the way back is another
/// (`fib_validate_source` in `net/ipv4/fib_frontend.c`).
async fn refused(netlink: &Netlink, host: &Host) -> Result<BTreeSet<(String, Ipv4Net)>> {
    let mut refused = BTreeSet::new();
    for shared in subnets::shared(host) {
        for device in &shared.devices {
            for own in shared.of(device) {
                let is_other = |address: &Ipv4Addr| host.owner(*address).is_none();
                let Some(neighbour) = own.subnet.hosts().find(is_other) else {
                    continue;
                };
                let coming = Lookup {
                    source: Some(neighbour),
                    target: own.address,
                    device: Some(device.index),
                };
                if coming.way(netlink).await? == Way::Nowhere {
                    refused.insert((device.name.clone(), shared.subnet));
                }
            }
        }
    }
    Ok(refused)
}

/// The rules, and how devices are guarded; `None` where an older version has made the state.
async fn state(
    netlink: &Netlink,
    host: &Host,
    source: Source,
) -> Result<Option<(Vec<Rule>, Vec<Guard>)>> {
    let store = match source {
        Source::Nowhere => return Ok(Some((Vec::new(), Vec::new()))),
        Source::Unseen(error) => return Err(error),
        Source::Agent(one, other) => {
            return Ok(Some((
                agent::rules(one).await?,
                agent::guards(other).await?,
            )));
        }
        Source::Pinned(store) if store.has_former() => return Ok(None),
        Source::Pinned(store) => store,
    };
    let reader = Reader::open_as_it_is(&store).await?;
    let Some(datapath) = reader.datapath() else {
        return Ok(Some((Vec::new(), Vec::new())));
    };
    let rules = rules::read(&datapath.maps, host)?;
    let status = status::read(Some(datapath), host, netlink).await?;
    Ok(Some((
        rules.into_iter().map(Rule::from).collect(),
        status.devices.into_iter().map(Guard::from).collect(),
    )))
}
