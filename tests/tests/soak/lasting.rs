//! Devices that come and stay until they are guarded: from then on they keep silent, whatever is
//! done to them.

use std::{
    net::Ipv4Addr,
    thread,
    time::{Duration, Instant},
};

use arpguard_common::wire::Mac;
use arpguard_tests::{
    arp::{Frame, REPLY},
    lab::{Port, Wire, patience},
};

use super::{
    dice::Dice,
    ground::{BRIDGE, BRIDGE_IP, BRIDGE_MAC, Ground},
    report::Report,
    siege,
    watch::{Watch, comes},
};

/// A device of the real server, with the port at the other end of its wire.
struct Lasting<'a> {
    ground: &'a Ground,
    report: &'a Report,
    port: Port,
    index: u32,
    name: String,
    mac: Mac,
    ip: Ipv4Addr,
}

/// Makes devices, looks at each for a while and removes it, until it is over.
pub(crate) fn churn(ground: &Ground, watch: &Watch, mut dice: Dice, report: &Report) {
    let _ends = watch.ends();
    for number in (0..250).cycle() {
        if watch.is_over() {
            return;
        }
        let mut device = Lasting::new(ground, report, number);
        report.lasting.one();
        if device.becomes_guarded() {
            let mut guarded = true;
            for _ in 0..dice.below(8) {
                if guarded {
                    guarded = device.change(&mut dice);
                    report.changed.one();
                }
            }
        }
        device.remove();
    }
}

impl<'a> Lasting<'a> {
    fn new(ground: &'a Ground, report: &'a Report, number: u8) -> Self {
        let name = format!("c{number}");
        let mac = Mac([2, 0, 0, 1, number, 0x10]);
        Wire::between((&ground.server, &name, mac), (&ground.side, &name, None));
        let ip = Ipv4Addr::new(10, 240, number, 1);
        ground.server.sh(&format!("ip addr add {ip}/24 dev {name}"));
        Self {
            ground,
            report,
            port: Port::open(&ground.side, &name),
            index: ground.index(&name),
            name,
            mac,
            ip,
        }
    }

    fn becomes_guarded(&self) -> bool {
        let guarded = comes(&mut || self.ground.guards(self.index));
        if !guarded {
            self.report.fault(format!("{} is not guarded", self.name));
        }
        // What it has answered before.
        self.hear(self.ip, self.mac);
        self.port.drain();
        guarded
    }

    /// Changes it; whether it is guarded after that.
    fn change(&mut self, dice: &mut Dice) -> bool {
        match dice.below(4) {
            0 => {
                let (old, new) = (self.name.clone(), format!("d{}", self.name));
                let new = if new.len() > 12 {
                    self.first_name()
                } else {
                    new
                };
                self.besieged("renamed", self.ip, self.mac, |server| {
                    server.sh(&format!("ip link set {old} name {new}"));
                });
                self.name = new;
            }
            1 => {
                let name = self.name.clone();
                self.besieged("moved down and up", self.ip, self.mac, |server| {
                    server.sh(&format!("ip link set {name} down"));
                    server.sh(&format!("ip link set {name} up"));
                });
            }
            2 => {
                self.mac.0[4] = self.mac.0[4].wrapping_add(1);
                self.mac.0[3] = self.mac.0[3].wrapping_add(1);
                let (name, mac) = (self.name.clone(), self.mac);
                self.besieged("given another MAC address", self.ip, mac, |server| {
                    server.sh(&format!("ip link set {name} address {mac}"));
                });
            }
            _ => return self.visit_the_bridge(),
        }
        true
    }

    fn first_name(&self) -> String {
        self.name.trim_start_matches('d').to_owned()
    }

    /// While it is a port the bridge is guarded in its place. When it is freed it has to be guarded
    /// anew, as a device that has just come.
    fn visit_the_bridge(&self) -> bool {
        let name = self.name.clone();
        self.besieged("enslaved", BRIDGE_IP, BRIDGE_MAC, |server| {
            server.sh(&format!("ip link set {name} master {BRIDGE}"));
        });
        if !comes(&mut || self.ground.has_left(self.index)) {
            self.report.fault(format!("{name} is guarded as a port"));
        }
        self.besieged("a port", BRIDGE_IP, BRIDGE_MAC, |_| {});
        self.ground
            .server
            .sh(&format!("ip link set {name} nomaster"));
        self.becomes_guarded()
    }

    /// Does something to the device, while and after which no VIP may be given away on it, and
    /// then the one with this address has to answer.
    fn besieged(
        &self,
        what: &str,
        ip: Ipv4Addr,
        mac: Mac,
        act: impl FnOnce(&arpguard_tests::lab::Namespace),
    ) {
        let frames = siege::questions(ip, mac);
        let watch = Watch::default();
        thread::scope(|scope| {
            scope.spawn(|| {
                // Once more after it is done.
                let mut last = false;
                while !last {
                    last = watch.is_over();
                    for frame in &frames {
                        // While it is down nothing can be sent.
                        let _: std::io::Result<()> = self.port.try_send(frame);
                    }
                    self.report.asked_aside.many(frames.len() as u64);
                    thread::sleep(Duration::from_millis(1));
                }
            });
            let _ends = watch.ends();
            act(&self.ground.server);
        });
        for frame in self.hear(ip, mac) {
            if siege::gives_away(&frame) {
                let name = &self.name;
                self.report
                    .fault(format!("{name}, {what}, gives a VIP away: {frame:?}"));
            }
        }
    }

    /// All that is said until the control is answered.
    fn hear(&self, ip: Ipv4Addr, mac: Mac) -> Vec<Frame> {
        let mut heard = Vec::new();
        let started = Instant::now();
        loop {
            let _: std::io::Result<()> = self.port.try_send(&siege::control(ip, mac));
            while let Some(bytes) = self.port.receive(Duration::from_millis(20)) {
                let Some(frame) = Frame::read(&bytes) else {
                    continue;
                };
                let is_answer = frame.op == REPLY && frame.spa == ip;
                heard.push(frame);
                if is_answer {
                    return heard;
                }
            }
            if started.elapsed() > patience() {
                let name = &self.name;
                self.report
                    .fault(format!("{name} does not answer for {ip}"));
                return heard;
            }
        }
    }

    fn remove(self) {
        self.ground.server.sh(&format!("ip link del {}", self.name));
    }
}
