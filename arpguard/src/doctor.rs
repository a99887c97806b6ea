//! What makes this host answer for addresses that it should not, or give them away, and what stands
//! in arpguard's way.
//!
//! [`Facts`] are observed, then judged without looking again. Nothing here changes anything.

mod agent;
mod children;
mod cure;
mod daemons;
mod facts;
mod finding;
mod guards;
mod hardware;
mod hooks;
mod kernel;
mod observe;
mod others;
mod policy;
mod primary;
mod reach;
mod rules;
mod settings;
mod subnets;
mod vips;

pub use self::{
    cure::{Cure, Place},
    facts::{Facts, Guard, State, Vip},
    finding::{Finding, Severity},
    hooks::{Hooks, hooks},
    observe::{Source, observe},
    policy::{Policy, Rule},
};

/// Judges, the most severe first.
pub fn judge(facts: &Facts) -> Vec<Finding> {
    let judges = [
        vips::judge,
        settings::judge,
        primary::judge,
        subnets::judge,
        children::judge,
        guards::judge,
        others::judge,
        hardware::judge,
        kernel::judge,
        daemons::judge,
        rules::judge,
    ];
    let mut findings: Vec<_> = judges.iter().flat_map(|judge| judge(facts)).collect();
    findings.sort_by_key(|finding| finding.severity);
    findings
}

#[cfg(test)]
mod tests;
