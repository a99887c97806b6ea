//! Another build's programs are replaced while they guard: no frame goes unjudged.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::atomic::{AtomicBool, Ordering};

use arpguard_common::wire::Mac;
use arpguard_tests::{
    arp,
    lab::{Namespace, Port},
    server::{pins, real_server},
};
use aya::{
    maps::{HashMap, Map, MapData},
    programs::{SchedClassifier, TcAttachType},
};

const CLIENT: Mac = Mac([2, 0, 0, 0, 0, 0x81]);

/// Makes the programs in the kernel those of another build, by name.
fn pretend_another_build(server: &Namespace) {
    let path = pins(server).join("maps/NOTES");
    let map = Map::HashMap(MapData::from_pin(path).unwrap());
    let mut notes: HashMap<MapData, u32, [u8; 128]> = map.try_into().unwrap();
    let mut build = [0; 128];
    build[1..7].copy_from_slice(b"\x05other");
    notes.insert(0, build, 0).unwrap();
}

/// The identifiers of the programs on `eth0`.
fn attached(server: &Namespace) -> Vec<String> {
    let link = server.sh("ip -d link show dev eth0");
    let xdp = link
        .split("prog/xdp id ")
        .nth(1)
        .and_then(|rest| rest.split(' ').next());
    let mut ids: Vec<_> = xdp.map(str::to_owned).into_iter().collect();
    server.enter(|| {
        for hook in [TcAttachType::Ingress, TcAttachType::Egress] {
            let (_, programs) = SchedClassifier::query_tcx("eth0", hook).unwrap_or_default();
            ids.extend(programs.iter().map(|program| program.id().to_string()));
        }
    });
    for hook in ["ingress", "egress"] {
        let filters = server.sh(&format!("tc filter show dev eth0 {hook}"));
        let id = filters
            .split(" id ")
            .nth(1)
            .and_then(|rest| rest.split(' ').next());
        ids.extend(id.map(str::to_owned));
    }
    ids
}

/// Ends the flood, even where an assertion fails.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn under_a_flood_of_requests_not_one_is_answered() {
    let (server, peer) = real_server();
    server.sh("ip addr add 192.168.18.101/32 dev lo");
    for mode in ["native", "generic", "tc"] {
        server.guard(&format!(
            "hide 192.168.18.101 --rip 192.168.18.10 --attach {mode}"
        ));
        let vip = arp::request(
            CLIENT,
            [192, 168, 18, 129].into(),
            [192, 168, 18, 101].into(),
        );
        let rip = arp::request(
            CLIENT,
            [192, 168, 18, 129].into(),
            [192, 168, 18, 10].into(),
        );
        let (flood, listener) = (Port::open(&peer, "eth0"), Port::open(&peer, "eth0"));
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    flood.send(&vip.bytes());
                }
            });
            let _ends = Ends(&over);
            for _ in 0..10 {
                let before = attached(&server);
                assert_eq!(before.len(), 2, "{mode}: {before:?}");
                pretend_another_build(&server);
                server.guard("hide 192.168.18.102 --rip 192.168.18.10");
                let after = attached(&server);
                assert_eq!(after.len(), 2, "{mode}: {after:?}");
                assert!(
                    before.iter().all(|id| !after.contains(id)),
                    "{mode}: {before:?} {after:?}"
                );
                // Nothing to do, nothing done.
                server.guard("hide 192.168.18.102 --rip 192.168.18.10");
                assert_eq!(attached(&server), after);
            }
        });
        // The server does answer: for its own address, and nothing else before that.
        flood.send(&rip.bytes());
        let reply = |frame: &[u8]| arp::Frame::read(frame).filter(|arp| arp.op == arp::REPLY);
        let own = std::net::Ipv4Addr::new(192, 168, 18, 10);
        let heard = listener.until(|frame| reply(frame).is_some_and(|arp| arp.spa == own));
        let others: Vec<_> = heard.iter().filter_map(|frame| reply(frame)).collect();
        assert_eq!(others, [], "{mode}");
    }
}
