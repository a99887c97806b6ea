//! Each point of the source, and where something is killed there.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// A point, and the name of the ground on which a test kills there.
const KILLED: [(&str, &str); 50] = [
    ("address/add", "add-to"),
    ("address/remove", "del-from"),
    ("journal/create", "hide"),
    ("journal/write", "hide"),
    ("link/detach", "detach"),
    ("link/replace", "build"),
    ("link/tcx", "hide-cold"),
    ("link/xdp", "hook-tc"),
    ("load/maps", "hide-cold"),
    ("load/program", "hide-cold"),
    ("map/block", "hide-pool"),
    ("map/block/remove", "unhide-pool"),
    ("map/check", "answer"),
    ("map/check/remove", "unanswer"),
    ("map/claim", "layout"),
    ("map/claim/remove", "answer"),
    ("map/counters", "hide-cold"),
    ("map/create", "hide-cold"),
    ("map/device", "hide"),
    ("map/forget", "detach"),
    ("map/heard", "layout"),
    ("map/listener", "monitor"),
    ("map/local", "hide"),
    ("map/local/remove", "detach"),
    ("map/meters", "monitor"),
    ("map/note", "hide-cold"),
    ("map/rule", "hide"),
    ("map/rule/remove", "unhide"),
    ("map/shape", "hide"),
    ("map/sieve", "hide-cold"),
    ("map/station", "hide"),
    ("map/terms", "pin-route"),
    ("map/wait", "replace-pool"),
    ("pin", "hide"),
    ("pin/move", "layout"),
    ("pins/directory", "hide-cold"),
    ("pins/directory/remove", "detach"),
    ("pins/finish", "hide-cold"),
    ("pins/home", "hide-cold"),
    ("pins/remove", "detach"),
    ("route/remove", "unpin-route"),
    ("route/rule", "pin-route"),
    ("route/rule/remove", "unpin-route"),
    ("route/set", "pin-route"),
    ("run/xdp", "explain"),
    ("tc/filter", "clsact"),
    ("tc/filter/remove", "clsact"),
    ("tc/qdisc", "clsact"),
    ("tc/qdisc/remove", "clsact"),
    ("unpin", "hide"),
];

/// The points at which something has to be killed on the ground of this name.
pub(crate) fn owed(ground: &str) -> BTreeSet<&'static str> {
    let here = KILLED.iter().filter(|(_, name)| *name == ground);
    here.map(|(point, _)| *point).collect()
}

/// A point without a test fails here, a test that does not kill where it has to fails itself.
#[test]
fn every_point_has_a_test() {
    let points: BTreeSet<_> = KILLED
        .iter()
        .map(|(point, _)| (*point).to_owned())
        .collect();
    assert_eq!(points, in_the_source());
    let tests = text_below(&folder("tests/faults"), "points.rs");
    for (_, ground) in KILLED {
        assert!(tests.contains(&format!("\"{ground}\"")), "{ground}");
    }
}

/// The names of all points.
fn in_the_source() -> BTreeSet<String> {
    let text = text_below(&folder("../arpguard/src"), "fault.rs");
    // What is not called by that path would not be found.
    assert!(!text.contains("use crate::fault::"));
    let calls = ["fault::point(", "fault::step("].map(|call| text.split(call).skip(1));
    let mut names = BTreeSet::new();
    for call in calls.into_iter().flatten() {
        let call = call.trim_start();
        // A name, or one for each arm.
        let (end, most) = match call.starts_with("match ") {
            true => ("})", usize::MAX),
            false => (",", 1),
        };
        let until = call.find(end).unwrap();
        let found = call[..until].split('"').skip(1).step_by(2).take(most);
        let before = names.len();
        names.extend(found.map(str::to_owned));
        assert!(names.len() > before || most == 1, "{call:.80}");
    }
    names
}

/// All Rust below a folder, but for a file of this name.
fn text_below(folder: &Path, but: &str) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            text += &text_below(&path, but);
        } else if path.extension().is_some_and(|end| end == "rs") && !path.ends_with(but) {
            text += &fs::read_to_string(&path).unwrap();
        }
    }
    text
}

fn folder(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}
