//! The kernels that the tests run under, and where Debian has them.

use std::fmt;

use clap::ValueEnum;

/// A kernel that Debian has packages of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Release {
    /// The oldest that arpguard supports (Debian 11).
    #[value(name = "5.10")]
    Oldest,
    /// Debian 12's: multi-buffer XDP, no TCX.
    #[value(name = "6.1")]
    Bookworm,
    /// Debian 13's: TCX.
    #[value(name = "6.12")]
    Trixie,
    /// The newest that Debian has.
    #[value(name = "latest")]
    Latest,
}

impl Release {
    /// Debian's suites that have it, the best first. A suite moves to Debian's archive some years
    /// after its support has ended.
    pub(super) fn suites(self) -> &'static [&'static str] {
        match self {
            Self::Oldest => &["bullseye-security", "bullseye"],
            Self::Bookworm => &["bookworm-security", "bookworm"],
            Self::Trixie => &["trixie-security", "trixie"],
            Self::Latest => &["sid", "trixie-backports"],
        }
    }

    /// Whether a kernel of this version is the one that is meant.
    pub(super) fn is(self, version: &str) -> bool {
        match self {
            Self::Oldest | Self::Bookworm | Self::Trixie => version
                .strip_prefix(self.name())
                .is_some_and(|rest| rest.starts_with('.')),
            Self::Latest => true,
        }
    }

    /// What it is called on the command line and in the cache.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Oldest => "5.10",
            Self::Bookworm => "6.1",
            Self::Trixie => "6.12",
            Self::Latest => "latest",
        }
    }
}

impl fmt::Display for Release {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_command_line() {
        for release in Release::value_variants() {
            assert_eq!(Release::from_str(release.name(), false), Ok(*release));
        }
    }

    #[test]
    fn a_version_with_a_longer_number_is_another() {
        assert!(Release::Bookworm.is("6.1.0-50-amd64"));
        assert!(!Release::Bookworm.is("6.12.117+deb13-amd64"));
        assert!(Release::Latest.is("7.2.1+deb14-amd64"));
    }
}
