//! Commands that somebody types while the agent runs.

use std::{
    net::Ipv4Addr,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use arpguard_tests::lab::{Output, arpguard};

use super::{dice::Dice, ground::Ground, report::Report, watch::Watch};

/// What is hidden by commands, and never by a file.
pub(crate) const fn are_theirs(ip: Ipv4Addr) -> bool {
    matches!(ip.octets(), [10, 200, ..])
}

/// Runs commands until it is over, and leaves nothing hidden.
pub(crate) fn churn(ground: &Ground, watch: &Watch, mut dice: Dice, report: &Report) {
    let _ends = watch.ends();
    while !watch.is_over() {
        let address = format!("10.200.0.{}", dice.below(8));
        match dice.below(7) {
            0 | 1 => run(ground, &["hide", &address], report),
            2 => run(ground, &["unhide", &address], report),
            3 => run(ground, &["list"], report),
            4 => run(ground, &["status"], report),
            5 => run(ground, &["save"], report),
            _ => listen(ground, dice.pause(400), report),
        }
        report.commands.one();
        watch.sleep(dice.pause(200));
    }
    for last in 0..8 {
        run(ground, &["unhide", &format!("10.200.0.{last}")], report);
    }
}

fn run(ground: &Ground, words: &[&str], report: &Report) {
    let output = ground.server.arpguard(words);
    // The agent has removed it already, as the file does not name it.
    let gone = words[0] == "unhide" && output.stderr.contains("it is not hidden there");
    if !output.success() && !gone {
        report.fault(format!("arpguard {}: {output}", words.join(" ")));
    }
}

/// Listens to what is done, for a moment.
fn listen(ground: &Ground, moment: Duration, report: &Report) {
    let mut command = Command::new(arpguard());
    command.args(["--netns", ground.server.name(), "monitor"]);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    thread::sleep(moment);
    child.kill().unwrap();
    let output = child.wait_with_output().unwrap();
    let output = Output {
        status: output.status,
        stdout: String::new(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    };
    if output.status.code().is_some() {
        report.fault(format!("arpguard monitor: {output}"));
    }
}
