//! The judge on the host and the programs in the kernel do the same, on policies and frames that
//! are drawn.
//!
//! `ARPGUARD_SEED` draws the same again. `cargo xtask test --long` makes it millions of frames.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on panics, also outside of #[test]"
)]

use std::{
    env,
    io::{Write as _, stderr},
    time::{SystemTime, UNIX_EPOCH},
};

use arpguard_common::{
    abi::counter,
    frame::MAX_TAGS,
    verdict::{Mode, Policy, Reason},
};
use arpguard_tests::{
    dice::Dice,
    differential::{
        Bench, ROUND, Tried,
        expected::{Done, Hook},
    },
    pins::Count,
};

/// How many frames the normal suite draws, and a long one. Each runs through up to four programs.
const SHORT: u64 = 50_000;
const LONG: u64 = 3_000_000;

#[test]
fn host_and_kernel_judge_every_frame_alike() {
    let frames = match env::var_os("ARPGUARD_LONG") {
        Some(_) => LONG,
        None => SHORT,
    };
    let seed = env::var("ARPGUARD_SEED").map_or_else(|_| now(), |seed| seed.parse().unwrap());
    say(&format!(
        "{frames} frames; ARPGUARD_SEED={seed} draws the same again"
    ));
    let mut bench = Bench::new(say);
    let mut tried = Tried::NOTHING;
    for number in 0..frames / ROUND {
        let dice = Dice::new(seed).fork(number);
        let more = bench.round(&dice);
        tried.add(more.unwrap_or_else(|wrong| {
            panic!("ARPGUARD_SEED={seed}, round {number}: {wrong}");
        }));
    }
    let Tried {
        counted,
        runs,
        done,
    } = tried;
    say(&format!("{runs} runs of programs were as on the host"));
    assert_eq!(not_seen(counted), [] as [String; 0]);
    // Whatever changes a frame did so at each depth.
    for tags in 0..=MAX_TAGS {
        for way in [
            (Hook::Xdp, Done::Drop, tags),
            (Hook::Xdp, Done::Answer, tags),
            (Hook::TcIngress, Done::Drop, tags),
            (Hook::TcIngress, Done::Answer, tags),
            (Hook::TcEgress, Done::Drop, tags),
            (Hook::TcEgress, Done::Rewrite, tags),
        ] {
            assert!(
                !bench.tries(way.0) || done.contains(&way),
                "{way:?} was not drawn"
            );
        }
    }
}

/// What none of the frames met: whoever adds a policy or a reason has to have it drawn.
fn not_seen(counted: Count) -> Vec<String> {
    let both = |policy: &Policy| [Mode::Enforce, Mode::Audit].map(|mode| Some((*policy, mode)));
    let deciders: Vec<_> = Policy::ALL.iter().flat_map(both).chain([None]).collect();
    let seen = |decider, reason: &Reason| counted.of(counter(decider, *reason)) != 0;
    let reasons = Reason::ALL
        .iter()
        .filter(|reason| !deciders.iter().any(|decider| seen(*decider, reason)))
        .map(|reason| reason.name().to_owned());
    let silent = deciders
        .iter()
        .filter(|decider| !Reason::ALL.iter().any(|reason| seen(**decider, reason)))
        .map(|decider| format!("{decider:?}"));
    reasons.chain(silent).collect()
}

/// Past the harness, which shows nothing of a test that passes.
fn say(text: &str) {
    let _ = writeln!(stderr(), "differential: {text}");
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}
