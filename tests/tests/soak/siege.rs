//! Questions at full speed on `eth0`, and whoever hears what is said to them.

use std::{io, net::Ipv4Addr, time::Duration};

use arpguard_common::wire::Mac;
use arpguard_tests::{
    arp::{self, AD, Frame, Q, REPLY},
    lab::Port,
};

use super::{
    ground::{CLIENT, CLIENT_MAC, CORE, Ground, RIP, SERVER_MAC},
    report::Report,
    watch::Watch,
};

/// Whether a frame of the real server's gives a VIP away: that it has it, or is about to.
pub(crate) fn gives_away(frame: &Frame) -> bool {
    let asks_whether_it_is_free = frame.spa == arp::NOBODY && CORE.contains(&frame.tpa);
    CORE.contains(&frame.spa) || asks_whether_it_is_free
}

/// All that somebody may say about the VIPs to a station of this MAC address and its own address.
pub(crate) fn questions(own: Ipv4Addr, mac: Mac) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    for vip in CORE {
        for to in [Mac::BROADCAST, mac] {
            for spa in [CLIENT, arp::NOBODY] {
                let plain = arp::request(CLIENT_MAC, spa, vip).to(to);
                frames.push(plain.clone());
                frames.push(plain.clone().tagged(&[(Q, 0)]));
                frames.push(plain.clone().tagged(&[(AD, 0), (Q, 0)]));
                frames.push(Frame {
                    htype: arp::IEEE_802,
                    padded: true,
                    ..plain
                });
            }
            // The director: it claims the VIP, and asks for the real server as the VIP.
            frames.push(arp::announcement(CLIENT_MAC, vip).to(to));
            frames.push(arp::request(CLIENT_MAC, vip, own).to(to));
        }
        frames.push(arp::announcing_reply(CLIENT_MAC, vip));
        frames.push(arp::reply(CLIENT_MAC, vip, mac, own));
    }
    frames.iter().map(Frame::bytes).collect()
}

/// The control: a question that has to be answered.
pub(crate) fn control(own: Ipv4Addr, mac: Mac) -> Vec<u8> {
    arp::request(CLIENT_MAC, CLIENT, own).to(mac).bytes()
}

/// Asks until it is over.
pub(crate) fn ask(ground: &Ground, watch: &Watch, report: &Report) {
    let _ends = watch.ends();
    let port = Port::open(&ground.peer, "eth0");
    let mut frames = questions(RIP, SERVER_MAC);
    frames.push(control(RIP, SERVER_MAC));
    while !watch.is_over() {
        for frame in &frames {
            // A full queue is what is wanted.
            let _: io::Result<()> = port.try_send(frame);
        }
        report.asked.many(frames.len() as u64);
    }
}

/// Hears all that the real server says on `eth0`.
pub(crate) fn listen(ground: &Ground, watch: &Watch, report: &Report) {
    let _ends = watch.ends();
    let port = Port::open(&ground.peer, "eth0");
    while !watch.is_over() {
        let Some(bytes) = port.receive(Duration::from_millis(50)) else {
            continue;
        };
        let Some(frame) = Frame::read(&bytes) else {
            continue;
        };
        if gives_away(&frame) {
            report.fault(format!("eth0 gives a VIP away: {frame:?}"));
        } else if frame.op == REPLY && frame.spa == RIP && frame.tpa == CLIENT {
            report.answered.one();
        }
    }
    let lost = port.lost();
    if lost > 0 {
        report.fault(format!("{lost} frames were not heard"));
    }
}
