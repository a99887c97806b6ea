//! That `cargo xtask bench` measures. How fast anything is, is not looked at.

use std::process::Command;

use arpguard_tests::{
    kernel::{Feature, lacks},
    lab::{Output, arpguard},
};

fn bench(filter: &str) -> Output {
    let bench = env!("CARGO_BIN_EXE_bench");
    let mut command = Command::new(bench);
    Output::of(
        command
            .args(["--quick", "--filter", filter])
            .env("ARPGUARD", arpguard()),
    )
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
    let output = bench("drop/arpguard native, 1,000");
    assert!(output.success(), "{output}");
    assert_eq!(
        names(&output),
        [
            "---",
            "arpguard native, 1,000",
            "arpguard native, 1,000 prefixes",
            "to reach",
            "---",
        ],
        "{output}"
    );
    let row = output
        .stdout
        .lines()
        .find(|line| line.starts_with("| arpguard native, 1,000 |"));
    let cells: Vec<&str> = row.unwrap().split(" | ").collect();
    assert!(cells[1].parse::<f64>().unwrap() > 0.0, "{cells:?}");
    assert_eq!(cells.len(), 5, "{cells:?}");
}

#[test]
fn nothing_to_measure_is_an_error() {
    let output = bench("no such thing");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        output.stderr,
        "bench: nothing that is measured has this in its name\n"
    );
}
