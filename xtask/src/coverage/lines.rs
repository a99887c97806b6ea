//! Lines that were run, of those that could have been.

use std::{collections::BTreeMap, fmt, fs, path::Path};

use anyhow::{Context as _, Result};

/// How many lines were run, and how many there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    run: u32,
    all: u32,
}

impl Count {
    fn percent(self) -> f64 {
        match self.all {
            0 => 0.0,
            all => 100.0 * f64::from(self.run) / f64::from(all),
        }
    }

    fn add(&mut self, more: Self) {
        self.run += more.run;
        self.all += more.all;
    }
}

/// The lines of each file, by its path below the workspace. Tests are not among them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Lines(BTreeMap<String, Count>);

/// The lines of some directories, and of all of them.
#[derive(Debug)]
pub(super) struct Sum {
    directories: Vec<(String, Count)>,
    all: Count,
}

impl Lines {
    /// Without the files that are in none of some directories.
    pub(super) fn within(mut self, directories: &[&str]) -> Self {
        self.0
            .retain(|file, _| directories.iter().any(|one| file.starts_with(one)));
        self
    }

    /// Reads LCOV's format, and the files of the workspace at `root` that it names.
    pub(super) fn read(lcov: &str, root: &Path) -> Result<Self> {
        let mut lines = Self::default();
        let (mut file, mut tests) = (None, Vec::new());
        for line in lcov.lines() {
            if let Some(path) = line.strip_prefix("SF:") {
                let path = Path::new(path);
                file = path.strip_prefix(root).ok();
                file = file.filter(|path| path.file_name().is_none_or(|name| name != "tests.rs"));
                tests = match file {
                    Some(_) => tests_in(
                        &fs::read_to_string(path)
                            .with_context(|| format!("read: {}", path.display()))?,
                    ),
                    None => Vec::new(),
                };
            } else if let Some((file, (number, times))) = file.zip(
                line.strip_prefix("DA:")
                    .and_then(|data| data.split_once(',')),
            ) && let (Ok(number), Ok(times)) = (number.parse(), times.parse::<u64>())
                && !tests
                    .iter()
                    .any(|range: &std::ops::Range<u32>| range.contains(&number))
            {
                let file = file.to_string_lossy().into_owned();
                lines.0.entry(file).or_default().add(Count {
                    run: u32::from(times > 0),
                    all: 1,
                });
            }
        }
        Ok(lines)
    }

    /// Sums up what is below some directories.
    pub(super) fn sum(&self, directories: &[&str]) -> Sum {
        let mut sum = Sum {
            directories: Vec::new(),
            all: Count::default(),
        };
        for directory in directories {
            let mut count = Count::default();
            for (file, lines) in &self.0 {
                if file.starts_with(directory) {
                    count.add(*lines);
                }
            }
            sum.all.add(count);
            let name = directory.split('/').next().unwrap_or(directory);
            sum.directories.push((name.to_owned(), count));
        }
        sum
    }
}

impl Sum {
    pub(super) fn percent(&self) -> f64 {
        self.all.percent()
    }
}

/// The lines of modules of tests: from their attribute to the brace that closes them, which rustfmt
/// puts at the beginning of a line.
fn tests_in(text: &str) -> Vec<std::ops::Range<u32>> {
    let mut ranges = Vec::new();
    let mut begun = None;
    for (number, line) in (1..).zip(text.lines()) {
        match (begun, line) {
            (None, "#[cfg(test)]") => begun = Some(number),
            (Some(first), "}") => {
                ranges.push(first..number + 1);
                begun = None;
            }
            // Of one line, as `mod tests;`.
            (Some(first), line) if number == first + 1 && line.ends_with(';') => begun = None,
            _ => {}
        }
    }
    ranges
}

impl fmt::Display for Lines {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (file, count) in &self.0 {
            let Count { run, all } = *count;
            writeln!(out, "{:5.1} % {run:5} of {all:5}  {file}", count.percent())?;
        }
        Ok(())
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let each: Vec<_> = self
            .directories
            .iter()
            .map(|(name, count)| format!("{name} {:.1} %", count.percent()))
            .collect();
        write!(
            out,
            "coverage: {:.1} % of lines ({})",
            self.percent(),
            each.join(", ")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_of_tests_are_found() {
        let text = "fn one() {\n}\n\n#[cfg(test)]\nmod fixture;\n\n#[cfg(test)]\nmod tests {\n    \
                    fn two() {\n    }\n}\nfn three() {\n}\n";
        assert_eq!(tests_in(text).first(), Some(&(7..12)));
        assert_eq!(tests_in(text).len(), 1);
    }

    #[test]
    fn lines_of_the_workspace_are_counted_without_tests() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("");
        let own = root.join("xtask/src/coverage/lines.rs");
        let last = fs::read_to_string(&own).unwrap().lines().count();
        let lcov = format!(
            "SF:{}\nFN:1,x\nDA:20,3\nDA:21,0\nDA:22,1\nDA:{last},7\nend_of_record\n\
             SF:/elsewhere/src/lib.rs\nDA:1,0\nend_of_record\n",
            own.display()
        );
        let lines = Lines::read(&lcov, &root).unwrap();
        assert_eq!(
            lines.to_string(),
            " 66.7 %     2 of     3  xtask/src/coverage/lines.rs\n"
        );
        assert_eq!(
            lines.sum(&["xtask/src/", "arpguard/src/"]).to_string(),
            "coverage: 66.7 % of lines (xtask 66.7 %, arpguard 0.0 %)"
        );
        assert_eq!(lines.within(&["arpguard/src/"]), Lines::default());
    }
}
