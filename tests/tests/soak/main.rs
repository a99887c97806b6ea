//! The agent for a long time: asked at full speed, while all that it follows changes, and it is
//! killed and started again.
//!
//! `cargo xtask test --long` makes it ten minutes, and shows the summary. `ARPGUARD_SOAK_SEED` makes
//! it draw the same again; what the kernel does in between is not drawn.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on panics, also outside of #[test]"
)]

mod addresses;
mod agent;
mod brief;
mod census;
mod commands;
mod ground;
mod keeper;
mod lasting;
mod policy;
mod report;
mod samples;
mod siege;
mod watch;

use std::{
    env, thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use arpguard_tests::dice::{self, Dice};

use self::{
    census::Census, ground::Ground, keeper::Keeper, policy::Policy, report::Report, watch::Watch,
};

/// How long the normal suite soaks.
const SHORT: Duration = Duration::from_secs(24);

#[test]
fn not_one_frame_gives_a_vip_away_and_nothing_is_left_behind() {
    let minutes = env::var("ARPGUARD_LONG").ok();
    let length = minutes.map_or(SHORT, |minutes| {
        Duration::from_secs(60 * minutes.parse::<u64>().expect("ARPGUARD_LONG: minutes"))
    });
    let seed = env::var("ARPGUARD_SOAK_SEED").map_or_else(|_| now(), |seed| seed.parse().unwrap());
    let report = Report::new(length);
    report.say(&format!(
        "soak of {} s; ARPGUARD_SOAK_SEED={seed} draws the same again",
        length.as_secs()
    ));
    soak(length, Dice::new(seed), &report);
}

fn soak(length: Duration, dice: Dice, report: &Report) {
    let ground = Ground::new();
    let policy = Policy::new(dice.fork(1));
    let keeper = Keeper::new(&ground, &policy);
    keeper.start();
    watch::eventually("the first policy is in force", || {
        policy.is_in_force(&ground)
    });
    let baseline = watch::settled(|| (Census::take(&ground), keeper.vitals()));

    let (war, change) = (Watch::default(), Watch::default());
    thread::scope(|scope| {
        let _ends = [war.ends(), change.ends()];
        scope.spawn(|| siege::ask(&ground, &war, report));
        scope.spawn(|| siege::listen(&ground, &war, report));
        scope.spawn(|| keeper.sample(&war));
        thread::scope(|scope| {
            let ends = change.ends();
            let changes = [
                scope.spawn(|| lasting::churn(&ground, &change, dice.fork(2), report)),
                scope.spawn(|| brief::churn(&ground, &change, dice.fork(3), report)),
                scope.spawn(|| addresses::churn(&ground, &change, dice.fork(4), report)),
                scope.spawn(|| policy.churn(&ground, &keeper, &change, report)),
                scope.spawn(|| commands::churn(&ground, &change, dice.fork(5), report)),
            ];
            keeper.live(length * 6 / 10, &change, report);
            keeper.die_and_return(length * 4 / 10, &change, dice.fork(6), report);
            drop(ends);
            // The last agent to start may have found a broken file, and some still wait for it.
            while changes.iter().any(|change| !change.is_finished()) {
                keeper.revive();
                thread::sleep(Duration::from_millis(50));
            }
        });
        // Everything that was made is gone again: it has to look as it did in the beginning.
        policy.write_last();
        keeper.revive();
        watch::eventually("the last policy is in force", || {
            policy.is_in_force(&ground)
        });
        watch::eventually(
            "programs, maps, links, pins and the agent are as at first",
            || {
                let now = (Census::take(&ground), keeper.vitals());
                report.end(&baseline, &now);
                now == baseline
            },
        );
        report.answers_once_more(&war);
    });
    keeper.end();
    report.say(&format!("{report}\n{}", keeper.samples()));
    assert_eq!(report.faults(), [] as [String; 0]);
    keeper.samples().judge();
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}
