//! ARP from user space, on a packet socket: announcing addresses, and asking who has one.
//!
//! A frame is made in one direction: a [`Question`] or an announcement, a packet, a socket. What is
//! heard goes the other way: socket, [`Answers`], [`findings`]. None of it needs BPF, only
//! `CAP_NET_RAW`.

mod announce;
mod answers;
mod device;
mod finding;
mod pace;
mod packet;
mod probe;
mod question;
mod replier;
mod sender;
mod sign;
mod socket;

pub(crate) use self::packet::Packet;
pub use self::{
    announce::Announcement,
    answers::{Answer, Answers},
    device::fit,
    finding::{Expectation, Finding, Outcome, findings},
    probe::Probe,
    question::Question,
    replier::Replier,
    sender::{outsider, sender},
    sign::{Sign, Signs},
};
