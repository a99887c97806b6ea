//! Prose beside its heads, as wide as the terminal.

use std::io::{self, Write};

use super::table::NARROWEST;

/// Columns of a head, and of what stands below it.
const INDENT: usize = 9;

/// How many characters there is room for beside a head.
pub(super) fn room(width: Option<u16>) -> usize {
    let width = width.filter(|width| *width >= NARROWEST);
    width.map_or(usize::MAX, |width| usize::from(width) - INDENT)
}

/// Lines beside their head.
pub(super) fn rows(out: &mut dyn Write, head: &str, lines: &[String]) -> io::Result<()> {
    for (number, line) in lines.iter().enumerate() {
        let head = if number == 0 { head } else { "" };
        writeln!(out, "{head:INDENT$}{line}")?;
    }
    Ok(())
}

/// The text in lines of at most `room` characters, as far as its words allow.
pub(super) fn wrap(text: &str, room: usize) -> Vec<String> {
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
