//! Another build's programs are replaced while they guard: no frame goes unjudged.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use arpguard_common::{abi::FORMER, wire::Mac};
use arpguard_tests::{
    arp,
    former::lay_out,
    lab::{Namespace, Port, fewer, slower},
    pins::Pins,
    programs::xdp,
    server::{pins, real_server},
};
use aya::{
    maps::{HashMap, MapData, PerCpuHashMap},
    programs::{SchedClassifier, TcAttachType, Xdp},
};
use aya_obj::programs::XdpAttachType;
use serde_json::Value;

const CLIENT: Mac = Mac([2, 0, 0, 0, 0, 0x81]);

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

/// What an older version has left, in which what is counted was shorter.
struct Former {
    old: PathBuf,
    new: PathBuf,
}

impl Former {
    /// The state of this version, moved to where the older `version` had it.
    fn of(server: &Namespace, version: u32) -> Self {
        let former = Self::beside(server, version);
        fs::rename(&former.new, &former.old).unwrap();
        for map in ["LOW_COUNTERS", "LOW_DEVICES"] {
            fs::remove_file(former.old.join("maps").join(map)).unwrap();
        }
        if version == 4 {
            return former;
        }
        for map in ["METERS", "COUNTERS"] {
            fs::remove_file(former.old.join("maps").join(map)).unwrap();
        }
        lay_out(&former.old, &former.old);
        let meters = former.old.join("maps/METERS");
        match version {
            1 => PerCpuHashMap::<_, u32, [[u64; 4]; 3]>::create(16, 0)
                .unwrap()
                .pin(meters),
            _ => PerCpuHashMap::<_, u32, [[u64; 6]; 3]>::create(16, 0)
                .unwrap()
                .pin(meters),
        }
        .unwrap();
        let counters = PerCpuHashMap::<_, u32, [u64; 33]>::create(16, 0).unwrap();
        counters.pin(former.old.join("maps/COUNTERS")).unwrap();
        former
    }

    fn beside(server: &Namespace, version: u32) -> Self {
        assert!(FORMER.contains(&version), "{version}");
        let new = pins(server);
        let old = new.with_file_name(format!("v{version}"));
        Self { old, new }
    }

    /// As of a process that has died while it brought this over: everything is there twice, and one
    /// link is still where it was.
    fn half_taken(server: &Namespace, version: u32) -> Self {
        let former = Self::beside(server, version);
        for directory in ["maps", "programs", "links", "monitor"] {
            fs::create_dir_all(former.old.join(directory)).unwrap();
        }
        let notes = MapData::from_pin(former.new.join("maps/NOTES")).unwrap();
        notes.pin(former.old.join("maps/NOTES")).unwrap();
        lay_out(&former.new, &former.old);
        for name in ["arpguard_in", "arpguard_out"] {
            let path = |version: &Path| version.join("programs").join(name);
            let mut program = SchedClassifier::from_pin(path(&former.new)).unwrap();
            program.pin(path(&former.old)).unwrap();
        }
        let path = |version: &Path| version.join("programs").join(xdp());
        let mut program = Xdp::from_pin(path(&former.new), XdpAttachType::Interface).unwrap();
        program.pin(path(&former.old)).unwrap();
        let links = fs::read_dir(former.new.join("links")).unwrap();
        // Before Linux 6.6 there may be none.
        for link in links.take(1) {
            let name = link.unwrap().file_name();
            let path = |version: &Path| version.join("links").join(&name);
            fs::rename(path(&former.new), path(&former.old)).unwrap();
        }
        former
    }

    /// A change was under way: the address has no rule yet, and shall have none.
    fn in_the_middle_of_hiding(&self, address: [u8; 4]) {
        let mut journal = HashMap::<_, [u8; 12], [u32; 4]>::create(2, 1).unwrap();
        let [a, b, c, d] = address;
        let key = [0, 0, 0, 0, a, b, c, d, 32, 0, 0, 0];
        journal.insert(key, [0; 4], 0).unwrap();
        journal.pin(self.old.join("journal")).unwrap();
    }

    fn is_gone(&self) -> bool {
        !self.old.exists() && self.new.exists()
    }
}

/// Asks for the VIP at full speed while `work` is done, in each mode, and fails if anybody answers.
fn under_a_flood(work: impl Fn(&Namespace, &str)) {
    let (server, peer) = real_server();
    server.sh("ip addr add 192.168.18.101/32 dev lo");
    let ask = |target: [u8; 4]| arp::request(CLIENT, [192, 168, 18, 129].into(), target.into());
    let (vip, rip) = (ask([192, 168, 18, 101]), ask([192, 168, 18, 10]));
    for mode in ["native", "generic", "tc"] {
        server.guard(&format!(
            "hide 192.168.18.101 --rip 192.168.18.10 --attach {mode}"
        ));
        let (flood, listener) = (Port::open(&peer, "eth0"), Port::open(&peer, "eth0"));
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    flood.send(&vip.bytes());
                }
            });
            let _ends = Ends(&over);
            work(&server, mode);
        });
        // The server does answer: for its own address, and nothing else before that.
        flood.send(&rip.bytes());
        let reply = |frame: &[u8]| arp::Frame::read(frame).filter(|arp| arp.op == arp::REPLY);
        let heard = listener.until(|frame| reply(frame).is_some_and(|arp| arp.spa == rip.tpa));
        let others: Vec<_> = heard.iter().filter_map(|frame| reply(frame)).collect();
        assert_eq!(others, [], "{mode}");
    }
}

#[test]
fn another_build_s_programs_are_replaced() {
    under_a_flood(|server, mode| {
        for _ in 0..fewer(10) {
            let before = attached(server);
            assert_eq!(before.len(), 2, "{mode}: {before:?}");
            Pins::of(server).pretend_another_build();
            server.guard("hide 192.168.18.102 --rip 192.168.18.10");
            let after = attached(server);
            assert_eq!(after.len(), 2, "{mode}: {after:?}");
            assert!(
                before.iter().all(|id| !after.contains(id)),
                "{mode}: {before:?} {after:?}"
            );
            // Nothing to do, nothing done.
            server.guard("hide 192.168.18.102 --rip 192.168.18.10");
            assert_eq!(attached(server), after);
        }
    });
}

#[test]
fn an_older_version_s_state_is_brought_over() {
    under_a_flood(|server, mode| {
        server.guard("hide 192.168.18.102 10.1.0.0/16 --rip 192.168.18.10");
        server.guard("hide 192.168.18.103 --dev eth0 --shield --audit");
        server.guard("hide 192.168.18.105");
        server.guard("promote 10.1.0.1 192.168.18.105 --force --count 0");
        let all = [
            (1, "list"),
            (2, "list"),
            (2, "status"),
            (3, "list"),
            (4, "list"),
            (1, "hide 192.168.18.101 --rip 192.168.18.10"),
        ];
        // Each loads the programs beside the flood.
        let some = if slower() > 1 { &all[4..] } else { &all };
        for &(version, verb) in some {
            let (list, before) = (server.guard("list"), attached(server));
            server.guard("hide 192.168.18.104");
            let former = Former::of(server, version);
            former.in_the_middle_of_hiding([192, 168, 18, 104]);
            let output = server.guard(verb);
            assert!(!output.contains("not guarded"), "{mode}: {verb}: {output}");
            assert!(former.is_gone(), "{mode}: {verb}");
            let after = attached(server);
            assert_eq!(after.len(), 2, "{mode}: {after:?}");
            assert!(before.iter().all(|id| !after.contains(id)), "{mode}");
            assert_eq!(server.guard("list"), list, "{mode}: {verb}");
        }
        let (list, before) = (server.guard("list"), attached(server));
        let former = Former::half_taken(server, 2);
        assert_eq!(server.guard("list"), list, "{mode}");
        assert!(former.is_gone(), "{mode}");
        assert_eq!(attached(server), before, "{mode}");
        // What was guarded can be left, too.
        let former = Former::of(server, 1);
        server.guard("unhide 192.168.18.102 192.168.18.103 192.168.18.105 10.1.0.0/16");
        assert!(former.is_gone());
    });
}

#[test]
fn an_older_version_s_state_can_be_detached() {
    let (server, _peer) = real_server();
    server.guard("hide 192.168.18.101");
    let former = Former::of(&server, 2);
    server.guard("detach");
    assert_eq!(attached(&server), [""; 0]);
    assert!(!former.old.exists() && !former.new.exists());
}

#[test]
fn checks_and_claims_are_brought_over() {
    let (server, peer) = real_server();
    server.guard("hide 192.168.18.101 --rip 192.168.18.10");
    server.guard("answer 192.168.18.102 --dev eth0 --when tcp:80");
    server.guard("bind 192.168.18.103 02:00:00:00:00:03");
    let (client, heard) = (Port::open(&peer, "eth0"), Port::open(&server, "eth0"));
    let claim = arp::announcement(CLIENT, [192, 168, 18, 101].into()).bytes();
    client.send(&claim);
    heard.until(|frame| frame == claim);
    let claimed_by = || -> String {
        let status: Value = serde_json::from_str(&server.guard("-o json status")).unwrap();
        let claims = &status["devices"][0]["claims"];
        format!(
            "{} {} {}",
            claims[0]["address"], claims[0]["mac"], claims[1]
        )
    };
    let before = (server.guard("list"), claimed_by());
    assert_eq!(before.1, format!("\"192.168.18.101\" \"{CLIENT}\" null"));
    let former = Former::of(&server, 4);
    assert_eq!((server.guard("list"), claimed_by()), before);
    assert!(former.is_gone());
}

/// As a process leaves it that is killed between the two steps of leaving a device.
#[test]
fn a_link_that_was_detached_and_is_still_pinned_stops_nothing() {
    let (server, _peer) = real_server();
    server.guard("hide 192.168.18.101 --rip 192.168.18.10 --attach native");
    let pins = Pins::of(&server);
    // Before Linux 6.6 the egress hook has a filter, which is no link.
    let links = pins.list("links");
    assert!(!links.is_empty());
    for link in &links {
        let link = pins.directory().join("links").join(link);
        server.run([
            "bpftool",
            "link",
            "detach",
            "pinned",
            link.to_str().unwrap(),
        ]);
    }
    assert_eq!(attached(&server).len(), 2 - links.len());
    pins.pretend_another_build();
    server.guard("hide 192.168.18.102 --rip 192.168.18.10");
    assert_eq!(attached(&server).len(), 2);
}
