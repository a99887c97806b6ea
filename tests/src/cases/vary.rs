//! The forms that one frame can come in without meaning anything else.

use arpguard_common::{verdict::Policy, wire::Mac};

use super::{
    Case, Direction,
    expect::{Expect, Judged},
};
use crate::{
    arp::{AD, ETHERNET, Frame, IEEE_802, Q},
    fixture::Device,
};

/// A priority tag of the highest priority, and one of the lowest.
const HIGH: u16 = 0xe000;
const LOW: u16 = 0;

const TAGS: &[(&str, &[(u16, u16)])] = &[
    ("untagged", &[]),
    ("802.1Q priority tag", &[(Q, LOW)]),
    ("802.1ad priority tag", &[(AD, HIGH)]),
    ("two priority tags", &[(AD, LOW), (Q, HIGH)]),
    ("three priority tags", &[(Q, HIGH), (Q, LOW), (AD, LOW)]),
    (
        "four priority tags",
        &[(AD, LOW), (Q, LOW), (AD, HIGH), (Q, HIGH)],
    ),
];

/// One more than programs look behind.
const FIVE: &[(u16, u16)] = &[(Q, LOW), (AD, LOW), (Q, HIGH), (Q, LOW), (AD, LOW)];

/// One row of the table: a frame and what becomes of it.
pub(super) struct Row {
    pub(super) direction: Direction,
    pub(super) device: Device,
    pub(super) says: &'static str,
    pub(super) frame: Frame,
    pub(super) expect: Expect,
    /// Who decides, where anybody does.
    pub(super) policy: Policy,
}

impl Row {
    /// The same, where another policy than to hide decides.
    pub(super) fn by(self, policy: Policy) -> Self {
        Self { policy, ..self }
    }

    /// The frame as it is.
    pub(super) fn once(&self) -> Case {
        self.case("", &self.frame)
    }

    /// The frame in all its forms: of both hardware types, to everybody and to the one station,
    /// behind tags that name no VLAN, padded or not.
    pub(super) fn in_all_forms(&self) -> Vec<Case> {
        let station = match self.direction {
            Direction::Received => self.device.mac(),
            Direction::Sent => self.device.peer_mac(),
        };
        let mut cases = Vec::new();
        for (kind, htype) in [("Ethernet", ETHERNET), ("IEEE 802", IEEE_802)] {
            for (to, destination) in [("broadcast", Mac::BROADCAST), ("unicast", station)] {
                for (behind, tags) in TAGS {
                    for (length, padded) in [("unpadded", false), ("padded", true)] {
                        let mut frame = self.frame.clone().to(destination).tagged(tags);
                        frame.htype = htype;
                        frame.padded = padded;
                        let form = format!("; {to}, {kind}, {behind}, {length}");
                        cases.push(self.case(&form, &frame));
                    }
                }
            }
        }
        cases
    }

    /// The frame behind five tags: nothing is seen of it, but by a program that runs after the
    /// kernel has taken the outermost tag out.
    pub(super) fn too_deep(&self) -> Case {
        let frame = self.frame.clone().tagged(FIVE);
        let mut case = self.case("; but not behind five priority tags", &frame);
        if self.direction == Direction::Received {
            case.untagged_once = Some((case.judged, case.out));
        }
        case.judged = Judged::Uncounted;
        case.out = Some(case.frame.clone());
        case
    }

    fn case(&self, form: &str, frame: &Frame) -> Case {
        let way = match self.direction {
            Direction::Received => "received",
            Direction::Sent => "sent",
        };
        let (judged, out) = self.expect.of(frame, self.device, self.policy);
        Case {
            name: format!("{way} on {}: {}{form}", self.device.name(), self.says),
            direction: self.direction,
            device: self.device,
            frame: frame.bytes(),
            judged,
            out,
            untagged_once: None,
        }
    }
}
