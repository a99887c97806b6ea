//! A driver that refuses native XDP, and what is run on a frame that nobody has sent.

use std::{env, ffi::OsString};

use arpguard_tests::lab::{Output, faulty};
use serde_json::Value;

use super::{
    HIDE,
    ground::{Ground, is_kill},
    state::is,
};

/// What `doctor` finds.
fn findings(ground: &Ground) -> Vec<Value> {
    let found: Value = serde_json::from_str(&ground.run("-o json doctor")).unwrap();
    found["findings"].as_array().unwrap().clone()
}

/// The directory of the binary, and then those of this process.
fn path() -> OsString {
    let own = env::var_os("PATH").unwrap();
    let directory = faulty().parent().unwrap().to_owned();
    env::join_paths(std::iter::once(directory).chain(env::split_paths(&own))).unwrap()
}

/// As igc and others do of a device with a large MTU, of which none can be had here.
#[test]
fn with_a_large_mtu_it_is_found_and_mended() {
    let ground = Ground::new("mtu", "");
    ground.server.sh("ip tuntap add tap0 mode tap");
    ground.server.sh("ip link set tap0 mtu 9000 up");
    let output = ground.with(HIDE, "link/xdp fail 22");
    assert!(output.success(), "{output}");
    let found = findings(&ground);
    let checks: Vec<_> = found
        .iter()
        .map(|one| {
            (
                one["check"].as_str().unwrap(),
                one["subject"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(checks, [("hook", "tap0"), ("mtu", "tap0")]);
    let what = "its MTU is 9000, and its driver has refused native XDP";
    assert_eq!(found[1]["what"], what);
    let line = found[1]["command"].as_str().unwrap();
    let mend = "ip link set dev tap0 mtu 1500 && \
                arpguard hide 192.168.18.101 --rip 192.168.18.10 --attach native";
    assert_eq!(line, mend);
    let mut command = ground.server.command("sh");
    let output = Output::of(command.args(["-ec", line]).env("PATH", path()));
    assert!(output.success(), "{output}");
    let rest: Vec<_> = findings(&ground)
        .iter()
        .map(|one| (one["check"].clone(), one["subject"].clone()))
        .collect();
    assert!(
        !rest.iter().any(|(_, subject)| subject == "tap0"),
        "{rest:?}"
    );
    let status = ground.run("status");
    let tap0 = status.lines().find(|line| line.starts_with("tap0 "));
    assert!(tap0.unwrap().contains(" xdp-native "), "{status}");
}

#[test]
fn an_explanation_that_is_killed_leaves_all_as_it_is() {
    let ground = Ground::new("explain", "");
    ground.run("hide 192.168.18.101 --rip 192.168.18.10 --attach generic");
    let base = ground.state();
    let killed = ground.with("explain 192.168.18.101 --dev eth0", "run/xdp die");
    assert!(is_kill(killed.status), "{killed}");
    is(&ground.state(), &base, "explain: killed");
}
