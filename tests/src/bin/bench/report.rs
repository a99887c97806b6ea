//! What was measured, as tables of Markdown, and what was to be reached.

use std::fmt::{self, Write as _};

/// One thing measured, several times.
pub(crate) struct Row {
    pub(crate) name: String,
    /// In the unit of its section, in the order of the rounds.
    pub(crate) samples: Vec<f64>,
}

impl Row {
    pub(crate) fn median(&self) -> f64 {
        median(self.samples.clone())
    }

    /// The median of what `compare` makes of this row and another in each round. What the processor's clock does
    /// in the course of the rounds is in both alike.
    fn against(&self, other: &Self, compare: impl Fn(f64, f64) -> f64) -> f64 {
        let pairs = self.samples.iter().zip(&other.samples);
        median(pairs.map(|(own, other)| compare(*own, *other)).collect())
    }

    fn ratio(&self, other: &Self) -> f64 {
        self.against(other, |own, other| own / other)
    }

    fn spread(&self) -> (f64, f64) {
        let fold =
            |start, pick: fn(f64, f64) -> f64| self.samples.iter().copied().fold(start, pick);
        (fold(f64::INFINITY, f64::min), fold(0.0, f64::max))
    }
}

fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}

/// What is compared side by side.
pub(crate) struct Section {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) unit: &'static str,
    /// The row that the others are told as a multiple of.
    pub(crate) base: &'static str,
    pub(crate) rows: Vec<Row>,
}

impl Section {
    pub(crate) fn row(&self, name: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.name == name)
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let base = self.row(self.base);
        let rate = self.unit == "ns/frame";
        writeln!(f, "### {}\n", self.title)?;
        let frames = if rate { " frames/s |" } else { "" };
        let unit = self.unit;
        writeln!(
            f,
            "| | median {unit} | lowest to highest |{frames} against {} |",
            self.base
        )?;
        writeln!(
            f,
            "| --- | ---: | ---: |{} ---: |",
            if rate { " ---: |" } else { "" }
        )?;
        for row in &self.rows {
            let (median, (low, high)) = (row.median(), row.spread());
            write!(f, "| {} | {median:.1} | {low:.1} to {high:.1} |", row.name)?;
            if rate {
                write!(f, " {:.0} |", 1e9 / median)?;
            }
            match base {
                Some(base) => writeln!(f, " {:.2} |", row.ratio(base))?,
                None => writeln!(f, " - |")?,
            }
        }
        Ok(())
    }
}

/// Something to reach.
struct Target {
    what: &'static str,
    /// What was measured, and whether it is reached.
    judged: Option<(String, bool)>,
}

const SAME: &str = "arpguard native, 1,000,000, the same one asked for";

/// The targets, as a table. What was not measured is left out.
pub(crate) fn targets(sections: &[Section]) -> String {
    let section = |name: &str| sections.iter().find(|section| section.name == name);
    let get = |name: &str, row: &str| section(name)?.row(row);
    let at_most = |limit: f64, unit: &str, value: Option<f64>| {
        value.map(|value| (format!("{value:.2}{unit}"), value <= limit))
    };
    let at_least =
        |limit: f64, value: Option<f64>| value.map(|value| (format!("{value:.2}"), value >= limit));
    let ratio = |a: Option<&Row>, b: Option<&Row>| Some(a?.ratio(b?));
    let one = get("drop", "arpguard native, 1");
    let is_rival = |row: &&Row| !row.name.starts_with("arpguard") && row.name != "bare XDP_DROP";
    let rivals = section("drop").map(|section| section.rows.iter().filter(is_rival));
    let rival = rivals.and_then(|rivals| rivals.min_by(|a, b| a.median().total_cmp(&b.median())));
    let service = |frame: &str| {
        let ours = get("service", &format!("{frame}, arpguard native"))?;
        let bare = get("service", &format!("{frame}, bare XDP_PASS"))?;
        Some(ours.against(bare, |ours, bare| ours - bare))
    };
    let kernel = get("answer", "the kernel");
    let median = |row: &str| get("command", row).map(Row::median);
    let targets = [
        Target {
            what: "a drop, as a multiple of a bare XDP_DROP: at most 1.3",
            judged: at_most(1.3, "", ratio(one, get("drop", "bare XDP_DROP"))),
        },
        Target {
            what: "a drop, times as fast as the best of the others: at least 2",
            judged: at_least(2.0, ratio(rival, one)),
        },
        Target {
            what: "1,000,000 addresses, the same one asked for, as a multiple of one: at most 1.3",
            judged: at_most(1.3, "", ratio(get("drop", SAME), one)),
        },
        Target {
            what: "1,000,000 addresses, any one asked for by chance, as a multiple of one: at most 1.3",
            judged: at_most(
                1.3,
                "",
                ratio(get("drop", "arpguard native, 1,000,000"), one),
            ),
        },
        Target {
            what: "IPv4, more than a bare XDP_PASS: at most 2 ns",
            judged: at_most(2.0, " ns", service("IPv4")),
        },
        Target {
            what: "IPv4 in a VLAN, more than a bare XDP_PASS: at most 2 ns",
            judged: at_most(2.0, " ns", service("IPv4 in a VLAN")),
        },
        Target {
            what: "IPv6, more than a bare XDP_PASS: at most 2 ns",
            judged: at_most(2.0, " ns", service("IPv6")),
        },
        Target {
            what: "an answer by XDP, times as fast as the kernel's: at least 5",
            judged: at_least(5.0, ratio(kernel, get("answer", "arpguard native"))),
        },
        Target {
            what: "`hide`, warm: at most 10 ms",
            judged: at_most(10.0, " ms", median("hide, warm")),
        },
        Target {
            what: "`hide`, cold: at most 100 ms",
            judged: at_most(100.0, " ms", median("hide, cold")),
        },
        Target {
            what: "100,000 addresses applied: at most 2,000 ms",
            judged: at_most(2000.0, " ms", median("apply of 100,000")),
        },
    ];
    let mut table = String::from("| to reach | measured | |\n| --- | ---: | --- |\n");
    for Target { what, judged } in targets {
        if let Some((value, met)) = judged {
            let met = if met { "met" } else { "**not met**" };
            // Writing to a string cannot fail.
            let _ = writeln!(table, "| {what} | {value} | {met} |");
        }
    }
    table
}
