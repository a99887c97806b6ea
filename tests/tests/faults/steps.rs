//! One command, made to go wrong at each of its steps.

use std::{collections::BTreeSet, env, net::Ipv4Addr};

use arpguard_tests::lab::{Output, some};

use super::{
    ground::{Ground, is_kill},
    state::is,
};

/// What a command is to be tried on.
pub(crate) struct Steps<'a> {
    /// The command.
    pub(crate) command: &'a str,
    /// Makes the state that it begins with, where nothing is loaded.
    pub(crate) before: &'a dyn Fn(&Ground),
    /// Brings that state back once the command has run.
    pub(crate) undo: &'a dyn Fn(&Ground),
    /// What can be seen of the state that it begins with.
    pub(crate) look: fn(&Ground) -> String,
    /// Whether what fails is not undone, but done by the next such command.
    pub(crate) finishes: bool,
    /// What must never be answered for, whatever happens.
    pub(crate) silent: &'a [Ipv4Addr],
}

/// How it is without anything going wrong.
struct Unbroken {
    base: String,
    end: String,
    /// The steps of a command that is not the first of its kind.
    steps: Vec<String>,
    /// Those that only the first takes, such as what makes a note that stays.
    first_alone: BTreeSet<String>,
}

/// What a step is refused with.
pub(crate) const ERRORS: [(i32, &str); 3] = [
    (libc::ENOMEM, "Out of memory"),
    (libc::ENOSPC, "No space left on device"),
    (libc::EIO, "I/O error"),
];

impl Steps<'_> {
    /// Tries all of it.
    pub(crate) fn try_each(&self, ground: &Ground) {
        let unbroken = self.unbroken(ground);
        let mut tried = BTreeSet::new();
        for step in some(distinct(&unbroken.steps).collect()) {
            let name = &unbroken.steps[step - 1];
            let when = format!("{}: killed at {step}, {name}", self.command);
            self.kill_and_repair(ground, &step.to_string(), &unbroken, &when);
            (self.undo)(ground);
            let is_new = tried.insert(name);
            if is_new {
                self.kill(ground, &step.to_string(), &when);
                self.begin_anew(ground, &when);
            }
            is(&(self.look)(ground), &unbroken.base, &when);
            if is_new {
                self.fail(ground, step, name, &unbroken);
            }
        }
        for (number, name) in some(unbroken.first_alone.iter().enumerate().collect()) {
            let when = format!("{}: killed at the first {name}", self.command);
            self.begin_anew(ground, &when);
            self.kill_and_repair(ground, name, &unbroken, &when);
            // What was added to a device outlives the policy.
            (self.undo)(ground);
            self.begin_anew(ground, &when);
            self.fail(ground, number, name, &unbroken);
        }
        ground.run("detach");
        ground.is_bare(self.command);
    }

    fn unbroken(&self, ground: &Ground) -> Unbroken {
        (self.before)(ground);
        let base = (self.look)(ground);
        let run = || {
            ground.passed();
            ground.run(self.command);
            let steps = ground.passed();
            let end = ground.state();
            (self.undo)(ground);
            is(&(self.look)(ground), &base, self.command);
            assert!(!steps.is_empty(), "{}", self.command);
            (steps, end)
        };
        let (first, end) = run();
        let (steps, same) = run();
        is(&same, &end, self.command);
        let first_alone = first.into_iter().filter(|name| !steps.contains(name));
        Unbroken {
            first_alone: first_alone.collect(),
            base,
            end,
            steps,
        }
    }

    fn begin_anew(&self, ground: &Ground, when: &str) {
        ground.run("detach");
        ground.is_bare(when);
        (self.before)(ground);
    }

    fn kill_and_repair(&self, ground: &Ground, place: &str, unbroken: &Unbroken, when: &str) {
        self.kill(ground, place, when);
        let again = ground.with(self.command, "");
        is(
            &ground.state(),
            &unbroken.end,
            &format!("{when}: again: {again}"),
        );
    }

    fn kill(&self, ground: &Ground, place: &str, when: &str) {
        let killed = ground.with(self.command, &format!("{place} die"));
        assert!(is_kill(killed.status), "{when}: {killed}");
        ground.is_quiet_about(self.silent, when);
    }

    fn fail(&self, ground: &Ground, which: usize, place: &str, unbroken: &Unbroken) {
        let (errno, why) = ERRORS[which % ERRORS.len()];
        let when = format!("{}: {why} at {place}", self.command);
        let output = ground.with(self.command, &format!("{place} fail {errno}"));
        ground.is_quiet_about(self.silent, &when);
        let when = format!("{when}: {output}");
        if !output.success() {
            tells(&output, why, &when);
            if !self.finishes {
                is(&(self.look)(ground), &unbroken.base, &when);
                return;
            }
            ground.run(self.command);
        }
        is(&ground.state(), &unbroken.end, &when);
        (self.undo)(ground);
    }
}

/// Fails where a command has not failed for this reason, in one line.
pub(crate) fn tells(output: &Output, why: &str, when: &str) {
    assert_eq!(output.status.code(), Some(1), "{when}");
    let line = output.stderr.strip_suffix('\n').unwrap_or_default();
    let is_one_line = line.starts_with("arpguard: ") && !line.contains('\n');
    // A table without room is told in its own words.
    let tells_why = line.contains(why) || line.contains("all taken");
    assert!(is_one_line && tells_why, "{when}");
    assert_eq!(output.stdout, "", "{when}");
}

/// The numbers of the steps, from 1: where a name is passed first and last. With `$ARPGUARD_LONG`, which
/// `cargo xtask test --long` sets, all but those in the middle of many in a row with one name.
pub(crate) fn distinct(steps: &[String]) -> impl Iterator<Item = usize> + '_ {
    let is_long = env::var_os("ARPGUARD_LONG").is_some();
    let is_inner = |step: usize| {
        let name = &steps[step - 1];
        let near = steps.get(step.saturating_sub(3)..=step);
        step > 2 && near.is_some_and(|near| near.iter().all(|other| other == name))
    };
    let is_edge = |step: usize| {
        let name = &steps[step - 1];
        !steps[..step - 1].contains(name) || !steps[step..].contains(name)
    };
    (1..=steps.len()).filter(move |step| match is_long {
        true => !is_inner(*step),
        false => is_edge(*step),
    })
}
