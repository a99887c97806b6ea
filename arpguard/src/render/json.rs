//! JSON.

use std::io::{self, Write};

use serde::Serialize;

/// One document, indented.
pub(crate) fn document(out: &mut dyn Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    writeln!(out)
}

/// One array, a line for each element.
pub(crate) fn lines(out: &mut dyn Write, values: &[impl Serialize]) -> io::Result<()> {
    let mut before = "[";
    for value in values {
        write!(out, "{before}\n  ")?;
        serde_json::to_writer(&mut *out, value)?;
        before = ",";
    }
    writeln!(out, "{}", if values.is_empty() { "[]" } else { "\n]" })
}
