//! The forms in which somebody can ask who has an address. A host that is silent to one may answer
//! another.

use std::net::Ipv4Addr;

use arpguard_common::{
    frame::{ETHERTYPE_8021AD, ETHERTYPE_8021Q},
    wire::{IEEE_802, Mac},
};

use super::packet::{Packet, Tag};

/// Priority 0, VID 0: the kernel strips such tags, however many are nested (`skb_vlan_untag` in
/// `net/core/dev.c`).
const PRIORITY: &[Tag] = &[(ETHERTYPE_8021Q, 0)];
const NESTED: &[Tag] = &[(ETHERTYPE_8021AD, 0), (ETHERTYPE_8021Q, 0)];

/// A form of question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Question {
    /// A request to everybody, as a host does that looks for a neighbour.
    Broadcast,
    /// A request to one station, as a host or switch does that revalidates what it knows.
    Unicast,
    /// A probe: a request without a sender (RFC 5227, section 2.1.1).
    Probe,
    /// A request of hardware type 6, which the kernel takes on Ethernet too.
    Hardware6,
    /// A request behind a priority tag.
    PriorityTag,
    /// A request behind two of them.
    NestedTags,
    /// A request from an address outside of the subnet.
    Outside,
}

impl Question {
    /// All of them, in the order in which they are asked.
    pub const ALL: &[Self] = &[
        Self::Broadcast,
        Self::Unicast,
        Self::Probe,
        Self::Hardware6,
        Self::PriorityTag,
        Self::NestedTags,
        Self::Outside,
    ];

    /// The one word for it, in options and output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Broadcast => "broadcast",
            Self::Unicast => "unicast",
            Self::Probe => "probe",
            Self::Hardware6 => "hardware-6",
            Self::PriorityTag => "priority-tag",
            Self::NestedTags => "nested-tags",
            Self::Outside => "outside",
        }
    }

    /// The packet that asks `station`, or everybody, for `target`: from `own`, a hardware address,
    /// and one of the two senders.
    pub(super) fn packet(
        self,
        own: Mac,
        (sender, outsider): (Ipv4Addr, Ipv4Addr),
        target: Ipv4Addr,
        station: Mac,
    ) -> Packet {
        // Who asks for its own address in its own name announces it.
        let sender = if sender == target {
            Ipv4Addr::UNSPECIFIED
        } else {
            sender
        };
        let request = Packet::request(own, sender, target);
        match self {
            Self::Broadcast => request,
            Self::Unicast => Packet {
                destination: station,
                ..request
            },
            Self::Probe => Packet {
                spa: Ipv4Addr::UNSPECIFIED,
                ..request
            },
            Self::Hardware6 => Packet {
                htype: IEEE_802,
                ..request
            },
            Self::PriorityTag => Packet {
                tags: PRIORITY,
                ..request
            },
            Self::NestedTags => Packet {
                tags: NESTED,
                ..request
            },
            Self::Outside => Packet {
                spa: outsider,
                ..request
            },
        }
    }
}
