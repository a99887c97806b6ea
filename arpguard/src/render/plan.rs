//! A plan, as `arpguard apply` shows it.

use std::io::{self, Write};

use serde::Serialize;

use super::rules::Rule;
use crate::{
    device::Device,
    host::Host,
    plan::{Plan, State},
};

/// What is done to a rule or a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Op {
    /// Programs are attached to a device.
    Guard,
    /// A rule is added.
    Add,
    /// A rule is replaced by another at the same place.
    Change,
    /// A rule is removed.
    Remove,
    /// Programs are detached from a device.
    Leave,
}

/// One step of a plan.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// What is done.
    pub op: Op,
    /// To what.
    #[serde(flatten)]
    pub subject: Subject,
}

/// What a step is done to.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Subject {
    /// A rule: the new one, or the one that goes.
    Rule(Rule),
    /// A device.
    Device {
        /// Its name.
        device: String,
    },
}

/// The steps of a plan for a host where `now` is in force, in the order in which they are done.
pub fn steps(plan: &Plan, now: &State, host: &Host) -> Vec<Step> {
    let device = |op: Op, device: &Device| Step {
        op,
        subject: Subject::Device {
            device: device.name.clone(),
        },
    };
    let guard = plan.guard.iter().map(|one| device(Op::Guard, one));
    let leave = plan.leave.iter().map(|one| device(Op::Leave, one));
    let mut terms = now.terms.clone();
    terms.extend(plan.terms.clone());
    let rules = plan.changes.iter().filter_map(|change| {
        let place = change.place;
        let (op, rule) = match (now.rules.at(place), change.rule) {
            (None, Some(new)) => (Op::Add, new),
            (Some(_), Some(new)) => (Op::Change, new),
            (Some(old), None) => (Op::Remove, old),
            (None, None) => return None,
        };
        let subject = Subject::Rule(
            Rule::of(place, rule, &terms, host)
                .under(plan.checks.get(&place).or_else(|| now.checks.get(&place))),
        );
        Some(Step { op, subject })
    });
    let changed = |place| plan.changes.iter().any(|change| change.place == place);
    // A rule that stays, under another check.
    let checks = plan.checks.iter().filter_map(|(place, check)| {
        let rule = now.rules.at(*place).filter(|_| !changed(*place))?;
        let rule = Rule::of(*place, rule, &terms, host).under(Some(check));
        Some(Step {
            op: Op::Change,
            subject: Subject::Rule(rule),
        })
    });
    guard.chain(rules).chain(checks).chain(leave).collect()
}

/// A line for each step.
pub(crate) fn lines(out: &mut dyn Write, steps: &[Step]) -> io::Result<()> {
    if steps.is_empty() {
        return writeln!(out, "nothing to do");
    }
    for step in steps {
        let sign = match step.op {
            Op::Guard => "guard",
            Op::Add => "+",
            Op::Change => "~",
            Op::Remove => "-",
            Op::Leave => "leave",
        };
        write!(out, "{sign} ")?;
        match &step.subject {
            Subject::Device { device } => writeln!(out, "{device}")?,
            Subject::Rule(rule) => self::rule(out, rule)?,
        }
    }
    Ok(())
}

fn rule(out: &mut dyn Write, rule: &Rule) -> io::Result<()> {
    write!(out, "{}", rule.policy)?;
    if let Some(address) = rule.address_text() {
        write!(out, " {address}")?;
    }
    match &rule.mac {
        Some(mac) => write!(out, " mac {mac}")?,
        None => write!(out, " sender {}", rule.rip)?,
    }
    if let Some(device) = &rule.device {
        write!(out, " dev {device}")?;
    }
    for word in rule.options() {
        write!(out, " {word}")?;
    }
    writeln!(out)
}
