//! Tables, as wide as the terminal; as wide as they need to be where there is none.

use std::io::{self, Write};

use comfy_table::{ColumnConstraint, ContentArrangement, Table, Width, presets};

use super::{rules::Rule, status::Status};

/// Columns; below it, breaking words helps no reader.
pub(super) const NARROWEST: u16 = 40;

/// Columns that a column of prose has at least.
const SHORTEST: u16 = 16;

pub(crate) fn rules(out: &mut dyn Write, rules: &[Rule], width: Option<u16>) -> io::Result<()> {
    if rules.is_empty() {
        return writeln!(out, "no policy is in force here");
    }
    let mut table = columns(&["POLICY", "ADDRESS", "DEVICE", "SENDER", "OPTIONS"], width);
    for rule in rules {
        let options: Vec<_> = rule.options().collect();
        table.add_row([
            rule.policy,
            &or_dash(&rule.address_text().unwrap_or_default()),
            rule.device.as_deref().unwrap_or("every"),
            rule.mac.as_ref().unwrap_or(&rule.rip),
            &or_dash(&options.join(" ")),
        ]);
    }
    write(out, &table)
}

pub(crate) fn status(out: &mut dyn Write, status: &Status, width: Option<u16>) -> io::Result<()> {
    let kept = match &status.pins {
        Some(pins) => format!("pinned at {}", pins.display()),
        None if status.held => "held by the agent, and gone when it ends".to_owned(),
        None => return writeln!(out, "arpguard is not loaded in this network namespace"),
    };
    let promoted = match status.promoted {
        0 => String::new(),
        number => format!(", {number} promoted"),
    };
    let strict = status.devices.iter().map(|device| u32::from(device.strict));
    let strict = match strict.sum() {
        0 => String::new(),
        number => format!(", {} strict", count(number, "device", "devices")),
    };
    writeln!(
        out,
        "rules for {} and {}{promoted}{strict}; {kept}\n",
        count(status.addresses, "address", "addresses"),
        count(status.prefixes, "prefix", "prefixes"),
    )?;
    for rule in &status.moved {
        moved(out, rule)?;
    }
    if !status.moved.is_empty() {
        writeln!(out)?;
    }
    let mut table = columns(&["DEVICE", "INGRESS", "EGRESS", "NOTE"], width);
    for device in &status.devices {
        let guarded = device.ingress.is_some() && device.egress.is_some();
        table.add_row([
            device.name.as_str(),
            device.ingress.unwrap_or("-"),
            device.egress.unwrap_or("-"),
            &match (guarded, &*device.note) {
                (true, note) => or_dash(note),
                (false, "") => "not guarded".to_owned(),
                (false, note) => format!("not guarded: {note}"),
            },
        ]);
    }
    write(out, &table)?;
    claims(out, status, width)?;
    let mut table = columns(&["DEVICE", "POLICY", "REASON", "OUTCOME", "FRAMES"], width);
    for device in &status.devices {
        for counter in &device.counters {
            let outcome = match counter.audit {
                true => format!("passed (audit: {})", counter.outcome),
                false => counter.outcome.to_owned(),
            };
            table.add_row([
                device.name.as_str(),
                counter.policy.unwrap_or("-"),
                counter.reason,
                &outcome,
                &counter.frames.to_string(),
            ]);
        }
    }
    if table.row_count() == 0 {
        return writeln!(out, "\nno ARP was seen yet");
    }
    writeln!(out)?;
    write(out, &table)
}

/// Who claims what is hidden, pinned or answered, if anybody does.
fn claims(out: &mut dyn Write, status: &Status, width: Option<u16>) -> io::Result<()> {
    let names = ["DEVICE", "ADDRESS", "CLAIMED BY", "SINCE", "CHANGES"];
    let mut table = columns(&names, width);
    for device in &status.devices {
        for claim in &device.claims {
            let by = match &claim.here {
                Some(own) => format!("{} (this host's {own})", claim.mac),
                None => claim.mac.clone(),
            };
            table.add_row([
                device.name.as_str(),
                &claim.address.to_string(),
                &by,
                &claim.since,
                &claim.changes.to_string(),
            ]);
        }
    }
    if table.row_count() == 0 {
        return Ok(());
    }
    writeln!(out)?;
    write(out, &table)
}

fn moved(out: &mut dyn Write, rule: &Rule) -> io::Result<()> {
    let Some(home) = &rule.home else {
        return Ok(());
    };
    writeln!(
        out,
        "{} is on {}, since {} is {}",
        rule.address_text().unwrap_or_default(),
        rule.device.as_deref().unwrap_or("every"),
        home.device,
        home.moved.as_deref().unwrap_or_default(),
    )
}

/// How many columns the terminal has that standard output is.
pub(super) fn terminal() -> Option<u16> {
    Table::new().width()
}

pub(super) fn columns(names: &[&str], width: Option<u16>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(names);
    // A terminal that does not know its width says that it has none.
    if let Some(width) = width.filter(|width| *width >= NARROWEST) {
        table.set_width(width);
        table.set_content_arrangement(ContentArrangement::Dynamic);
    }
    let last = names.len() - 1;
    for (number, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        // An address in two lines is no address: only what is prose is wrapped.
        column.set_constraint(if number == last {
            ColumnConstraint::LowerBoundary(Width::Fixed(SHORTEST))
        } else {
            ColumnConstraint::ContentWidth
        });
    }
    table
}

pub(super) fn write(out: &mut dyn Write, table: &Table) -> io::Result<()> {
    for line in table.lines() {
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

fn or_dash(text: &str) -> String {
    if text.is_empty() {
        "-".to_owned()
    } else {
        text.to_owned()
    }
}

/// How many there are, with the right word for it.
pub(crate) fn count(number: impl Into<u64>, one: &str, many: &str) -> String {
    let number = number.into();
    format!("{number} {}", if number == 1 { one } else { many })
}
