//! Output: what is shown, as tables for people and JSON for programs.

pub mod doctor;
pub mod events;
pub mod explain;
pub mod json;
pub mod metrics;
mod paragraph;
pub mod plan;
pub mod probe;
pub mod rules;
pub mod saved;
pub mod status;
pub mod table;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// The format of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ValueEnum)]
pub enum Format {
    /// For people
    Table,
    /// For programs
    Json,
}

/// What output is written on.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct Page {
    /// How to write.
    pub format: Format,
    /// In how many columns; `None` where there is no terminal.
    pub width: Option<u16>,
}

impl Page {
    /// That of standard output.
    pub fn standard(format: Format) -> Self {
        let width = table::terminal();
        Self { format, width }
    }
}
