//! When the threads end, and waiting for what must come.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use arpguard_tests::lab::patience;

/// Tells threads that they are to end.
#[derive(Debug, Default)]
pub(crate) struct Watch(AtomicBool);

impl Watch {
    /// Whether it is time to end.
    pub(crate) fn is_over(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Waits, but no longer than until it is over.
    pub(crate) fn sleep(&self, duration: Duration) {
        let deadline = Instant::now() + duration;
        while !self.is_over() {
            let Some(left) = deadline.checked_duration_since(Instant::now()) else {
                return;
            };
            thread::sleep(left.min(Duration::from_millis(50)));
        }
    }

    /// It is over when this is dropped, also where a thread panics: else the others would go on.
    pub(crate) const fn ends(&self) -> Ends<'_> {
        Ends(self)
    }
}

pub(crate) struct Ends<'a>(&'a Watch);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}

/// Waits until it holds.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    assert!(comes(&mut holds), "it never came: {what}");
}

/// Whether it holds before patience ends.
pub(crate) fn comes(holds: &mut dyn FnMut() -> bool) -> bool {
    let started = Instant::now();
    while !holds() {
        if started.elapsed() > patience() {
            return false;
        }
        thread::sleep(Duration::from_millis(20));
    }
    true
}

/// What something is once it has been the same for a while.
pub(crate) fn settled<T: PartialEq>(mut look: impl FnMut() -> T) -> T {
    let (mut last, mut same) = (look(), 0);
    eventually("it settles", || {
        let now = look();
        same = if now == last { same + 1 } else { 0 };
        last = now;
        same >= 25
    });
    last
}
