//! What the programs tell of single frames, and who wants to hear it.

use core::{mem::offset_of, net::Ipv4Addr};

use crate::{
    verdict::{Decider, Direction, Mode, Policy, Reason},
    wire::{ARP_LEN, Arp, Mac},
};

/// Length in bytes of an event.
pub const EVENT_LEN: usize = size_of::<Event>();

/// One frame that was not simply permitted: as it came, before anything was done to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Event {
    /// When it was judged, in nanoseconds of `CLOCK_MONOTONIC`.
    pub time: u64,
    /// How many events of this device and policy were left out on this CPU since the last one, over
    /// the rate.
    pub suppressed: u64,
    /// How many found no room in the ring since the last one.
    pub lost: u64,
    /// Interface index.
    pub device: u32,
    /// The sender that is put in; zeros where none is.
    pub rip: [u8; 4],
    /// Why.
    pub reason: Reason,
    /// Which way it goes.
    pub direction: Direction,
    decider: u8,
    captured: u8,
    reserved: [u8; 4],
    /// Destination of the frame.
    pub destination: Mac,
    /// Source of the frame.
    pub source: Mac,
    packet: [u8; ARP_LEN],
}

impl Event {
    /// An event of which nothing was left out before. `packet`: the ARP packet's bytes, where the
    /// frame has as many.
    #[inline(always)]
    pub fn new(
        (time, device, direction): (u64, u32, Direction),
        (decider, reason): (Decider, Reason),
        (destination, source): (Mac, Mac),
        packet: Option<[u8; ARP_LEN]>,
        rip: Ipv4Addr,
    ) -> Self {
        // No `Option` goes into memory: what is not there must be zeros for the verifier.
        let (captured, packet) = match packet {
            Some(packet) => (ARP_LEN as u8, packet),
            None => (0, [0; ARP_LEN]),
        };
        Self {
            time,
            suppressed: 0,
            lost: 0,
            device,
            rip: rip.octets(),
            reason,
            direction,
            decider: decider.number(),
            captured,
            reserved: [0; 4],
            destination,
            source,
            packet,
        }
    }

    /// The policy that decided, and how it is applied; `None` where there was none.
    pub fn decided_by(&self) -> Option<(Policy, Mode)> {
        Decider::from_number(self.decider)?.policy()
    }

    /// The bytes of the ARP packet; `None` where the frame ended before.
    pub fn packet(&self) -> Option<&[u8; ARP_LEN]> {
        (self.captured != 0).then_some(&self.packet)
    }

    /// The ARP packet, where it could be parsed.
    pub fn arp(&self) -> Option<Arp> {
        Arp::parse(self.packet()?)
    }

    /// The sender that is put in, where one is.
    pub const fn rip(&self) -> Option<Ipv4Addr> {
        let [a, b, c, d] = self.rip;
        let rip = Ipv4Addr::new(a, b, c, d);
        if rip.is_unspecified() {
            None
        } else {
            Some(rip)
        }
    }

    /// As the ring holds it.
    pub fn to_bytes(self) -> [u8; EVENT_LEN] {
        let mut bytes = [0; EVENT_LEN];
        let (words, rest) = bytes.split_at_mut(24);
        let numbers = [self.time, self.suppressed, self.lost];
        for (to, number) in words.chunks_exact_mut(8).zip(numbers) {
            to.copy_from_slice(&number.to_ne_bytes());
        }
        let device = self.device.to_ne_bytes();
        let small = [
            self.reason as u8,
            self.direction as u8,
            self.decider,
            self.captured,
        ];
        let fields: [&[u8]; 7] = [
            &device,
            &self.rip,
            &small,
            &self.reserved,
            &self.destination.0,
            &self.source.0,
            &self.packet,
        ];
        for (to, from) in rest.iter_mut().zip(fields.into_iter().flatten()) {
            *to = *from;
        }
        bytes
    }

    /// From what the ring holds. `None` where it is no event of this version.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut rest = Bytes(bytes);
        let event = Self {
            time: u64::from_ne_bytes(rest.next()?),
            suppressed: u64::from_ne_bytes(rest.next()?),
            lost: u64::from_ne_bytes(rest.next()?),
            device: u32::from_ne_bytes(rest.next()?),
            rip: rest.next()?,
            reason: Reason::from_number(rest.byte()?)?,
            direction: Direction::from_number(rest.byte()?)?,
            decider: rest.byte()?,
            captured: rest.byte()?,
            reserved: rest.next()?,
            destination: Mac(rest.next()?),
            source: Mac(rest.next()?),
            packet: rest.next()?,
        };
        let sound = rest.0.is_empty()
            && Decider::from_number(event.decider).is_some()
            && (event.captured == 0 || usize::from(event.captured) == ARP_LEN)
            && event.reserved == [0; 4];
        sound.then_some(event)
    }
}

struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn next<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*first)
    }

    fn byte(&mut self) -> Option<u8> {
        self.next::<1>().map(|[byte]| byte)
    }
}

/// Who reads the events, and which of them. All zeros: nobody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Listener {
    /// When the reader's lease ends, in nanoseconds of `CLOCK_MONOTONIC`. It renews the lease
    /// while it lives, so one that was killed is soon forgotten.
    pub until: u64,
    /// How many events a second are written for one device and policy.
    pub rate: u32,
    /// The interface index of the only device that is of interest; 0 for every device.
    pub device: u32,
    /// The reasons that are of interest: see [`Self::reason`].
    pub reasons: u32,
    /// Zero.
    pub reserved: u32,
}

impl Listener {
    /// How many words it is.
    pub const WORDS: usize = size_of::<Self>() / size_of::<u64>();
    /// Which of the words is [`Self::until`].
    pub const UNTIL_AT: usize = offset_of!(Self, until) / size_of::<u64>();

    /// The bit of a reason in [`Self::reasons`].
    #[inline(always)]
    pub const fn reason(reason: Reason) -> u32 {
        1 << reason as u32
    }

    /// Whether an event is of interest.
    #[inline(always)]
    pub const fn wants(&self, device: u32, reason: Reason) -> bool {
        (self.device == 0 || self.device == device) && self.reasons & Self::reason(reason) != 0
    }

    /// As the map holds it.
    #[inline(always)]
    pub const fn to_words(self) -> [u64; Self::WORDS] {
        [
            self.until,
            side_by_side(self.rate, self.device),
            side_by_side(self.reasons, self.reserved),
        ]
    }

    /// From what the map holds.
    #[inline(always)]
    pub const fn from_words([until, second, third]: [u64; Self::WORDS]) -> Self {
        let ((rate, device), (reasons, reserved)) = (apart(second), apart(third));
        Self {
            until,
            rate,
            device,
            reasons,
            reserved,
        }
    }
}

/// Two numbers as one that has their bytes in this order.
const fn side_by_side(first: u32, second: u32) -> u64 {
    let ([a, b, c, d], [e, f, g, h]) = (first.to_ne_bytes(), second.to_ne_bytes());
    u64::from_ne_bytes([a, b, c, d, e, f, g, h])
}

/// The reverse of [`side_by_side`].
#[inline(always)]
const fn apart(number: u64) -> (u32, u32) {
    let [a, b, c, d, e, f, g, h] = number.to_ne_bytes();
    (
        u32::from_ne_bytes([a, b, c, d]),
        u32::from_ne_bytes([e, f, g, h]),
    )
}

const _: () = {
    assert!(EVENT_LEN == 80);
    assert!(size_of::<Listener>() == 24);
    assert!(Reason::COUNT <= u32::BITS as usize);
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::Kind;

    const PACKET: [u8; ARP_LEN] = [
        0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 9, 192, 168, 18, 129, 0, 0, 0, 0, 0, 0, 192, 168,
        18, 10,
    ];

    fn event() -> Event {
        Event {
            suppressed: 3,
            lost: 4,
            ..Event::new(
                (0x0102_0304_0506_0708, 7, Direction::Sent),
                (
                    Decider::new(Policy::Hide, Mode::Audit),
                    Reason::LeakingRequest,
                ),
                (Mac([1; 6]), Mac([2; 6])),
                Some(PACKET),
                Ipv4Addr::new(10, 0, 0, 9),
            )
        }
    }

    #[test]
    fn bytes_are_those_of_memory() {
        let event = event();
        let bytes = event.to_bytes();
        assert_eq!(bytes[..8], 0x0102_0304_0506_0708_u64.to_ne_bytes());
        let device = core::mem::offset_of!(Event, device);
        assert_eq!(bytes[device..][..4], 7_u32.to_ne_bytes());
        assert_eq!(bytes[28..32], [10, 0, 0, 9]);
        let small = [Reason::LeakingRequest as u8, Direction::Sent as u8, 6, 28];
        assert_eq!(bytes[core::mem::offset_of!(Event, reason)..][..4], small);
        assert_eq!(
            bytes[core::mem::offset_of!(Event, destination)..][..12],
            [1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2]
        );
        assert_eq!(bytes[core::mem::offset_of!(Event, packet)..], PACKET);
        assert_eq!(Event::from_bytes(&bytes), Some(event));
        assert_eq!(event.decided_by(), Some((Policy::Hide, Mode::Audit)));
        assert_eq!(event.arp().unwrap().kind, Kind::Request);
        assert_eq!(event.rip(), Some(Ipv4Addr::new(10, 0, 0, 9)));
    }

    #[test]
    fn numbers_of_nothing_are_refused() {
        let good = event().to_bytes();
        for (at, byte) in [
            (32, Reason::COUNT as u8),
            (33, 2),
            (34, Decider::COUNT as u8),
            (35, 27),
            (36, 1),
        ] {
            let mut bytes = good;
            bytes[at] = byte;
            assert_eq!(Event::from_bytes(&bytes), None, "byte {at} = {byte}");
        }
        assert_eq!(Event::from_bytes(&good[1..]), None);
        let mut longer = [0; EVENT_LEN + 8];
        longer[..EVENT_LEN].copy_from_slice(&good);
        assert_eq!(Event::from_bytes(&longer), None);
    }

    #[test]
    fn a_listener_wants_what_it_names() {
        let all = Listener {
            reasons: u32::MAX,
            ..Listener::default()
        };
        assert!(all.wants(7, Reason::NoRip));
        let one = Listener {
            device: 7,
            reasons: Listener::reason(Reason::NoRip),
            ..all
        };
        assert!(one.wants(7, Reason::NoRip));
        assert!(!one.wants(8, Reason::NoRip));
        assert!(!one.wants(7, Reason::HiddenProbe));
        let listener = Listener {
            until: 0x0102_0304_0506_0708,
            rate: 9,
            ..one
        };
        let words = listener.to_words();
        assert_eq!(words[Listener::UNTIL_AT], listener.until);
        let reasons = Listener::reason(Reason::NoRip);
        let [a, b, c, d] = reasons.to_ne_bytes();
        assert_eq!(words[2].to_ne_bytes(), [a, b, c, d, 0, 0, 0, 0]);
        assert_eq!(Listener::from_words(words), listener);
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_event_or_none(
            bytes in prop::collection::vec(any::<u8>(), 0..2 * EVENT_LEN),
        ) {
            if let Some(event) = Event::from_bytes(&bytes) {
                prop_assert_eq!(&event.to_bytes()[..], &bytes[..]);
            }
        }

        #[test]
        fn nearly_sound_bytes_are_an_event_or_none(
            bytes in prop::array::uniform32(any::<u8>()),
            small in prop::array::uniform4(0_u8..30),
            packet in prop::collection::vec(any::<u8>(), 40),
        ) {
            let mut whole = [0; EVENT_LEN];
            whole[..32].copy_from_slice(&bytes);
            whole[32..36].copy_from_slice(&small);
            whole[40..].copy_from_slice(&packet);
            match Event::from_bytes(&whole) {
                Some(event) => {
                    prop_assert_eq!(event.to_bytes(), whole);
                    prop_assert_eq!(event.packet().is_some(), small[3] != 0);
                    prop_assert_eq!(event.decided_by().is_some(), small[2] != 0);
                }
                None => prop_assert!(
                    usize::from(small[0]) >= Reason::COUNT
                        || small[1] > 1
                        || usize::from(small[2]) >= Decider::COUNT
                        || ![0, 28].contains(&small[3])
                ),
            }
        }
    }
}
