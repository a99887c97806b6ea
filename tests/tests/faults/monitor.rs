//! A reader of events that is killed or refused something at each of its steps.

use super::{
    HIDE,
    ground::{Ground, VIP, is_kill},
    state::is,
    steps::{ERRORS, tells},
};
use arpguard_tests::{lab::Output, running::eventually};

/// Ends by itself, once it has shown an event.
const MONITOR: &str = "-o json monitor --count 1";

/// Runs the command to its end while frames come that it is to show; nobody hears anything meanwhile.
fn monitor(ground: &Ground, faults: &str, when: &str) -> Output {
    let mut child = ground.spawn(MONITOR, faults);
    eventually(when, || {
        ground.is_quiet_about(&[VIP], when);
        child.try_wait().unwrap().is_some()
    });
    ground.ended(child)
}

/// Fails where the next reader does not show the next event, or misses any.
fn next_reader_shows(ground: &Ground, when: &str) {
    let output = monitor(ground, "", when);
    let (status, shown, told) = output.told();
    assert_eq!((status, told), (Some(0), ""), "{when}");
    assert_eq!(shown.lines().count(), 1, "{when}: {shown}");
    assert!(
        shown.contains("\"tpa\":\"192.168.18.101\""),
        "{when}: {shown}"
    );
}

/// It renews its lease as it goes: how many steps there are is not always the same.
#[test]
fn monitor_at_each_step() {
    let ground = Ground::new("monitor", "");
    ground.run(HIDE);
    let base = ground.state();
    let mut killed = 0;
    for step in 1.. {
        let when = format!("{MONITOR}: killed at {step}");
        let output = monitor(&ground, &format!("{step} die"), &when);
        next_reader_shows(&ground, &when);
        is(&ground.state(), &base, &when);
        if !is_kill(output.status) {
            break;
        }
        killed += 1;
    }
    // It ends the lease of before, clears the meters of two devices, takes a lease and ends it.
    assert!(killed >= 5, "{killed}");
    for step in 1..=killed {
        let (errno, why) = ERRORS[step % ERRORS.len()];
        let when = format!("{MONITOR}: {why} at {step}");
        let output = monitor(&ground, &format!("{step} fail {errno}"), &when);
        // A lease that is not renewed or ended ends by itself.
        if step < 5 {
            tells(&output, why, &format!("{when}: {output}"));
        } else {
            assert!(output.success(), "{when}: {output}");
        }
        next_reader_shows(&ground, &when);
        is(&ground.state(), &base, &when);
    }
    ground.run("detach");
    ground.is_bare(MONITOR);
}
