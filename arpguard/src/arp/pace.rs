//! A bounded rate.

use std::time::{Duration, Instant};

/// How far a sender that was kept waiting may catch up: a burst must not fill a switch's queues.
const CATCH_UP: Duration = Duration::from_millis(10);

/// When the next frame may go.
#[derive(Debug)]
pub(super) struct Pace {
    interval: Duration,
    next: Instant,
}

impl Pace {
    /// `rate` is in frames a second.
    pub(super) fn new(rate: u32, now: Instant) -> Self {
        Self {
            interval: Duration::from_secs(1) / rate.max(1),
            next: now,
        }
    }

    pub(super) const fn due(&self) -> Instant {
        self.next
    }

    /// One frame goes now.
    pub(super) fn spend(&mut self, now: Instant) {
        let earliest = now.checked_sub(CATCH_UP).unwrap_or(now);
        self.next = self.next.max(earliest) + self.interval;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_go_at_the_rate_and_catch_up_a_little() {
        let start = Instant::now();
        let mut pace = Pace::new(100, start);
        for number in 1..=5 {
            pace.spend(pace.due());
            assert_eq!(pace.due(), start + number * Duration::from_millis(10));
        }
        let late = start + Duration::from_secs(9);
        let mut at_once = 0;
        while pace.due() <= late {
            pace.spend(late);
            at_once += 1;
        }
        assert_eq!(at_once, 2);
    }
}
