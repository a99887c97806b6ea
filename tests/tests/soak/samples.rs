//! The agent's memory, as it was seen.

use std::fmt;

/// With 1000 policies a long life needs no more, in KiB. While it loads programs an agent takes more
/// for a moment, which on a busy machine is longer: then aya has read the kernel's whole BTF.
const MOST: u64 = 15 << 10;
/// How much more memory a long life may take at its end than once it has warmed up, in KiB: the
/// allocator's pages come and go, while a leak at each event would be seen many thousand times.
const GROWTH: u64 = 1 << 10;

/// What was seen of all lives, in KiB.
#[derive(Clone, Debug, Default)]
pub(crate) struct Samples {
    /// The long life, in the order of time.
    pub(crate) long: Vec<u64>,
    /// The most that one had for longer than it takes to load programs, and the least.
    pub(crate) most: u64,
    pub(crate) least: Option<u64>,
    /// The most that one has ever had, by the kernel's account.
    pub(crate) peak: u64,
    /// The most files that one had open, and threads.
    pub(crate) files: usize,
    pub(crate) threads: u64,
}

impl Samples {
    /// The long life's most once it was warm, and at its end.
    fn growth(&self) -> (u64, u64) {
        let fifth = self.long.len() / 5;
        let most = |part: &[u64]| part.iter().copied().max().unwrap_or(0);
        let warm = most(&self.long[fifth..2 * fifth]);
        (warm, most(&self.long[4 * fifth..]))
    }

    pub(crate) fn judge(&self) {
        assert!(self.long.len() >= 25, "{} samples", self.long.len());
        let most = self.long.iter().copied().max().unwrap_or(0);
        assert!(most < MOST, "it took {most} KiB");
        let (warm, end) = self.growth();
        assert!(end <= warm + GROWTH, "it grew from {warm} to {end} KiB");
    }
}

impl fmt::Display for Samples {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (warm, end) = self.growth();
        let (least, most) = (self.least.unwrap_or(0), self.most);
        writeln!(out, "{:<32}{least} to {most} KiB", "memory of all agents")?;
        let peak = self.peak;
        writeln!(out, "{:<32}{peak} KiB", "for a moment, while it loads")?;
        writeln!(
            out,
            "{:<32}{warm} KiB warm, {end} KiB at the end",
            "memory of the long life"
        )?;
        let (files, threads) = (self.files, self.threads);
        write!(out, "{:<32}{files} files, {threads} threads", "at most")
    }
}
