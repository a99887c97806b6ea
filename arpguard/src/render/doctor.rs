//! What `arpguard doctor` found, for people and for programs.

use std::io::{self, Write};

use serde::Serialize;

use super::table::{NARROWEST, count};
use crate::doctor::{Finding, Place, Severity};

/// Columns of the severity, and of what stands below it.
const INDENT: usize = 9;

/// What was found, and what could not be seen. `docs/output.md` tells what each field means.
#[derive(Serialize)]
pub struct Diagnosis {
    findings: Vec<Object>,
    unseen: Vec<String>,
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
    pub fn new(findings: Vec<Finding>, unseen: Vec<String>, place: &Place) -> Self {
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
        }
    }
}

/// A paragraph for each finding: what, why, and the command, which is never wrapped.
pub(crate) fn paragraphs(
    out: &mut dyn Write,
    diagnosis: &Diagnosis,
    width: Option<u16>,
) -> io::Result<()> {
    let room = width.filter(|width| *width >= NARROWEST);
    let room = room.map_or(usize::MAX, |width| usize::from(width) - INDENT);
    for finding in &diagnosis.findings {
        let what = format!("{}: {}", finding.subject, finding.what);
        let mut lines = wrap(&what, room);
        lines.extend(wrap(&finding.why, room));
        lines.extend(finding.command.iter().map(|command| format!("$ {command}")));
        paragraph(out, finding.severity.name(), &lines)?;
    }
    for text in &diagnosis.unseen {
        paragraph(out, "unseen", &wrap(text, room))?;
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

/// Lines beside their head, and an empty one.
fn paragraph(out: &mut dyn Write, head: &str, lines: &[String]) -> io::Result<()> {
    for (number, line) in lines.iter().enumerate() {
        let head = if number == 0 { head } else { "" };
        writeln!(out, "{head:INDENT$}{line}")?;
    }
    writeln!(out)
}

/// The text in lines of at most `room` characters, as far as its words allow.
fn wrap(text: &str, room: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.is_empty() => *line += word,
            Some(line) if line.chars().count() + 1 + word.chars().count() <= room => {
                *line += " ";
                *line += word;
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
