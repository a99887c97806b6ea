//! What `arpguard probe` found, for people and for programs.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    net::Ipv4Addr,
};

use arpguard_common::wire::Mac;
use comfy_table::{ColumnConstraint, Width};
use serde::Serialize;

use super::table::{columns, write};
use crate::{
    arp::{Answer, Finding, Question, Sign},
    host::vendors,
};

/// Columns that a vendor has at least.
const SHORTEST_VENDOR: u16 = 12;

/// What was found, and what was asked.
pub struct Found<'a> {
    findings: &'a [Finding],
    vendors: BTreeMap<Mac, String>,
    questions: &'a [Question],
    addresses: usize,
}

/// One finding, for programs. `docs/output.md` tells what each field means.
#[derive(Serialize)]
struct Object<'a> {
    address: Ipv4Addr,
    mac: Option<String>,
    source: Option<String>,
    vendor: Option<&'a str>,
    result: Option<&'static str>,
    forms: Vec<&'static str>,
}

impl<'a> Found<'a> {
    /// `addresses` is how many were asked for, in the forms of `questions`.
    pub fn new(findings: &'a [Finding], questions: &'a [Question], addresses: usize) -> Self {
        let macs = findings.iter().filter_map(|finding| finding.claim);
        Self {
            vendors: vendors(macs.map(|(mac, _)| mac)),
            findings,
            questions,
            addresses,
        }
    }

    fn vendor(&self, mac: Mac) -> Option<&str> {
        self.vendors.get(&mac).map(String::as_str)
    }

    /// The forms of an answer, in words.
    fn forms(&self, mac: Mac, answer: &Answer) -> String {
        let asked = || {
            self.questions
                .iter()
                .map(|question| Sign::Answer(*question))
        };
        let all = self.questions.len() > 1 && asked().all(|sign| answer.signs.contains(sign));
        let told = answer.signs.iter();
        let told = told.filter(|sign| !all || !asked().any(|other| other == *sign));
        let mut words: Vec<_> = all.then_some("every form").into_iter().collect();
        words.extend(told.map(Sign::name));
        let mut text = words.join(", ");
        if answer.source != mac {
            text += &format!(" (from {})", answer.source);
        }
        text
    }
}

/// One object a line.
pub(crate) fn json(out: &mut dyn Write, found: &Found<'_>) -> io::Result<()> {
    for Finding {
        address,
        claim,
        outcome,
    } in found.findings
    {
        let object = Object {
            address: *address,
            mac: claim.map(|(mac, _)| mac.to_string()),
            source: claim.map(|(_, answer)| answer.source.to_string()),
            vendor: claim.and_then(|(mac, _)| found.vendor(mac)),
            result: outcome.name(),
            forms: claim.map_or_else(Vec::new, |(_, answer)| {
                answer.signs.iter().map(Sign::name).collect()
            }),
        };
        serde_json::to_writer(&mut *out, &object)?;
        writeln!(out)?;
    }
    Ok(())
}

/// A table. `only_flux`: addresses that one station alone answers for are left out.
pub(crate) fn table(
    out: &mut dyn Write,
    found: &Found<'_>,
    only_flux: bool,
    width: Option<u16>,
) -> io::Result<()> {
    if found.findings.is_empty() {
        let who = if only_flux {
            "more than one station"
        } else {
            "anybody"
        };
        return writeln!(
            out,
            "none of {} addresses is answered by {who}",
            found.addresses
        );
    }
    let has_outcome = found
        .findings
        .iter()
        .any(|one| one.outcome.name().is_some());
    let has_vendor = !found.vendors.is_empty();
    let names = [
        ("ADDRESS", true),
        ("MAC", true),
        ("RESULT", has_outcome),
        ("VENDOR", has_vendor),
        ("FORMS", true),
    ];
    let shown = |cells: [String; 5]| {
        let cells = cells.into_iter().zip(names);
        cells.filter_map(|(cell, (_, shown))| shown.then_some(cell))
    };
    let headers: Vec<_> = names
        .iter()
        .filter(|name| name.1)
        .map(|name| name.0)
        .collect();
    let mut table = columns(&headers, width);
    for finding in found.findings {
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        let mac = finding.claim.map(|(mac, _)| mac);
        let forms = finding.claim.map(|(mac, answer)| found.forms(mac, &answer));
        table.add_row(shown([
            finding.address.to_string(),
            or_dash(mac.map(|mac| mac.to_string())),
            or_dash(finding.outcome.name().map(str::to_owned)),
            or_dash(mac.and_then(|mac| found.vendor(mac)).map(str::to_owned)),
            forms.unwrap_or_else(|| "no answer".to_owned()),
        ]));
    }
    if let Some(at) = headers.iter().position(|name| *name == "VENDOR")
        && let Some(column) = table.column_mut(at)
    {
        // A name may be wrapped.
        column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(
            SHORTEST_VENDOR,
        )));
    }
    write(out, &table)
}
