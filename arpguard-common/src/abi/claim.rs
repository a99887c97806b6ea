//! Who is seen to have an address that a policy is about.

use crate::wire::Mac;

/// The last station, other than the device itself, that was heard to say that it has an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Claim {
    /// When it was first heard, since another was; nanoseconds of `CLOCK_MONOTONIC`.
    pub since: u64,
    /// When it was last heard, to the second; nanoseconds of `CLOCK_MONOTONIC`.
    pub seen: u64,
    /// How often another station than the last was heard.
    pub changes: u64,
    /// Its hardware address (SHA).
    pub mac: Mac,
    reserved: [u8; 2],
}

/// Length in bytes of a claim.
pub const CLAIM_LEN: usize = size_of::<Claim>();

/// What a claim that is heard makes of the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It is the same station, heard within the second: nothing to write.
    Again,
    /// It is the same station: it has been heard at this time.
    Still(u64),
    /// It is another station.
    Another(Claim),
}

impl Claim {
    /// How long nobody writes that the same station has been heard once more, in nanoseconds.
    const PAUSE: u64 = 1_000_000_000;

    /// The first claim of an address.
    #[inline(always)]
    pub const fn first(mac: Mac, now: u64) -> Self {
        Self {
            since: now,
            seen: now,
            changes: 0,
            mac,
            reserved: [0; 2],
        }
    }

    /// What becomes of this claim when `mac` is heard `now`.
    #[inline(always)]
    pub fn hears(&self, mac: Mac, now: u64) -> Heard {
        if self.mac != mac {
            return Heard::Another(Self {
                changes: self.changes.wrapping_add(1),
                ..Self::first(mac, now)
            });
        }
        if now.wrapping_sub(self.seen) < Self::PAUSE {
            Heard::Again
        } else {
            Heard::Still(now)
        }
    }

    /// As the map holds it.
    pub fn to_bytes(self) -> [u8; CLAIM_LEN] {
        let mut bytes = [0; CLAIM_LEN];
        let words = [self.since, self.seen, self.changes];
        for (to, word) in bytes.chunks_exact_mut(8).zip(words) {
            to.copy_from_slice(&word.to_ne_bytes());
        }
        bytes[24..30].copy_from_slice(&self.mac.0);
        bytes
    }

    /// From what the map holds.
    pub fn from_bytes(bytes: &[u8; CLAIM_LEN]) -> Self {
        let (words, _) = bytes.as_chunks();
        let mut words = words.iter().map(|word| u64::from_ne_bytes(*word));
        let mut word = || words.next().unwrap_or_default();
        let (since, seen, changes) = (word(), word(), word());
        let [.., a, b, c, d, e, f, x, y] = *bytes;
        Self {
            since,
            seen,
            changes,
            mac: Mac([a, b, c, d, e, f]),
            reserved: [x, y],
        }
    }
}

const _: () = assert!(CLAIM_LEN == 32);

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Mac = Mac([2, 0, 0, 0, 0, 1]);
    const TWO: Mac = Mac([2, 0, 0, 0, 0, 2]);
    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_station_is_heard_until_another_is() {
        let claim = Claim::first(ONE, 5 * SECOND);
        assert_eq!(claim.hears(ONE, 6 * SECOND - 1), Heard::Again);
        assert_eq!(claim.hears(ONE, 6 * SECOND), Heard::Still(6 * SECOND));
        let Heard::Another(other) = claim.hears(TWO, 7 * SECOND) else {
            panic!("{TWO} is another");
        };
        let expected = Claim {
            changes: 1,
            ..Claim::first(TWO, 7 * SECOND)
        };
        assert_eq!(other, expected);
        let Heard::Another(back) = other.hears(ONE, 7 * SECOND) else {
            panic!("{ONE} is another");
        };
        assert_eq!((back.mac, back.changes), (ONE, 2));
    }

    #[test]
    fn bytes_are_those_of_memory() {
        let claim = Claim {
            since: 1,
            seen: 0x0102_0304_0506_0708,
            changes: 3,
            ..Claim::first(ONE, 0)
        };
        let bytes = claim.to_bytes();
        assert_eq!(bytes[8..16], 0x0102_0304_0506_0708_u64.to_ne_bytes());
        let mac = core::mem::offset_of!(Claim, mac);
        assert_eq!(bytes[mac..], [2, 0, 0, 0, 0, 1, 0, 0]);
        assert_eq!(Claim::from_bytes(&bytes), claim);
    }
}
