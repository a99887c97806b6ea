//! All that can be seen of the state of a real server.

use std::{fmt::Write as _, fs, path::Path};

use aya::programs::{SchedClassifier, TcAttachType};
use serde_json::Value;

use super::ground::Ground;

/// What `ip` is asked.
const NETWORK: [&str; 3] = ["addr show", "rule show", "route show table all"];
/// What `tc` is asked. A qdisc tells whose filters follow.
const HOOKS: [&str; 9] = [
    "qdisc show",
    "qdisc show dev eth0",
    "filter show dev eth0 ingress",
    "qdisc show dev eth0",
    "filter show dev eth0 egress",
    "qdisc show dev eth1",
    "filter show dev eth1 ingress",
    "qdisc show dev eth1",
    "filter show dev eth1 egress",
];

impl Ground {
    /// All that can be seen of what is in force, without numbers that are new each time.
    pub(crate) fn state(&self) -> String {
        let mut state = self.look("-o json list");
        let mut status: Value = serde_json::from_str(&self.look("-o json status")).unwrap();
        for device in status["devices"].as_array_mut().unwrap() {
            // Frames that this test has sent.
            for seen in ["counters", "claims"] {
                device.as_object_mut().unwrap().remove(seen);
            }
        }
        writeln!(state, "{status:#}").unwrap();
        if let Some(pins) = status["pins"].as_str() {
            let home = Path::new(pins).parent().unwrap();
            let mut found = Vec::new();
            tree(home, &mut found);
            found.sort();
            state += &found.join("\n");
        }
        let network = self.batch("ip -o", &NETWORK);
        let mut network: Vec<_> = network.lines().collect();
        network.sort_unstable();
        writeln!(state, "\n{}", network.join("\n")).unwrap();
        state + &self.hooks()
    }

    /// What other tools see, but for addresses.
    pub(crate) fn hooks(&self) -> String {
        let mut state = String::new();
        for line in self.batch("tc", &HOOKS).lines() {
            // What is new each time, such as a program's number, is not told.
            if line.contains(" direct-action ") {
                state += "a filter\n";
            } else if line.starts_with("qdisc ") {
                writeln!(state, "{line}").unwrap();
            }
        }
        for link in self.server.sh("ip -d -o link show").lines() {
            let name = link.split_whitespace().nth(1).unwrap();
            let xdp = ["xdp ", "xdpgeneric "].map(|mode| link.contains(mode));
            writeln!(state, "{name} xdp {xdp:?}").unwrap();
        }
        self.server.enter(|| {
            for device in ["eth0", "eth1"] {
                for hook in [TcAttachType::Ingress, TcAttachType::Egress] {
                    let query = SchedClassifier::query_tcx(device, hook);
                    let programs = query.map_or(0, |(_, found)| found.len());
                    writeln!(state, "{device}: {hook:?}: {programs} by tcx").unwrap();
                }
            }
        });
        state
    }

    /// What a tool says to several lines at once: to start it takes longer than what it does.
    fn batch(&self, tool: &str, lines: &[&str]) -> String {
        let file = self.directory.write("batch", &(lines.join("\n") + "\n"));
        self.server.sh(&format!("{tool} -batch {file}"))
    }
}

/// Fails where a state is not the one that is wanted, and tells what differs.
pub(crate) fn is(state: &str, wanted: &str, when: &str) {
    let lacks = |one: &str, other: &str| {
        let other: Vec<_> = other.lines().collect();
        let lacking = one.lines().filter(|line| !other.contains(line));
        lacking.collect::<Vec<_>>().join("\n  ")
    };
    assert!(
        state == wanted,
        "{when}: there is\n  {}\nin place of\n  {}",
        lacks(state, wanted),
        lacks(wanted, state)
    );
}

fn tree(directory: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        found.push(path.to_str().unwrap().to_owned());
        if path.is_dir() {
            tree(&path, found);
        }
    }
}
