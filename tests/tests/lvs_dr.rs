//! LVS-DR clusters: whoever asks has the director's hardware address for the VIP, always.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on panics, also outside of #[test]"
)]

use std::collections::BTreeSet;

use arpguard_common::{
    abi::counter,
    verdict::{Mode, Policy, Reason},
};
use arpguard_tests::{
    arp::{self, Frame},
    cluster::Cluster,
    lab::fewer,
    pins::Pins,
};
use nix::net::if_::if_nametoindex;

const REQUESTS: u32 = 10_240;
const CONNECTIONS: u32 = 1_000;

fn no_leak(cluster: &Cluster, heard: &[Frame]) {
    let leaks: Vec<_> = heard.iter().filter(|frame| cluster.leaks(frame)).collect();
    assert!(leaks.is_empty(), "{leaks:#?}");
}

fn entries_are_the_directors(cluster: &Cluster) {
    for service in &cluster.services {
        let director = cluster.stations[service.director].mac;
        assert_eq!(
            cluster.entry(service.vip),
            Some(director),
            "{}",
            service.vip
        );
    }
}

fn resolves_to_the_directors(cluster: &Cluster) {
    for service in &cluster.services {
        let director = cluster.stations[service.director].mac;
        assert_eq!(cluster.resolve(service.vip), director, "{}", service.vip);
    }
}

/// How many requests for hidden addresses each station has dropped.
fn dropped(cluster: &Cluster) -> Vec<u64> {
    cluster
        .stations
        .iter()
        .enumerate()
        .map(|(at, station)| {
            if !cluster.services.iter().any(|s| s.servers.contains(&at)) {
                return 0;
            }
            let index = station.host.enter(|| if_nametoindex("eth0").unwrap());
            let count = Pins::of(&station.host).counters().read(index);
            [Reason::HiddenRequest, Reason::HiddenProbe]
                .map(|reason| count.of(counter(Some((Policy::Hide, Mode::Enforce)), reason)))
                .iter()
                .sum()
        })
        .collect()
}

/// How many of the requests each station had to drop.
fn to_drop(cluster: &Cluster, count: usize) -> Vec<u64> {
    let mut all = vec![0; cluster.stations.len()];
    for request in cluster.requests().iter().cycle().take(count) {
        let services = cluster.services.iter();
        let service = services.clone().find(|s| s.vip == request.tpa).unwrap();
        for server in &service.servers {
            let mac = cluster.stations[*server].mac;
            if request.destination.is_group() || request.destination == mac {
                all[*server] += 1;
            }
        }
    }
    all
}

fn hold(cluster: &Cluster, options: &str) {
    let requests = fewer(REQUESTS) as usize;
    cluster.guard(options);
    cluster.hear();
    resolves_to_the_directors(cluster);

    let before = dropped(cluster);
    let mut answers = 0;
    let mut batches = 0;
    cluster.ask(requests, |heard| {
        no_leak(cluster, heard);
        let of_directors = |frame: &&Frame| cluster.services.iter().any(|s| s.vip == frame.spa);
        answers += heard.iter().filter(of_directors).count();
        entries_are_the_directors(cluster);
        batches += 1;
        if batches % 10 == 0 {
            resolves_to_the_directors(cluster);
        }
    });
    assert!(answers > 0, "not even a director has answered");
    let after = dropped(cluster);
    for (at, least) in to_drop(cluster, requests).into_iter().enumerate() {
        // More than these: whoever asks also resolves the VIPs by itself.
        assert!(
            after[at] - before[at] >= least,
            "station {at} has dropped {} of {least}",
            after[at] - before[at]
        );
    }

    connections(cluster);
}

fn connections(cluster: &Cluster) {
    let pairs: Vec<_> = cluster
        .services
        .iter()
        .flat_map(|service| service.servers.iter().map(|server| (*server, service.vip)))
        .collect();
    let connections = fewer(CONNECTIONS) as usize;
    let mut asked = BTreeSet::new();
    for (number, (server, vip)) in pairs.iter().cycle().take(connections).enumerate() {
        let station = &cluster.stations[*server];
        let forgets = number % (2 * pairs.len()) < pairs.len();
        if forgets {
            station.host.sh("ip neigh flush dev eth0");
        }
        let heard = cluster.connect_as(*server, *vip);
        no_leak(cluster, &heard);
        let question = arp::request(station.mac, station.ip, cluster.asker.ip);
        if forgets {
            assert!(
                heard.contains(&question),
                "{question:?} is not in {heard:?}"
            );
            asked.insert(*server);
        }
        entries_are_the_directors(cluster);
        if number % 100 == 0 {
            resolves_to_the_directors(cluster);
        }
    }
    assert_eq!(asked.len(), pairs.len());
}

#[test]
fn the_client_always_has_the_director() {
    hold(&Cluster::direct_routing(), "");
}

#[test]
fn so_it_does_with_native_xdp() {
    hold(&Cluster::direct_routing(), "--attach native");
}

#[test]
fn so_it_does_with_generic_xdp() {
    hold(&Cluster::direct_routing(), "--attach generic");
}

#[test]
fn the_router_before_the_client_always_has_the_director() {
    hold(&Cluster::behind_a_router(), "");
}

#[test]
fn two_directors_that_serve_for_each_other_are_not_confused() {
    hold(&Cluster::each_directs_for_the_other(), "");
}

/// The control: unguarded, real servers answer, and take the client over as soon as they ask.
fn leaks(cluster: &Cluster) {
    let mut leaks = 0;
    cluster.ask(cluster.requests().len(), |heard| {
        leaks += heard.iter().filter(|frame| cluster.leaks(frame)).count();
    });
    assert!(leaks > 0, "no real server has answered");
    for service in &cluster.services {
        for server in &service.servers {
            let station = &cluster.stations[*server];
            station.host.sh("ip neigh flush dev eth0");
            let heard = cluster.connect_as(*server, service.vip);
            assert!(heard.iter().any(|frame| cluster.leaks(frame)), "{heard:?}");
            assert_eq!(cluster.entry(service.vip), Some(station.mac));
        }
    }
}

#[test]
fn unguarded_the_client_is_taken_over() {
    leaks(&Cluster::direct_routing());
}

#[test]
fn unguarded_the_router_is_taken_over() {
    leaks(&Cluster::behind_a_router());
}

#[test]
fn unguarded_each_director_takes_from_the_other() {
    leaks(&Cluster::each_directs_for_the_other());
}
