//! Addresses that come and go, and packets that are sent as a VIP.

use std::{
    collections::VecDeque,
    net::{Ipv4Addr, UdpSocket},
    time::Duration,
};

use super::{
    dice::Dice,
    ground::{CORE, Ground, NOBODY},
    report::Report,
    watch::Watch,
};

/// How many there are at the same time.
const AT_ONCE: usize = 30;

/// Adds and removes addresses until it is over, and leaves none.
pub(crate) fn churn(ground: &Ground, watch: &Watch, mut dice: Dice, report: &Report) {
    let _ends = watch.ends();
    let server = &ground.server;
    let mut there: VecDeque<String> = VecDeque::new();
    while !watch.is_over() {
        watch.sleep(dice.pause(60));
        match dice.below(8) {
            0 => {
                let vip = CORE[dice.below(CORE.len() as u64) as usize];
                server.sh(&format!("ip addr del {vip}/32 dev lo"));
                server.sh(&format!("ip addr add {vip}/32 dev lo"));
                report.addresses.one();
            }
            1 | 2 => speak(ground, CORE[dice.below(CORE.len() as u64) as usize], report),
            _ => {
                let address = draw(&mut dice);
                if !there.contains(&address) {
                    server.sh(&format!("ip addr add {address}"));
                    there.push_back(address);
                    report.addresses.one();
                }
            }
        }
        if there.len() > AT_ONCE
            && let Some(address) = there.pop_front()
        {
            server.sh(&format!("ip addr del {address}"));
        }
    }
    // The first of a subnet takes the others with it, so they go in the opposite order.
    while let Some(address) = there.pop_back() {
        server.sh(&format!("ip addr del {address}"));
    }
    watch.sleep(Duration::ZERO);
}

fn draw(dice: &mut Dice) -> String {
    let last = 1 + dice.below(200);
    match dice.below(4) {
        0 => format!("10.77.{}.{last}/32 dev lo", dice.below(200)),
        1 => format!("192.168.18.{}/24 dev eth0", 20 + dice.below(60)),
        2 => format!("10.{}.0.{last}/32 dev eth0", 100 + dice.below(90)),
        _ => format!("172.16.{}.1/24 dev eth0", dice.below(200)),
    }
}

/// Asks for somebody on the LAN, with a VIP as the sender.
fn speak(ground: &Ground, vip: Ipv4Addr, report: &Report) {
    ground.server.sh("ip neigh flush dev eth0");
    let sent = ground.server.enter(|| {
        let socket = UdpSocket::bind((vip, 0))?;
        socket.send_to(b"?", (NOBODY, 9))
    });
    sent.unwrap();
    report.spoken.one();
}
