//! The events, as `arpguard monitor` shows them: a line each, for people or for programs.

use std::{fmt, net::Ipv4Addr};

use arpguard_common::{
    abi::Event,
    verdict::{Mode, Reason},
    wire::{Arp, Header, Kind, target_mac},
};
use serde::Serialize;

use crate::clock::Wall;

/// One event, for programs. `docs/output.md` tells what each field means.
#[derive(Debug, Serialize)]
struct Object<'a> {
    time: String,
    device: &'a str,
    index: u32,
    direction: &'static str,
    reason: &'static str,
    outcome: &'static str,
    policy: Option<&'static str>,
    audit: bool,
    rip: Option<Ipv4Addr>,
    kind: Option<&'static str>,
    operation: Option<u16>,
    sha: Option<String>,
    spa: Option<Ipv4Addr>,
    tha: Option<String>,
    tpa: Option<Ipv4Addr>,
    source: String,
    destination: String,
    suppressed: u64,
    lost: u64,
}

/// One JSON object.
///
/// # Errors
/// Where it cannot be made, which nothing in an event is a reason for.
pub fn json(event: &Event, device: &str) -> serde_json::Result<String> {
    let arp = event.arp();
    let packet = event.packet();
    serde_json::to_string(&Object {
        time: Wall::at(event.time).rfc_3339().to_string(),
        device,
        index: event.device,
        direction: event.direction.name(),
        reason: event.reason.name(),
        outcome: event.reason.outcome(),
        policy: event.decided_by().map(|(policy, _)| policy.name()),
        audit: is_audited(event),
        rip: event.rip(),
        kind: arp.map(|arp| arp.kind.name()),
        operation: packet.map(|packet| Header::read(packet).oper),
        sha: arp.map(|arp| arp.sha.to_string()),
        spa: arp.map(|arp| arp.spa),
        tha: arp.and(packet).map(|packet| target_mac(packet).to_string()),
        tpa: arp.map(|arp| arp.tpa),
        source: event.source.to_string(),
        destination: event.destination.to_string(),
        suppressed: event.suppressed,
        lost: event.lost,
    })
}

/// One line for people: when, where, why, what was done, and to what.
pub fn line(event: &Event, device: &str) -> String {
    format!(
        "{} {device} {}",
        Wall::at(event.time).time_of_day(),
        Told(event)
    )
}

fn is_audited(event: &Event) -> bool {
    matches!(event.decided_by(), Some((_, Mode::Audit)))
}

struct Told<'a>(&'a Event);

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let event = self.0;
        write!(f, "{} {} ", event.direction.name(), event.reason.name())?;
        let done = Done(event.reason, event.rip());
        if is_audited(event) {
            write!(f, "passed (audit: {done})")?;
        } else {
            write!(f, "{done}")?;
        }
        match (event.arp(), event.packet()) {
            (Some(arp), _) => write!(f, ": {}", Packet(&arp))?,
            (None, Some(packet)) => write!(f, ": {}", Strange(Header::read(packet)))?,
            (None, None) => f.write_str(": it is cut short")?,
        }
        write!(f, " ({} > {})", event.source, event.destination)?;
        if let Some(sha) = event.arp().map(|arp| arp.sha)
            && sha != event.source
        {
            write!(f, " as {sha}")?;
        }
        match (event.suppressed, event.lost) {
            (0, 0) => Ok(()),
            (suppressed, 0) => write!(f, " [{suppressed} before it suppressed]"),
            (0, lost) => write!(f, " [{lost} before it lost]"),
            (suppressed, lost) => {
                write!(f, " [{suppressed} before it suppressed, {lost} lost]")
            }
        }
    }
}

struct Done(Reason, Option<Ipv4Addr>);

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.outcome())?;
        match self.1 {
            Some(rip) => write!(f, " to {rip}"),
            None => Ok(()),
        }
    }
}

/// In the words of tcpdump, where it has them.
pub(super) struct Packet<'a>(pub(super) &'a Arp);

impl fmt::Display for Packet<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Arp {
            kind,
            sha,
            spa,
            tpa,
        } = self.0;
        match kind {
            Kind::Request => write!(f, "who-has {tpa} tell {spa}"),
            Kind::Probe => write!(f, "probe who-has {tpa}"),
            Kind::Announcement => write!(f, "announcement {spa} is-at {sha}"),
            Kind::Reply => write!(f, "reply {spa} is-at {sha}"),
        }
    }
}

/// What is no ARP for IPv4 over Ethernet.
pub(super) struct Strange(pub(super) Header);

impl fmt::Display for Strange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Header {
            htype,
            ptype,
            hlen,
            plen,
            oper,
        } = self.0;
        write!(
            f,
            "operation {oper}, hardware type {htype} of {hlen} bytes, \
             protocol {ptype:#06x} of {plen} bytes"
        )
    }
}

#[cfg(test)]
mod tests {
    use arpguard_common::{
        verdict::{Decider, Direction, Policy},
        wire::{ARP_LEN, Mac},
    };
    use proptest::prelude::*;

    use super::*;

    const PACKET: [u8; ARP_LEN] = [
        0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 9, 192, 168, 18, 101, 0, 0, 0, 0, 0, 0, 192, 168,
        18, 129,
    ];

    fn event(mode: Mode, packet: Option<[u8; ARP_LEN]>) -> Event {
        Event::new(
            (5, 7, Direction::Sent),
            (Decider::new(Policy::Hide, mode), Reason::LeakingRequest),
            (Mac::BROADCAST, Mac([2, 0, 0, 0, 0, 8])),
            packet,
            Ipv4Addr::new(192, 168, 18, 10),
        )
    }

    #[test]
    fn a_line_tells_what_was_left_out_and_who_pretends() {
        let mut event = event(Mode::Audit, Some(PACKET));
        (event.suppressed, event.lost) = (3, 4);
        assert_eq!(
            Told(&event).to_string(),
            "sent leaking_request passed (audit: rewritten to 192.168.18.10): \
             who-has 192.168.18.129 tell 192.168.18.101 (02:00:00:00:00:08 > ff:ff:ff:ff:ff:ff) \
             as 02:00:00:00:00:09 [3 before it suppressed, 4 lost]"
        );
    }

    #[test]
    fn what_is_no_arp_for_ipv4_is_told_as_it_is() {
        let mut packet = PACKET;
        (packet[1], packet[7]) = (7, 9);
        let strange = Told(&event(Mode::Enforce, Some(packet))).to_string();
        let end = "operation 9, hardware type 7 of 6 bytes, protocol 0x0800 of 4 bytes \
                   (02:00:00:00:00:08 > ff:ff:ff:ff:ff:ff)";
        assert!(strange.ends_with(end), "{strange}");
        let cut = Told(&event(Mode::Enforce, None)).to_string();
        assert!(cut.contains(": it is cut short ("), "{cut}");
    }

    proptest! {
        #[test]
        fn any_event_is_one_line(packet in any::<[u8; ARP_LEN]>(), time in any::<u64>()) {
            let mut event = event(Mode::Enforce, Some(packet));
            event.time = time;
            prop_assert!(!line(&event, "eth0").contains('\n'));
            prop_assert!(!json(&event, "eth0").unwrap().contains('\n'));
        }
    }
}
