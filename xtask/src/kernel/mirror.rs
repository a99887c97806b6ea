//! Debian's mirror as this machine's apt knows it.

use std::process::Command;

use anyhow::{Result, ensure};

use crate::process;

/// The part of the archive that has all packages needed here.
const COMPONENT: &str = "main";
/// Debian's keys, where the package that every Debian has keeps them.
const KEYS: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// One suite at one place.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Source {
    uri: String,
    suite: String,
}

/// Where apt gets Debian's packages from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mirror(Vec<Source>);

impl Mirror {
    /// Asks apt.
    pub(super) fn of_this_machine() -> Result<Self> {
        let format = "$(REPO_URI) $(RELEASE) $(COMPONENT)";
        let told = process::ask(
            Command::new("apt-get")
                .args(["indextargets", "--no-release-info", "--format", format])
                .arg("Created-By: Packages"),
        );
        let mirror = Self::parse(&told);
        ensure!(
            !mirror.0.is_empty(),
            "fetch: kernels: apt's sources name no Debian mirror on this machine; run it on Debian \
             12 or newer"
        );
        Ok(mirror)
    }

    /// Reads lines of address, suite and component.
    fn parse(told: &str) -> Self {
        let mut sources = Vec::new();
        for line in told.lines() {
            let mut words = line.split_whitespace();
            let (Some(uri), Some(suite), Some(COMPONENT)) =
                (words.next(), words.next(), words.next())
            else {
                continue;
            };
            let uri = uri.trim_end_matches('/');
            let source = Source {
                uri: uri.to_owned(),
                suite: suite.to_owned(),
            };
            let debian = uri.ends_with("/debian") || uri.ends_with("/debian-security");
            if debian && !uri.starts_with("cdrom:") && !sources.contains(&source) {
                sources.push(source);
            }
        }
        Self(sources)
    }

    /// Lines for apt: this machine's own suites.
    pub(super) fn own_suites(&self) -> String {
        self.0.iter().map(line).collect()
    }

    /// A line for apt: another suite, from where this machine's come from.
    pub(super) fn suite(&self, suite: &str) -> String {
        let archive = if suite.ends_with("-security") {
            "debian-security"
        } else {
            "debian"
        };
        let told = self.0.iter().map(|source| source.uri.as_str());
        let same = told
            .clone()
            .find(|uri| uri.rsplit('/').next() == Some(archive));
        // A mirror has both archives next to each other, and a machine may name but one of them.
        let beside = told
            .filter_map(|uri| uri.rsplit_once('/'))
            .map(|(site, _)| format!("{site}/{archive}"))
            .next();
        let uri = same.map(str::to_owned).or(beside).unwrap_or_default();
        line(&Source {
            uri,
            suite: suite.to_owned(),
        })
    }
}

fn line(Source { uri, suite }: &Source) -> String {
    format!("deb [target=Packages signed-by={KEYS}] {uri} {suite} {COMPONENT}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOLD: &str = "http://mirror.example/debian/ bookworm main\n\
                        http://mirror.example/debian/ bookworm main\n\
                        http://mirror.example/debian/ bookworm contrib\n\
                        http://other.example/node/ nodistro main\n\
                        cdrom://Debian/debian bookworm main\n";

    fn line_of(uri: &str, suite: &str) -> String {
        format!("deb [target=Packages signed-by={KEYS}] {uri} {suite} main\n")
    }

    #[test]
    fn only_debian_s_own_packages_are_taken() {
        let own = Mirror::parse(TOLD).own_suites();
        assert_eq!(own, line_of("http://mirror.example/debian", "bookworm"));
    }

    #[test]
    fn the_security_archive_is_beside_the_other() {
        let mirror = Mirror::parse(TOLD);
        assert_eq!(
            mirror.suite("trixie-security"),
            line_of("http://mirror.example/debian-security", "trixie-security")
        );
        assert_eq!(
            mirror.suite("sid"),
            line_of("http://mirror.example/debian", "sid")
        );
    }

    #[test]
    fn the_security_archive_that_is_named_is_taken() {
        let named = "http://safe.example/debian-security/ bookworm-security main\n";
        let mirror = Mirror::parse(&format!("{TOLD}{named}"));
        assert_eq!(
            mirror.suite("bullseye-security"),
            line_of("http://safe.example/debian-security", "bullseye-security")
        );
    }
}
