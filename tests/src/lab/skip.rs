//! Tests that are left out.

use std::{
    io::{self, Write as _},
    thread,
};

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
