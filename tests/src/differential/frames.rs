//! Frames that are drawn: ARP of every kind, what is nearly ARP, and noise.

use std::net::Ipv4Addr;

use arpguard_common::wire::Mac;

use super::tables::Drawn;
use crate::{
    arp::{self, AD, ARP, ETHERNET, Frame, IEEE_802, Q, REPLY, REQUEST},
    dice::Dice,
};

/// Length in bytes of the shortest frame that a test run takes: a header.
const HEADER: usize = 14;
/// Length in bytes of a jumbo frame, the longest that is drawn.
const JUMBO: usize = 9018;
/// The addresses that most frames and rules are about are so few that they meet.
const NETWORKS: [Ipv4Addr; 3] = [
    Ipv4Addr::new(10, 0, 0, 0),
    Ipv4Addr::new(10, 0, 1, 0),
    Ipv4Addr::new(192, 168, 18, 0),
];
const HOSTS: u64 = 6;

/// An address.
pub fn address(dice: &mut Dice) -> Ipv4Addr {
    match dice.below(24) {
        0 => Ipv4Addr::UNSPECIFIED,
        1 => dice.one_of(&[
            Ipv4Addr::BROADCAST,
            Ipv4Addr::LOCALHOST,
            Ipv4Addr::new(224, 0, 0, 1),
        ]),
        2 => Ipv4Addr::from(dice.bytes()),
        _ => {
            let network = dice.one_of(&NETWORKS);
            Ipv4Addr::from_bits(network.to_bits() + dice.below(HOSTS) as u32)
        }
    }
}

/// The hardware address of some station.
pub fn station(dice: &mut Dice) -> Mac {
    Mac([2, 0, 0, 1, 0, dice.below(4) as u8])
}

/// A source of frames to and from some devices, mostly about what was drawn for them.
#[derive(Debug)]
pub struct Frames<'a> {
    devices: &'a [(u32, Mac)],
    drawn: &'a Drawn,
    ruled: Vec<Ipv4Addr>,
    last: Vec<u8>,
}

impl<'a> Frames<'a> {
    /// For these devices and this policy.
    pub fn new(devices: &'a [(u32, Mac)], drawn: &'a Drawn) -> Self {
        Self {
            devices,
            drawn,
            ruled: drawn.rules.keys().map(|(.., address)| *address).collect(),
            last: vec![0; HEADER],
        }
    }

    /// The next one, for one of the devices.
    pub fn draw(&mut self, dice: &mut Dice, device: u32) -> Vec<u8> {
        let mut bytes = match dice.below(16) {
            0..11 => self.packet(dice, device),
            11..15 => std::mem::take(&mut self.last),
            _ => noise(dice),
        };
        while dice.once_in(3) {
            mutate(dice, &mut bytes);
        }
        bytes.resize(bytes.len().clamp(HEADER, JUMBO), 0);
        self.last.clone_from(&bytes);
        bytes
    }

    /// ARP that the kernel would take, in most fields.
    fn packet(&self, dice: &mut Dice, device: u32) -> Vec<u8> {
        let mac = |dice: &mut Dice| match (dice.below(8), self.drawn.macs.get(&device)) {
            (0..4, Some(mac)) => *mac,
            (0..6, _) => Mac::BROADCAST,
            (6, _) => Mac([1, 0, 0x5e, 0, 0, 1]),
            _ if dice.once_in(2) => dice.one_of(self.devices).1,
            _ => station(dice),
        };
        let sender = station(dice);
        let (spa, tpa) = (self.ruled(dice), self.target(dice, device));
        let frame = match dice.below(8) {
            0 => arp::probe(sender, tpa),
            1 => arp::announcement(sender, spa),
            2 => arp::announcing_reply(sender, spa),
            3 => arp::reply(sender, spa, mac(dice), tpa),
            _ => arp::request(sender, spa, tpa),
        };
        let frame = Frame {
            tags: tags(dice),
            htype: odd(dice, &[ETHERNET, IEEE_802]),
            ptype: odd(dice, &[0x0800]),
            hlen: odd(dice, &[6]) as u8,
            plen: odd(dice, &[4]) as u8,
            op: match dice.below(32) {
                0 => odd(dice, &[REQUEST, REPLY, 3, 8]),
                _ => frame.op,
            },
            ethertype: odd(dice, &[ARP]),
            padded: dice.once_in(2),
            ..frame.to(mac(dice))
        };
        frame.bytes()
    }

    /// An address: of a rule, or any.
    fn ruled(&self, dice: &mut Dice) -> Ipv4Addr {
        if self.ruled.is_empty() || dice.once_in(3) {
            return address(dice);
        }
        dice.one_of(&self.ruled)
    }

    /// An address: of the device itself, of a rule, or any.
    fn target(&self, dice: &mut Dice, device: u32) -> Ipv4Addr {
        let own = self.drawn.local.keys().filter(|(of, ..)| *of == device);
        let own: Vec<_> = own.map(|(.., address)| *address).collect();
        if own.is_empty() || dice.once_in(2) {
            return self.ruled(dice);
        }
        dice.one_of(&own)
    }
}

/// Mostly one of these, else any number.
fn odd(dice: &mut Dice, these: &[u16]) -> u16 {
    match dice.below(64) {
        0 => dice.number() as u16,
        _ => dice.one_of(these),
    }
}

/// Tags: mostly none, mostly without a VLAN.
fn tags(dice: &mut Dice) -> Vec<(u16, u16)> {
    let count = match dice.below(4) {
        0..2 => dice.below(7),
        _ => 0,
    };
    let tag = |_| {
        let tci = match dice.below(16) {
            0 => dice.number() as u16,
            _ => dice.one_of(&[0, 0x2000, 0xe000, 0x1000]),
        };
        (dice.one_of(&[Q, AD]), tci)
    };
    (0..count).map(tag).collect()
}

fn noise(dice: &mut Dice) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..dice.below(128)).map(|_| dice.number() as u8).collect();
    if dice.once_in(2)
        && let Some(ethertype) = bytes.get_mut(12..HEADER)
    {
        ethertype.copy_from_slice(&dice.one_of(&[ARP, Q, AD]).to_be_bytes());
    }
    bytes
}

/// Changes something: a byte, a bit, the length.
fn mutate(dice: &mut Dice, bytes: &mut Vec<u8>) {
    let at = dice.below(bytes.len().max(1) as u64) as usize;
    match dice.below(16) {
        0..3 => bytes.truncate(at),
        3..5 => {
            let more = dice.below(64) as usize;
            bytes.extend((0..more).map(|_| dice.number() as u8));
        }
        5 if dice.once_in(4) => {
            let length = dice.below(JUMBO as u64) as usize;
            bytes.resize(length.max(bytes.len()), dice.number() as u8);
        }
        6 => bytes.insert(at, dice.number() as u8),
        7..11 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = dice.number() as u8;
            }
        }
        _ => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << dice.below(8);
            }
        }
    }
}
