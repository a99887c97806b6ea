//! What libFuzzer tells at its end.

use std::fmt;

/// How much one target was fuzzed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    /// How many inputs it was given.
    runs: u64,
    /// How many edges and how many features of the code they reached.
    edges: u64,
    features: u64,
    /// How many inputs are in the corpus.
    corpus: u64,
}

impl Outcome {
    /// Reads it: `#1234 DONE cov: 56 ft: 78 corp: 9/1234b …`, where `cov` and `ft` are of all that
    /// was reached.
    pub(super) fn read(output: &str) -> Option<Self> {
        let line = output.lines().find(|line| line.contains("\tDONE "))?;
        let words: Vec<&str> = line.split_whitespace().collect();
        let after = |name: &str| {
            let at = words.iter().position(|word| *word == name)?;
            words.get(at + 1)?.split('/').next()?.parse().ok()
        };
        Some(Self {
            runs: words.first()?.strip_prefix('#')?.parse().ok()?,
            edges: after("cov:")?,
            features: after("ft:")?,
            corpus: after("corp:")?,
        })
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            runs,
            edges,
            features,
            corpus,
        } = self;
        write!(
            out,
            "{runs} runs, {edges} edges, {features} features, {corpus} inputs kept"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_is_read() {
        let output = "INFO: seed corpus: files: 17\n\
            #2\tINITED cov: 40 ft: 41 corp: 1/1b exec/s: 0 rss: 50Mb\n\
            #1048576\tDONE   cov: 83 ft: 215 corp: 31/1234b lim: 68 exec/s: 524288 rss: 60Mb\n";
        let outcome = Outcome::read(output).unwrap();
        assert_eq!(
            outcome.to_string(),
            "1048576 runs, 83 edges, 215 features, 31 inputs kept"
        );
        assert_eq!(Outcome::read("ERROR: libFuzzer: deadly signal\n"), None);
    }
}
