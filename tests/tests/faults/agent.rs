//! An agent that is killed at each of its steps.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use arpguard_tests::{lab::patience, running::eventually};
use nix::sys::signal::Signal;

use super::{
    ground::{Ground, VIP, is_kill},
    state::is,
    steps::distinct,
};

const VIP_ALONE: &str = "[[hide]]\nip = \"192.168.18.101\"\n";
const MORE: &str = "[[hide]]\nip = [\"192.168.18.101\", \"192.168.18.102\", \"10.1.0.0/16\"]\n";

/// Lets an agent of this policy run until the state is `end`.
fn repair(ground: &Ground, policy: &str, end: &str) {
    let agent = ground.agent(policy, "");
    let deadline = Instant::now() + patience();
    while ground.state() != end && Instant::now() < deadline {
        sleep(Duration::from_millis(5));
    }
    is(&ground.state(), end, "the agent repairs");
    assert!(agent.end(Signal::SIGTERM).success());
    is(&ground.state(), end, "the agent has ended");
}

#[test]
fn start() {
    let ground = Ground::new("start", "");
    let old = ground.directory.write("old.toml", VIP_ALONE);
    let new = ground.directory.write("new.toml", MORE);
    let undo = format!("apply {old}");
    ground.run(&format!("apply {new}"));
    let end = ground.state();
    ground.run(&undo);
    let base = ground.state();
    ground.passed();
    repair(&ground, &new, &end);
    let steps = ground.passed();
    for step in distinct(&steps) {
        let name = &steps[step - 1];
        ground.run(&undo);
        is(&ground.state(), &base, "the policy of before");
        let when = format!("run: killed at {step}, {name}");
        let mut agent = ground.agent(&new, &format!("{step} die"));
        let mut status = None;
        eventually(&when, || {
            status = agent.ended();
            if status.is_none() && ground.state() == end {
                // A step of another turn, which the host had it take.
                ground.directory.write("new.toml", MORE);
            }
            status.is_some()
        });
        assert!(status.is_some_and(is_kill), "{when}: {status:?}");
        ground.killed();
        ground.is_quiet_about(&[VIP], &when);
        repair(&ground, &new, &end);
    }
    ground.run("detach");
    ground.is_bare("run");
}

/// A device comes while the agent runs, and what it is like is told bit by bit: how many steps there
/// are is not always the same.
#[test]
fn a_device_comes() {
    let ground = Ground::new("device", "");
    let policy = ground.directory.write("policy.toml", VIP_ALONE);
    ground.run(&format!("apply {policy}"));
    let base = ground.state();
    ground.passed();
    repair(&ground, &policy, &base);
    let at_start = ground.passed().len();

    let add = || {
        let create = "ip link add eth2 index 77 type veth peer name eth3 index 78";
        ground.server.sh(create);
        ground.server.sh("ip link set eth2 up");
        ground.server.sh("ip addr add 172.16.0.10/24 dev eth2");
    };
    let remove = || {
        ground.server.sh("ip link del eth2");
        ground.run(&format!("apply {policy}"));
        is(&ground.state(), &base, "the device is gone again");
    };
    add();
    ground.run(&format!("apply {policy}"));
    let end = ground.state();
    remove();

    let mut killed = 0;
    for step in at_start + 1.. {
        ground.passed();
        let mut agent = ground.agent(&policy, &format!("{step} die"));
        eventually("it has begun", || ground.trace_length() >= at_start);
        add();
        let mut status = None;
        eventually("it dies or has done everything", || {
            status = agent.ended();
            status.is_some() || ground.state() == end
        });
        let when = format!("a device comes: killed at {step}");
        ground.is_quiet_about(&[VIP], &when);
        let Some(status) = status else {
            break;
        };
        assert!(is_kill(status), "{when}: {status}");
        killed += 1;
        repair(&ground, &policy, &end);
        remove();
    }
    assert!(killed > 10, "{killed}");
    ground.server.sh("ip link del eth2");
    ground.run("detach");
    ground.is_bare("run");
}
