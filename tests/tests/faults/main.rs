//! Commands that are killed or refused something at each of their steps.
//!
//! What was guarded stays guarded, the next command repairs or finishes, and what fails has changed
//! nothing.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on panics, also outside of #[test]"
)]

mod agent;
mod answers;
mod ground;
mod monitor;
mod points;
mod refused;
mod state;
mod steps;

use std::{fs, net::Ipv4Addr, ops::Range, path::PathBuf};

use arpguard_common::abi::{FORMER, VERSION};
use arpguard_tests::{former::lay_out, pins::Pins};

use self::{
    ground::{Ground, VIP},
    steps::{Steps, tells},
};

/// Hidden or shown by the command.
const NEXT: Ipv4Addr = Ipv4Addr::new(192, 168, 18, 102);

const HIDE: &str = "hide 192.168.18.101 --rip 192.168.18.10";

/// As on a kernel before 6.6.
const WITHOUT_TCX: &str = "every link/tcx fail 22";

/// Tries a command; `before` and `undo` are command lines.
fn each_step(name: &str, before: &[&str], command: &str, undo: &[&str], silent: &[Ipv4Addr]) {
    let ground = Ground::new(name, "");
    on(&ground, before, command, undo, silent);
}

fn run(ground: &Ground, lines: &[&str]) {
    for line in lines {
        ground.run(line);
    }
}

fn on(ground: &Ground, before: &[&str], command: &str, undo: &[&str], silent: &[Ipv4Addr]) {
    let steps = Steps {
        command,
        before: &|ground| run(ground, before),
        undo: &|ground| run(ground, undo),
        look: Ground::state,
        finishes: command == "detach",
        silent,
    };
    steps.try_each(ground);
}

#[test]
fn hide() {
    each_step(
        "hide",
        &[HIDE],
        "hide 192.168.18.102 192.168.18.103 --rip 192.168.18.10",
        &["unhide 192.168.18.102 192.168.18.103"],
        &[VIP],
    );
}

#[test]
fn hide_where_nothing_is_loaded() {
    each_step("hide-cold", &[], HIDE, &["detach"], &[]);
}

/// Maps are what takes memory, so each point at which one is made is refused it.
#[test]
fn hide_where_there_is_no_memory_for_a_map() {
    let ground = Ground::new("no-memory", "");
    for point in ["load/maps", "map/create", "journal/create"] {
        let output = ground.with(HIDE, &format!("{point} fail {}", libc::ENOMEM));
        tells(&output, "Out of memory", &format!("{point}: {output}"));
        ground.is_bare(point);
    }
}

#[test]
fn hide_a_prefix_on_a_device() {
    each_step(
        "hide-prefix",
        &[HIDE],
        "hide 192.168.19.0/24 192.168.18.100/30 --dev eth0 --shield",
        &["unhide 192.168.19.0/24 192.168.18.100/30"],
        &[VIP],
    );
}

/// So many of one /24 that they are in one block.
#[test]
fn hide_a_pool_and_unhide_it() {
    let pool = pool(102..112).join(" ");
    let hide = format!("hide {pool} --rip 192.168.18.10");
    let unhide = format!("unhide {pool}");
    each_step("hide-pool", &[HIDE], &hide, &[&unhide], &[VIP]);
    each_step("unhide-pool", &[HIDE, &hide], &unhide, &[&hide], &[VIP]);
}

/// The rule of the block is another then, one of it has a rule by itself, and back again.
#[test]
fn apply_that_replaces_a_pool() {
    let ground = Ground::new("replace-pool", "");
    let list = |last: Range<u8>| format!("\"{}\"", pool(last).join("\", \""));
    let (old, new) = files(
        &ground,
        &format!("[[hide]]\nip = [{}]\n", list(101..113)),
        &format!(
            "[[hide]]\nip = [{}]\nrip = \"192.168.18.10\"\n\
             [[pin]]\nip = \"192.168.18.110\"\ndev = \"eth1\"\n\
             [[hide]]\nip = [{}]\nshield = true\n",
            list(101..110),
            list(111..120),
        ),
    );
    on(&ground, &[&old], &new, &[&old], &[VIP]);
    on(&ground, &[&new], &old, &[&new], &[VIP]);
}

/// Addresses of 192.168.18.0/24 by their last octets.
fn pool(last: Range<u8>) -> Vec<String> {
    last.map(|last| format!("192.168.18.{last}")).collect()
}

#[test]
fn hide_and_add() {
    each_step(
        "add-to",
        &[HIDE],
        "hide 192.168.18.102 192.168.18.103 --add-to lo",
        &["unhide 192.168.18.102 192.168.18.103 --del-from lo"],
        &[VIP, NEXT],
    );
}

#[test]
fn unhide() {
    each_step(
        "unhide",
        &[HIDE, "hide 192.168.18.102 192.168.19.0/24"],
        "unhide 192.168.18.102 192.168.19.0/24",
        &["hide 192.168.18.102 192.168.19.0/24"],
        &[VIP],
    );
}

#[test]
fn unhide_and_remove() {
    each_step(
        "del-from",
        &[HIDE, "hide 192.168.18.102 192.168.18.103 --add-to lo"],
        "unhide 192.168.18.102 192.168.18.103 --del-from lo",
        &["hide 192.168.18.102 192.168.18.103 --add-to lo"],
        &[VIP, NEXT],
    );
}

#[test]
fn apply_that_grows() {
    let ground = Ground::new("grow", "");
    let (old, new) = files(
        &ground,
        "[[hide]]\nip = [\"192.168.18.101\"]\n",
        "[[hide]]\nip = [\"192.168.18.101\", \"192.168.19.0/24\", \"192.168.18.102\"]\n\
         [[pin]]\nip = \"192.168.18.103\"\ndev = \"eth1\"\n",
    );
    on(&ground, &[&old], &new, &[&old], &[VIP]);
}

#[test]
fn apply_that_shrinks() {
    let ground = Ground::new("shrink", "");
    let (old, new) = files(
        &ground,
        "[[hide]]\nip = [\"192.168.18.101\", \"192.168.19.0/24\", \"192.168.18.102\"]\n",
        "devices = [\"eth0\"]\n[[hide]]\nip = [\"192.168.18.101\"]\n",
    );
    on(&ground, &[&old], &new, &[&old], &[VIP]);
}

#[test]
fn apply_that_replaces() {
    let ground = Ground::new("replace", "");
    let (old, new) = files(
        &ground,
        "[[hide]]\nip = [\"192.168.18.101\", \"10.1.0.0/16\", \"192.168.18.104\"]\n",
        "[[hide]]\nip = [\"192.168.18.96/28\", \"10.1.0.0/17\", \"192.168.18.105\"]\n\
         rip = \"192.168.18.10\"\n",
    );
    on(&ground, &[&old], &new, &[&old], &[VIP]);
}

/// Two policies, as commands that apply them.
fn files(ground: &Ground, old: &str, new: &str) -> (String, String) {
    let apply = |name, text| format!("apply {}", ground.directory.write(name, text));
    (apply("old.toml", old), apply("new.toml", new))
}

#[test]
fn pin() {
    let undo = "unpin 192.168.18.104 192.168.20.0/24";
    let command = "pin 192.168.18.104 192.168.20.0/24 --dev eth1";
    each_step("pin", &[HIDE], command, &[undo], &[VIP]);
}

#[test]
fn pin_with_a_fallback_and_routes() {
    let command = "pin 192.168.18.104 --dev eth0 --fallback eth1 --route";
    let undo = "unpin 192.168.18.104";
    each_step("pin-route", &[HIDE], command, &[undo], &[VIP]);
    each_step("unpin-route", &[HIDE, command], undo, &[command], &[VIP]);
}

#[test]
fn unpin() {
    let command = "unpin 192.168.18.104 192.168.20.0/24";
    let undo = "pin 192.168.18.104 192.168.20.0/24 --dev eth1";
    each_step("unpin", &[HIDE, undo], command, &[undo], &[VIP]);
}

#[test]
fn strict_on() {
    each_step("strict-on", &[HIDE], "strict on", &["strict off"], &[VIP]);
}

#[test]
fn strict_off() {
    let before = &[HIDE, "strict on"];
    each_step("strict-off", before, "strict off", &["strict on"], &[VIP]);
}

#[test]
fn flush() {
    let before = &[HIDE, "strict on", "pin 192.168.18.104 --dev eth1"];
    each_step("flush", before, "flush", before, &[]);
}

#[test]
fn detach() {
    each_step(
        "detach",
        &[HIDE, "strict on"],
        "detach",
        &[HIDE, "strict on"],
        &[],
    );
}

/// Changes the ingress hook back and forth.
#[test]
fn another_hook() {
    let native = "hide 192.168.18.101 --rip 192.168.18.10 --attach native";
    let generic = "hide 192.168.18.101 --rip 192.168.18.10 --attach generic";
    each_step("hook-xdp", &[native], generic, &[native], &[VIP]);
    let tc = "hide 192.168.18.101 --rip 192.168.18.10 --attach tc";
    each_step("hook-tc", &[tc], native, &[tc], &[VIP]);
}

#[test]
fn by_the_clsact_qdisc() {
    let ground = Ground::new("clsact", WITHOUT_TCX);
    on(&ground, &[], HIDE, &["detach"], &[]);
    let (old, new) = files(
        &ground,
        "[[hide]]\nip = \"192.168.18.101\"\n",
        "devices = [\"eth0\"]\n[[hide]]\nip = \"192.168.18.101\"\n",
    );
    on(&ground, &[&old], &new, &[&old], &[VIP]);
    on(&ground, &[&old], "detach", &[&old], &[]);
    let native = "hide 192.168.18.101 --rip 192.168.18.10 --attach native";
    on(&ground, &[HIDE], native, &["detach", HIDE], &[VIP]);
}

/// The programs are another build's, and replaced on the way.
#[test]
fn upgrade_of_another_build() {
    upgrade("build", "", another_build);
}

/// What an older version has left is brought over on the way.
#[test]
fn upgrade_of_an_older_layout() {
    upgrade("layout", "", older_layout);
}

#[test]
fn upgrade_of_another_build_by_the_clsact_qdisc() {
    upgrade("build-clsact", WITHOUT_TCX, another_build);
}

#[test]
fn upgrade_of_an_older_layout_by_the_clsact_qdisc() {
    upgrade("layout-clsact", WITHOUT_TCX, oldest_layout);
}

fn another_build(ground: &Ground) {
    Pins::of(&ground.server).pretend_another_build();
}

/// The last one, which knew of claims.
fn older_layout(ground: &Ground) {
    ground.claim(VIP);
    as_of(ground, FORMER[FORMER.len() - 1]);
}

/// The first one, whose rules were laid out otherwise.
fn oldest_layout(ground: &Ground) {
    let former = as_of(ground, FORMER[0]);
    lay_out(&former, &former);
}

/// Makes what is pinned an older version's.
fn as_of(ground: &Ground, version: u32) -> PathBuf {
    let pins = Pins::of(&ground.server).directory().to_owned();
    assert!(pins.ends_with(format!("v{VERSION}")));
    let former = pins.with_file_name(format!("v{version}"));
    fs::rename(&pins, &former).unwrap();
    former
}

fn upgrade(name: &str, always: &'static str, pretend: fn(&Ground)) {
    let ground = Ground::new(name, always);
    let steps = Steps {
        command: HIDE,
        before: &|ground| {
            ground.run(HIDE);
            pretend(ground);
        },
        undo: &pretend,
        // To look at the rules would bring them over.
        look: Ground::hooks,
        finishes: true,
        silent: &[VIP],
    };
    steps.try_each(&ground);
}
