//! The systemd unit and the example of a policy that are packaged.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    fs,
    io::{Write as _, stderr},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use arpguard_tests::{
    http::fault,
    lab::{Output, arpguard},
    running::{Agent, Directory, eventually},
    server::{guards, pins, real_server},
};
use nix::sys::signal::Signal;

fn packaged(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../packaging")
        .join(name)
}

fn unit() -> String {
    fs::read_to_string(packaged("systemd/arpguard.service")).unwrap()
}

fn setting(name: &str) -> String {
    let unit = unit();
    let mut lines = unit.lines();
    let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    value.unwrap().to_owned()
}

/// As far as it can be had without systemd: its limit, its capabilities, a mount namespace of its own,
/// file systems that cannot be written but for those that are named.
#[test]
fn what_the_unit_allows_is_enough_and_what_is_pinned_outlives_it() {
    let (server, _peer) = real_server();
    assert_eq!(setting("ProtectSystem"), "strict");
    assert_eq!(setting("LimitMEMLOCK"), "infinity");
    let set: Vec<_> = setting("CapabilityBoundingSet")
        .split_whitespace()
        .map(|name| format!("+{}", name.trim_start_matches("CAP_").to_lowercase()))
        .collect();
    // Who may not raise the limit is on a kernel that does not charge maps to it, or fails below.
    let script = format!(
        "ulimit -l unlimited || :; mount --make-rprivate / && mount -o remount,bind,ro / && \
         mount -o remount,bind,rw {} && \
         exec setpriv --no-new-privs --inh-caps=-all --bounding-set=\"$0\" \"$@\"",
        setting("ReadWritePaths")
    );
    let mut command = server.command("unshare");
    command
        .args(["--mount", "sh", "-euc", &script])
        .arg(format!("-all,{}", set.join(",")))
        .arg(arpguard())
        .args(["run", "--hide", "192.168.18.101", "--metrics", "9817"])
        .stderr(Stdio::null());
    let agent = Agent::of(command);
    eventually("all is well", || fault(&server).is_none());
    // It still sees what it has attached, when something happens.
    server.sh("ip link add eth7 type veth peer name eth8");
    eventually("all is well with another device", || {
        guards(&server, "eth7") && fault(&server).is_none()
    });
    assert!(agent.end(Signal::SIGTERM).success());
    assert!(server.guard("list").contains("192.168.18.101"));
    assert!(pins(&server).starts_with("/sys/fs/bpf"));
}

#[test]
fn systemd_finds_no_fault_with_the_unit() {
    let version = Command::new("systemd-analyze").arg("--version").output();
    if !version.is_ok_and(|output| output.status.success()) {
        // Past the harness, which shows nothing of a test that passes.
        let _ = writeln!(
            stderr(),
            "packaging/systemd/arpguard.service was NOT checked: there is no systemd-analyze here"
        );
        return;
    }
    // What it runs is installed nowhere yet.
    let directory = Directory::new("unit");
    let text = unit().replace("/usr/bin/arpguard", arpguard().to_str().unwrap());
    let unit = directory.write("arpguard.service", &text);
    let verified = Output::of(Command::new("systemd-analyze").args(["verify", "--man=no", &unit]));
    assert!(
        verified.success() && !verified.stderr.contains("arpguard"),
        "{verified}"
    );
    let judged = Output::of(Command::new("systemd-analyze").args([
        "security",
        "--offline=true",
        "--no-pager",
        "--threshold=30",
        &unit,
    ]));
    assert!(judged.success(), "{judged}");
}

#[test]
fn the_example_hides_nothing_and_its_comments_are_a_policy() {
    let (server, _peer) = real_server();
    let text = fs::read_to_string(packaged("arpguard.toml")).unwrap();
    // The checkout may be of another user, whose policies are refused.
    let directory = Directory::new("example");
    let example = directory.write("packaged.toml", &text);
    let output = server.arpguard(&["apply", &example]);
    assert!(output.success(), "{output}");
    assert_eq!(server.guard("list"), "no policy is in force here\n");

    let lines = text.lines().filter_map(|line| line.strip_prefix('#'));
    let lines: Vec<_> = lines.filter(|line| !line.starts_with([' ', '#'])).collect();
    let whole = directory.write("arpguard.toml", &lines.join("\n"));
    let output = server.arpguard(&["apply", &whole]);
    assert!(output.success(), "{output}\n{}", lines.join("\n"));
    let listed = server.guard("list");
    assert!(
        listed.contains("192.168.18.101   eth0    auto    shield audit"),
        "{listed}"
    );
    assert!(listed.contains("192.168.19.0/24"), "{listed}");
}
