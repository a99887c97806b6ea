//! One thing that was found.

use serde::Serialize;

use super::Cure;

/// How bad it is, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// An address that is to be hidden is seen, or nothing can be hidden.
    Serious,
    /// Something leaks or breaks that may not have been meant to be kept.
    Warning,
    /// Good to know.
    Note,
}

impl Severity {
    /// Its name in output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Serious => "serious",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// What was found, why it matters, and what mends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which check has found it: a name for programs.
    pub check: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// The address, device or process that it is about.
    pub subject: String,
    /// What is so.
    pub what: String,
    /// Why that leaks or breaks something.
    pub why: String,
    /// What mends it; `None` where no command does.
    pub cure: Option<Cure>,
}
