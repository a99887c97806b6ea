//! Patterns of device names.

use std::{fmt, str::FromStr};

use crate::device::Device;

/// A device's name, or a shell pattern of names: `*`, `?`, `[ab]`, `[!ab]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Pattern {
    /// One device, which must be there.
    Name(String),
    /// All devices whose names match. There may be none.
    Shell(glob::Pattern),
}

impl Pattern {
    pub(super) fn matches(&self, device: &Device) -> bool {
        match self {
            Self::Name(name) => device.name == *name,
            Self::Shell(pattern) => pattern.matches(&device.name),
        }
    }
}

impl FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if !text.contains(['*', '?', '[']) {
            return Ok(Self::Name(text.to_owned()));
        }
        glob::Pattern::new(text)
            .map(Self::Shell)
            .map_err(|error| format!("{text}: not a pattern: {}", error.msg))
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Shell(pattern) => pattern.fmt(f),
        }
    }
}

/// A pattern that only this name matches.
pub(crate) fn only(name: &str) -> String {
    glob::Pattern::escape(name)
}
