//! Tests of what not every kernel can do.

use std::{
    fs,
    io::{self, Write as _},
    thread,
};

/// A release of Linux: the first two numbers of its version.
pub type Release = (u32, u32);

/// The release that runs.
pub fn kernel() -> Release {
    let version = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = version.split(|c: char| !c.is_ascii_digit());
    let mut next = || numbers.next().unwrap().parse().unwrap();
    (next(), next())
}

/// Where this kernel attaches what it judges at the TC hook, as arpguard names it.
pub fn tc_hook() -> &'static str {
    const TCX: Release = (6, 6);
    if kernel() < TCX { "clsact" } else { "tcx" }
}

/// Whether the test of this thread is left out, as the kernel is older than `first`, which brought
/// `what`; then that is said.
pub fn lacks(what: &str, first: Release) -> bool {
    let (major, minor) = first;
    let is_older = kernel() < first;
    if is_older {
        skip(&format!("{what} came with Linux {major}.{minor}"));
    }
    is_older
}

/// Says that the test of this thread is left out, and why. `cargo xtask test` counts it as skipped.
///
/// A test program knows no test that is skipped while it runs; for the program it has passed.
pub fn skip(why: &str) {
    let thread = thread::current();
    let name = thread.name().unwrap_or("a test");
    // Past what the test program keeps of a test that passes; it may have begun a line.
    let line = format!("\nskipped: {name}: {why}\n");
    io::stdout().write_all(line.as_bytes()).unwrap();
}
