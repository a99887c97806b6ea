//! The sum of what several test programs report.

use std::{fmt, mem};

/// What a line begins with in which a test says that this kernel cannot do what it is about. It has
/// passed for its test program, which knows no other way to leave one out.
const SKIPPED: &str = "skipped: ";
/// What a line begins with that names tests which were not started, and why.
pub(crate) const LEFT_OUT: &str = "left out: ";

/// Counts of tests. Ignored tests are told as skipped, as are those that skip themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    passed: u64,
    failed: u64,
    skipped: u64,
    /// Of the test program that is under way, how many tests have skipped themselves.
    skipping: u64,
}

impl Tally {
    /// Adds the counts of one line of output, where it is a test program's result.
    pub(crate) fn read(&mut self, line: &str) {
        let line = line.trim();
        if line.starts_with(SKIPPED) {
            self.skipping += 1;
        } else if line.starts_with(LEFT_OUT) {
            self.skipped += 1;
        }
        let Some(counts) = line.strip_prefix("test result: ") else {
            return;
        };
        // "ok. 3 passed; 0 failed; 1 ignored; …": each number stands before its word.
        let mut before = "";
        for word in counts.split_whitespace() {
            let number = before.parse().unwrap_or(0);
            match word {
                "passed;" => self.passed += number,
                "failed;" => self.failed += number,
                "ignored;" => self.skipped += number,
                _ => {}
            }
            before = word;
        }
        let skipped = mem::take(&mut self.skipping);
        self.passed = self.passed.saturating_sub(skipped);
        self.skipped += skipped;
    }

    /// Whether some test ran and none failed.
    pub(crate) fn is_success(self) -> bool {
        self.passed > 0 && self.failed == 0
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            passed,
            failed,
            skipped,
            skipping: _,
        } = self;
        write!(out, "{passed} passed, {failed} failed, {skipped} skipped")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(output: &str) -> Tally {
        let mut tally = Tally::default();
        output.lines().for_each(|line| tally.read(line));
        tally
    }

    #[test]
    fn results_are_summed() {
        let tally = tally(
            "running 4 tests\n\
             test a ... ok\n\
             test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 9 filtered out; finished in 0.01s\n\
             \n\
             test result: FAILED. 5 passed; 2 failed; 4 ignored; 0 measured; 0 filtered out; finished in 1.5s\n",
        );
        assert_eq!(tally.to_string(), "8 passed, 2 failed, 5 skipped");
        assert!(!tally.is_success());
    }

    #[test]
    fn tests_that_skip_themselves_have_not_passed() {
        let tally = tally(
            "test a ... \nskipped: a: this kernel has no TCX\nok\n\
             test result: ok. 3 passed; 0 failed; 0 ignored;\n\
             left out: soak: it takes long\n",
        );
        assert_eq!(tally.to_string(), "2 passed, 0 failed, 2 skipped");
    }

    #[test]
    fn nothing_but_results_counts() {
        let tally = tally("7 passed; 7 failed; 7 ignored;\ntest 3 passed; ... ok\n");
        assert_eq!(tally, Tally::default());
    }

    #[test]
    fn no_test_is_no_success() {
        assert!(!tally("test result: ok. 0 passed; 0 failed; 3 ignored; 0 measured").is_success());
        assert!(tally("test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured").is_success());
    }
}
