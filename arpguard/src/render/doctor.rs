//! What `arpguard doctor` found, for people and for programs.

mod hooks;

use std::io::{self, Write};

use serde::Serialize;

use super::{
    paragraph::{room, rows, wrap},
    table::count,
};
use crate::doctor::{Finding, Hooks, Place, Severity};

/// What was found, what could not be seen, and what devices can have attached. `docs/output.md` tells
/// what each field means.
#[derive(Serialize)]
pub struct Diagnosis {
    findings: Vec<Object>,
    unseen: Vec<String>,
    devices: Vec<Hooks>,
}

#[derive(Serialize)]
struct Object {
    check: &'static str,
    severity: Severity,
    subject: String,
    what: String,
    why: String,
    command: Option<String>,
}

impl Diagnosis {
    /// `place` is where the commands are to be run.
    pub fn new(
        findings: Vec<Finding>,
        unseen: Vec<String>,
        devices: Vec<Hooks>,
        place: &Place,
    ) -> Self {
        let object = |finding: Finding| Object {
            check: finding.check,
            severity: finding.severity,
            subject: finding.subject,
            what: finding.what,
            why: finding.why,
            command: finding.cure.map(|cure| cure.line(place)),
        };
        Self {
            findings: findings.into_iter().map(object).collect(),
            unseen,
            devices,
        }
    }
}

/// A paragraph for each finding: what, why, and the command, which is never wrapped; then one for
/// devices of which the same is to be told.
pub(crate) fn paragraphs(
    out: &mut dyn Write,
    diagnosis: &Diagnosis,
    width: Option<u16>,
) -> io::Result<()> {
    let room = room(width);
    for finding in &diagnosis.findings {
        let what = format!("{}: {}", finding.subject, finding.what);
        let mut lines = wrap(&what, room);
        lines.extend(wrap(&finding.why, room));
        lines.extend(finding.command.iter().map(|command| format!("$ {command}")));
        rows(out, finding.severity.name(), &lines)?;
        writeln!(out)?;
    }
    for text in &diagnosis.unseen {
        rows(out, "unseen", &wrap(text, room))?;
        writeln!(out)?;
    }
    for texts in hooks::texts(&diagnosis.devices) {
        let texts = texts.iter().flatten();
        let lines: Vec<_> = texts.flat_map(|text| wrap(text, room)).collect();
        rows(out, "device", &lines)?;
        writeln!(out)?;
    }
    let of = |severity: Severity| {
        let same = diagnosis
            .findings
            .iter()
            .filter(|one| one.severity == severity);
        same.count() as u64
    };
    writeln!(
        out,
        "{} serious, {}, {}",
        of(Severity::Serious),
        count(of(Severity::Warning), "warning", "warnings"),
        count(of(Severity::Note), "note", "notes"),
    )
}
