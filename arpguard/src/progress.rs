//! A bar on standard error, for what takes longer than a second.

use std::{
    io::{IsTerminal as _, stderr},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

const QUIET: Duration = Duration::from_secs(1);

pub(crate) struct Progress {
    total: usize,
    done: usize,
    /// After how many steps something is shown: looking at the clock may cost more than a step.
    every: usize,
    /// What stands behind the bar.
    tail: &'static str,
    started: Instant,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Of work on addresses.
    pub(crate) fn new(total: usize) -> Self {
        Self::with(total, 1024, "{pos}/{len} addresses, {eta} left")
    }

    /// Of work on devices, each of which the kernel may take its time for.
    pub(crate) fn of_devices(total: usize) -> Self {
        Self::with(total, 1, "{pos}/{len} devices, {eta} left")
    }

    /// Of frames that are sent, at a rate that leaves time to show each.
    pub(crate) fn of_frames() -> Self {
        Self::with(0, 1, "{pos}/{len} frames")
    }

    /// Of listening.
    pub(crate) fn of_seconds(total: usize) -> Self {
        Self::with(total, 1, "{pos}/{len} s of listening")
    }

    fn with(total: usize, every: usize, tail: &'static str) -> Self {
        Self {
            total,
            done: 0,
            every,
            tail,
            started: Instant::now(),
            bar: None,
        }
    }

    /// There is more to do than was known.
    pub(crate) fn grow(&mut self, more: usize) {
        self.total += more;
        if let Some(bar) = &self.bar {
            bar.set_length(self.total as u64);
        }
    }

    /// One more is done.
    pub(crate) fn step(&mut self) {
        self.update(self.done + 1);
    }

    /// Time has passed.
    pub(crate) fn tick(&mut self) {
        self.update(self.done);
    }

    /// `done` of the total are done. Nothing is shown in the first second, or to no terminal.
    pub(crate) fn update(&mut self, done: usize) {
        let passed = done / self.every != self.done / self.every;
        self.done = done;
        if !passed && !done.is_multiple_of(self.every) {
            return;
        }
        if let Some(bar) = &self.bar {
            bar.set_position(done as u64);
        } else if self.started.elapsed() > QUIET && stderr().is_terminal() {
            let template = format!("{{wide_bar}} {}", self.tail);
            let bar = ProgressBar::new(self.total as u64);
            let bar = match ProgressStyle::with_template(&template) {
                Ok(style) => bar.with_style(style),
                Err(_) => bar,
            };
            bar.set_position(done as u64);
            self.bar = Some(bar);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
