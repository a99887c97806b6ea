//! What has to come of a frame, by the judge on the host.

use std::{fmt::Debug, net::Ipv4Addr};

use arpguard_common::{
    abi::counter,
    frame::{Place, TAG_LEN, find_arp},
    judge::{self, Received},
    policy::Tables,
    verdict::{Decider, Receive, Send, Verdict},
    wire::{Arp, FRAME_LEN, Mac, SPA_AT},
};

/// Where a program is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hook {
    /// On frames as the driver has them.
    Xdp,
    /// On received frames that are packets already.
    TcIngress,
    /// On packets that leave.
    TcEgress,
}

/// What is done with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Done {
    /// It goes on as it is.
    Pass,
    /// It goes on with another sender.
    Rewrite,
    /// It does not.
    Drop,
    /// It goes back.
    Answer,
}

/// All that has to come of a frame.
#[derive(Debug)]
pub struct Expected {
    /// What is done with it.
    pub done: Done,
    /// The bytes that the program leaves of it, those of a dropped frame too.
    pub left: Vec<u8>,
    /// What is counted; `None` for nothing.
    pub counter: Option<usize>,
    /// What it claims, and who watches that; `None` where nobody does.
    pub claim: Option<(Decider, Ipv4Addr, Mac)>,
    /// Behind how many tags the packet is.
    pub tags: usize,
    /// The verdict, for people.
    pub verdict: String,
}

impl Expected {
    /// Judges a frame of a device.
    pub fn of(hook: Hook, frame: &[u8], tables: &impl Tables, device: u32) -> Self {
        let Some(place) = find_arp(frame) else {
            return Self {
                done: Done::Pass,
                left: frame.to_vec(),
                counter: None,
                claim: None,
                tags: 0,
                verdict: "no ARP".to_owned(),
            };
        };
        match hook {
            Hook::Xdp | Hook::TcIngress => {
                let (received, arp) = judge::receive(frame, place, tables, device);
                let Received {
                    verdict,
                    watched_by,
                } = received;
                let (done, left) = match (verdict.act(), arp) {
                    (Receive::Answer(mac), Some(arp)) => {
                        (Done::Answer, answer(hook, frame, place, &arp, mac))
                    }
                    (Receive::Drop | Receive::Defer(_), _) => (Done::Drop, frame.to_vec()),
                    (Receive::Pass | Receive::Answer(_), _) => (Done::Pass, frame.to_vec()),
                };
                let watched = (watched_by != Decider::NOBODY).then_some(watched_by);
                Self {
                    claim: watched.zip(arp).map(|(by, arp)| (by, arp.spa, arp.sha)),
                    ..Self::new(done, left, place, &verdict)
                }
            }
            Hook::TcEgress => {
                let verdict = judge::send(frame, place, tables, device);
                let mut left = frame.to_vec();
                let done = match verdict.act() {
                    Send::Pass => Done::Pass,
                    Send::Drop => Done::Drop,
                    Send::Rewrite(rip) => {
                        left[place.at + SPA_AT..][..4].copy_from_slice(&rip.octets());
                        Done::Rewrite
                    }
                };
                Self::new(done, left, place, &verdict)
            }
        }
    }

    fn new<A: Debug>(done: Done, left: Vec<u8>, place: Place, verdict: &Verdict<A>) -> Self {
        Self {
            done,
            left,
            claim: None,
            tags: place.tags(),
            counter: Some(counter(verdict.decider, verdict.reason)),
            verdict: format!("{verdict:?}"),
        }
    }
}

/// The reply in the place of the request. A driver sends it as long as it came, zeros where the tags
/// were; of a packet the tags are taken out.
fn answer(hook: Hook, frame: &[u8], place: Place, arp: &Arp, mac: Mac) -> Vec<u8> {
    let reply = arp.reply(mac);
    let tags = place.tags() * TAG_LEN;
    let mut left = reply.to_vec();
    match hook {
        Hook::Xdp => left.resize(FRAME_LEN + tags, 0),
        Hook::TcIngress | Hook::TcEgress => {}
    }
    left.extend(&frame[FRAME_LEN + tags..]);
    left
}
