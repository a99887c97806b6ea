//! Time: that of the kernel's events, and that of a clock on the wall.
#![expect(unsafe_code, reason = "the calendar is the C library's")]

use std::{fmt, fs, sync::OnceLock};

use nix::time::{ClockId, clock_gettime};

const SECOND: i64 = 1_000_000_000;

/// Nanoseconds of `CLOCK_MONOTONIC` as the machine has it, which the kernel's events are told in.
///
/// In a time namespace the clock shows something else, and programs are in none.
pub fn monotonic() -> u64 {
    u64::try_from(machines_monotonic()).unwrap_or_default()
}

fn machines_monotonic() -> i64 {
    static OFFSET: OnceLock<i64> = OnceLock::new();
    let offset = OFFSET.get_or_init(|| {
        // Before Linux 5.6 there are no time namespaces.
        let text = fs::read_to_string("/proc/self/timens_offsets").unwrap_or_default();
        monotonic_offset(&text).unwrap_or(0)
    });
    read(ClockId::CLOCK_MONOTONIC).saturating_sub(*offset)
}

/// What a time namespace adds to the clock, in nanoseconds, of `timens_offsets` as
/// `time_namespaces(7)` has it.
fn monotonic_offset(text: &str) -> Option<i64> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("monotonic"))?;
    let mut numbers = line.split_whitespace().map(str::parse::<i64>);
    let (seconds, nanoseconds) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    seconds.checked_mul(SECOND)?.checked_add(nanoseconds)
}

/// The clock cannot fail: each kernel has these two.
fn read(clock: ClockId) -> i64 {
    clock_gettime(clock).map_or(0, |now| now.tv_sec() * SECOND + now.tv_nsec())
}

/// A moment, in nanoseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wall(i64);

impl Wall {
    /// When the monotonic clock showed `monotonic`, as the clocks differ now.
    pub fn at(monotonic: u64) -> Self {
        let offset = read(ClockId::CLOCK_REALTIME) - machines_monotonic();
        Self(offset.saturating_add(i64::try_from(monotonic).unwrap_or(i64::MAX)))
    }

    /// The time of day here: `12:34:56.789012`.
    pub fn time_of_day(self) -> impl fmt::Display {
        // SAFETY: all zero is a broken-down time without anything.
        let mut parts: libc::tm = unsafe { std::mem::zeroed() };
        let seconds = self.0.div_euclid(SECOND);
        // SAFETY: both point to live values; where it fails, the zeros stay.
        unsafe { libc::localtime_r(&raw const seconds, &raw mut parts) };
        let libc::tm {
            tm_hour,
            tm_min,
            tm_sec,
            ..
        } = parts;
        let micros = self.micros();
        fmt::from_fn(move |f| write!(f, "{tm_hour:02}:{tm_min:02}:{tm_sec:02}.{micros:06}"))
    }

    /// As RFC 3339 writes it, in UTC: `2026-01-31T12:34:56.789012Z`.
    pub fn rfc_3339(self) -> impl fmt::Display {
        // SAFETY: all zero is a broken-down time without anything.
        let mut parts: libc::tm = unsafe { std::mem::zeroed() };
        let seconds = self.0.div_euclid(SECOND);
        // SAFETY: both point to live values; where it fails, the zeros stay.
        unsafe { libc::gmtime_r(&raw const seconds, &raw mut parts) };
        let (year, month) = (parts.tm_year + 1900, parts.tm_mon + 1);
        let libc::tm {
            tm_mday,
            tm_hour,
            tm_min,
            tm_sec,
            ..
        } = parts;
        let micros = self.micros();
        fmt::from_fn(move |f| {
            write!(
                f,
                "{year:04}-{month:02}-{tm_mday:02}T{tm_hour:02}:{tm_min:02}:{tm_sec:02}.{micros:06}Z"
            )
        })
    }

    const fn micros(self) -> i64 {
        self.0.rem_euclid(SECOND) / 1000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_as_rfc_3339_does() {
        let moment = Wall(1_000_000_000 * SECOND + 12_345_678);
        assert_eq!(moment.rfc_3339().to_string(), "2001-09-09T01:46:40.012345Z");
        assert_eq!(
            Wall(-1).rfc_3339().to_string(),
            "1969-12-31T23:59:59.999999Z"
        );
        let time = moment.time_of_day().to_string();
        assert!(time.ends_with(":40.012345"), "{time}");
        assert_eq!(time.len(), "12:34:56.789012".len());
    }

    #[test]
    fn what_a_time_namespace_adds_is_read() {
        let text = "monotonic     -86400         5\nboottime           0         0\n";
        assert_eq!(monotonic_offset(text), Some(-86_400 * SECOND + 5));
        assert_eq!(monotonic_offset("boottime 0 0\n"), None);
        assert_eq!(monotonic_offset("monotonic x 0\n"), None);
    }

    #[test]
    fn the_monotonic_clocks_now_is_now() {
        let before = Wall(read(ClockId::CLOCK_REALTIME));
        let now = Wall::at(monotonic());
        assert!((now.0 - before.0).abs() < 60 * SECOND);
    }
}
