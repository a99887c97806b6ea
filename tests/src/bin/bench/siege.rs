//! A service under a flood of ARP: what is left of a TCP stream, with arpguard and without.

use std::{
    net::Ipv4Addr,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use arpguard_tests::lab::{Namespace, Wire};

use crate::{
    flood::{assert_mode, received},
    generator::{Generator, SENDER_MAC, Targets},
    plan::{Plan, Subject},
    report::Section,
    stream::{Connection, HOST_MAC},
};

const VIP: Ipv4Addr = Ipv4Addr::new(192, 168, 18, 101);
const TARGET: Targets = Targets {
    first: VIP,
    count: 1,
    shift: 0,
};
/// The same flood for all, which none of them is too slow for: so many frames, that often.
const BURST: u32 = 1000;
const PAUSE: Duration = Duration::from_millis(5);

const QUIET: &str = "no flood, no program";
const SUBJECTS: [&str; 4] = [QUIET, "no program", "arpguard native", "arpguard tc"];

/// The flood is of requests for the VIP that is hidden, which the kernel answers without arpguard.
fn connect(subject: &str) -> Connection {
    let [host, peer] = ["host", "client"].map(Namespace::new);
    Wire::between((&host, "eth0", HOST_MAC), (&peer, "eth0", SENDER_MAC));
    host.sh(&format!("ip addr add {VIP}/32 dev lo"));
    let connection = Connection::over(host, peer, subject);
    if let Some(mode) = subject.strip_prefix("arpguard ") {
        assert_mode(&connection.host, mode);
    }
    connection
}

/// Gigabits a second, for about this time, beside the flood.
fn besieged(connection: &mut Connection, flood: &Generator, time: Duration) -> f64 {
    let Connection {
        streams,
        host,
        peer,
        ..
    } = connection;
    let over = AtomicBool::new(false);
    let before = received(host);
    let rate = thread::scope(|scope| {
        scope.spawn(|| {
            let mut next = Instant::now();
            while !over.load(Ordering::Relaxed) {
                flood.send(peer, BURST);
                next += PAUSE;
                thread::sleep(next.saturating_duration_since(Instant::now()));
            }
        });
        let rate = streams.throughput(time);
        over.store(true, Ordering::Relaxed);
        rate
    });
    assert!(received(host) - before > u64::from(BURST), "no flood came");
    rate
}

/// What is left of a stream.
pub(crate) fn siege(plan: &Plan) -> Section {
    let time = Duration::from_millis(plan.pick(50, 300));
    let mut subjects = Vec::new();
    for name in SUBJECTS {
        if plan.wants("siege", name) {
            let mut connection = connect(name);
            let flood = Generator::new(&connection.peer, "eth0", TARGET);
            subjects.push(Subject::new(name.to_owned(), move || match name {
                QUIET => connection.streams.throughput(time),
                _ => besieged(&mut connection, &flood, time),
            }));
        }
    }
    Section {
        name: "siege",
        title: "A TCP stream beside 200,000 ARP requests a second for the VIP (more is better)",
        unit: "Gbit/s",
        base: "no program",
        rows: plan.rounds(subjects, plan.pick(3, 7)),
    }
}
