//! What other devices do is nothing to a device that is guarded, nor to a command.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use arpguard_common::wire::Mac;
use arpguard_tests::{
    arp::{self, Frame},
    lab::{Namespace, Port, Wire, fewer},
    running::{Agent, eventually},
    server::{guards, hides, real_server},
};

const CLIENT: Mac = Mac([2, 0, 0, 0, 0, 0x81]);
const VIP: [u8; 4] = [192, 168, 18, 101];

/// Asks for the VIP while `act` is done, and gives what is said to that.
fn asked_while(port: &Port, act: impl FnOnce()) -> Vec<Frame> {
    let over = AtomicBool::new(false);
    let question = arp::request(CLIENT, [10, 0, 0, 129].into(), VIP.into());
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                let _ = port.try_send(&question.bytes());
                thread::sleep(Duration::from_micros(100));
            }
        });
        // The one who asks is to end also where `act` panics.
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(act));
        over.store(true, Ordering::Relaxed);
        if let Err(panic) = done {
            std::panic::resume_unwind(panic);
        }
    });
    let own = arp::request(CLIENT, [10, 0, 0, 129].into(), [10, 0, 0, 10].into());
    port.send(&own.bytes());
    let answer = |frame: &[u8]| Frame::read(frame).filter(|arp| arp.op == arp::REPLY);
    let heard = port.until(|frame| answer(frame).is_some_and(|arp| arp.spa == own.tpa));
    heard.iter().filter_map(|frame| answer(frame)).collect()
}

/// A real server with an agent and a second device, `eth1`, which is guarded.
fn second_device(server: &Namespace, peer: &Namespace) -> (Agent, Port) {
    server.sh("ip addr add 192.168.18.101/32 dev lo");
    Wire::between(
        (server, "eth1", Mac([2, 0, 0, 0, 0, 0x11])),
        (peer, "eth1", None),
    );
    server.sh("ip addr add 10.0.0.10/24 dev eth1");
    let agent = Agent::start(server, &["--hide", "192.168.18.101"]);
    eventually("the VIP is hidden", || hides(server, "192.168.18.101"));
    assert!(guards(server, "eth1"));
    (agent, Port::open(peer, "eth1"))
}

#[test]
fn a_device_that_is_renamed_stays_guarded() {
    let (server, peer) = real_server();
    let (_agent, port) = second_device(&server, &peer);
    // Before Linux 6.2 a device has to be down to be renamed.
    let rename = "rename() { ip link set $1 name $2 2>&- || \
                  { ip link set $1 down; ip link set $1 name $2; ip link set $2 up; }; }";
    let both = "rename eth1 other; rename other eth1";
    let all = format!("{rename}; for n in $(seq {}); do {both}; done", fewer(500));
    let heard = asked_while(&port, || {
        server.run(["sh", "-ec", &all]);
    });
    assert_eq!(heard, []);
}

#[test]
fn a_device_that_vanishes_takes_nothing_from_the_others() {
    let (server, peer) = real_server();
    let (_agent, _) = second_device(&server, &peer);
    // It goes while the agent looks at it, guards it, or has done so.
    let churn = |number: u32| {
        server.sh(&format!(
            "ip link add v{number} type veth peer name w{number}"
        ));
        thread::sleep(Duration::from_millis(u64::from(number % 40)));
        server.sh(&format!("ip link del v{number}"));
    };
    for number in 0..fewer(100) {
        if number % 2 == 0 {
            churn(number);
            continue;
        }
        thread::scope(|scope| {
            let command = scope.spawn(|| server.arpguard(&["hide", "10.9.9.9"]));
            churn(number);
            let output = command.join().unwrap();
            assert!(output.success(), "{output}");
        });
    }
}
