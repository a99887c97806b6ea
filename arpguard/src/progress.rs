//! A bar on standard error, for what takes longer than a second.

use std::{
    io::{IsTerminal as _, stderr},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

const QUIET: Duration = Duration::from_secs(1);
/// Looking at the clock each time would cost more than the step.
const EVERY: usize = 1024;

pub(crate) struct Progress {
    total: usize,
    started: Instant,
    bar: Option<ProgressBar>,
}

impl Progress {
    pub(crate) fn new(total: usize) -> Self {
        Self {
            total,
            started: Instant::now(),
            bar: None,
        }
    }

    /// `done` of the total are done. Nothing is shown in the first second, or to no terminal.
    pub(crate) fn update(&mut self, done: usize) {
        if !done.is_multiple_of(EVERY) {
            return;
        }
        if let Some(bar) = &self.bar {
            bar.set_position(done as u64);
        } else if self.started.elapsed() > QUIET && stderr().is_terminal() {
            let style =
                ProgressStyle::with_template("{wide_bar} {pos}/{len} addresses, {eta} left");
            let bar = ProgressBar::new(self.total as u64);
            self.bar = Some(match style {
                Ok(style) => bar.with_style(style),
                Err(_) => bar,
            });
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
