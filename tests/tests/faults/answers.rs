//! Commands about answering, made to go wrong at each of their steps.

use std::net::Ipv4Addr;

use super::{
    HIDE, each_step, files,
    ground::{Ground, VIP},
    on, run,
    steps::Steps,
};

const ANSWERED: Ipv4Addr = Ipv4Addr::new(192, 168, 18, 104);
const ANSWER: &str = "answer 192.168.18.104 --dev eth0 --when tcp:80 --force";
const BIND: &str = "bind 192.168.18.129 02:00:00:00:00:81 --dev eth0";

/// Under another check, on one device more; and a claim is forgotten.
#[test]
fn answer_under_another_check() {
    let ground = Ground::new("answer", "");
    let steps = Steps {
        command: "answer 192.168.18.104 --dev eth0 --dev eth1 --when true --force",
        before: &|ground| {
            run(ground, &[HIDE, ANSWER]);
            ground.claim(ANSWERED);
        },
        undo: &|ground| {
            run(ground, &["unanswer 192.168.18.104 --dev eth1", ANSWER]);
            ground.claim(ANSWERED);
        },
        look: Ground::state,
        finishes: false,
        silent: &[VIP, ANSWERED],
    };
    steps.try_each(&ground);
}

#[test]
fn unanswer() {
    let command = "unanswer 192.168.18.104";
    each_step(
        "unanswer",
        &[HIDE, ANSWER],
        command,
        &[ANSWER],
        &[VIP, ANSWERED],
    );
}

/// What fails when the rules are written already puts them back under their checks.
#[test]
fn apply_that_no_longer_answers() {
    let ground = Ground::new("no-answer", "");
    let (old, new) = files(
        &ground,
        "[[hide]]\nip = \"192.168.18.101\"\n\
         [[answer]]\nip = \"192.168.18.104\"\ndev = \"eth0\"\nwhen = \"tcp:80\"\n",
        "devices = [\"eth0\"]\n[[hide]]\nip = \"192.168.18.101\"\n",
    );
    on(&ground, &[&old], &new, &[&old], &[VIP, ANSWERED]);
}

#[test]
fn bind_and_unbind() {
    let undo = "unbind 192.168.18.129";
    each_step("bind", &[HIDE], BIND, &[undo], &[VIP]);
    each_step("unbind", &[HIDE, BIND], undo, &[BIND], &[VIP]);
}

#[test]
fn promote_and_demote() {
    let promote = "promote 192.168.18.101 --dev eth0 --count 0";
    let demote = "demote 192.168.18.101";
    each_step("promote", &[HIDE], promote, &[demote], &[]);
    each_step("demote", &[HIDE, promote], demote, &[promote], &[]);
}
