//! That `cargo xtask bench` measures. How fast anything is, is not looked at.

use std::process::Command;

use arpguard_tests::{
    kernel::{Feature, lacks},
    lab::{Output, arpguard},
};

fn bench(filters: &[&str]) -> Output {
    let bench = env!("CARGO_BIN_EXE_bench");
    let mut command = Command::new(bench);
    command.arg("--quick").env("ARPGUARD", arpguard());
    for filter in filters {
        command.args(["--filter", filter]);
    }
    Output::of(&mut command)
}

/// The first cells of a table's rows.
fn names(output: &Output) -> Vec<&str> {
    let rows = output.stdout.lines().filter(|line| line.starts_with("| "));
    rows.filter_map(|row| row.split(" | ").next()?.strip_prefix("| "))
        .collect()
}

#[test]
fn a_flood_is_measured_and_told_as_a_table() {
    if lacks(Feature::LiveFrames) {
        return;
    }
    let output = bench(&["drop/arpguard native, 1,000", "drop/bare"]);
    assert!(output.success(), "{output}");
    assert_eq!(
        names(&output),
        [
            "---",
            "bare XDP_DROP",
            "arpguard native, 1,000",
            "arpguard native, 1,000 prefixes",
            "to reach",
            "---",
        ],
        "{output}"
    );
    let cells = |name: &str| -> Vec<&str> {
        let mut lines = output.stdout.lines();
        let row = lines.find(|line| line.starts_with(&format!("| {name} |")));
        row.unwrap().split(" | ").collect()
    };
    let row = cells("arpguard native, 1,000");
    assert!(row[1].parse::<f64>().unwrap() > 0.0, "{row:?}");
    assert_eq!(row.len(), 5, "{row:?}");
    assert_eq!(cells("bare XDP_DROP")[4], "1.00 |");
}

#[test]
fn nothing_to_measure_is_an_error() {
    let output = bench(&["no such thing"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        output.stderr,
        "bench: nothing that is measured has this in its name\n"
    );
}
