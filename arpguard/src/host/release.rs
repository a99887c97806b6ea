//! The kernel's release.

use std::{fmt, fs, io};

/// A release of Linux, as far as features go by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Release(pub u32, pub u32);

impl Release {
    /// That of the running kernel.
    ///
    /// # Errors
    /// Where `/proc/sys` is not there, or does not have it.
    pub fn running() -> io::Result<Self> {
        let text = fs::read_to_string("/proc/sys/kernel/osrelease")?;
        Self::parse(&text).ok_or_else(|| io::Error::other("it is no release of Linux"))
    }

    fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split(|c: char| !c.is_ascii_digit());
        let mut next = || numbers.next()?.parse().ok();
        Some(Self(next()?, next()?))
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_distributions_call_their_kernels() {
        assert_eq!(Release::parse("6.18.44-fc-v470\n"), Some(Release(6, 18)));
        assert_eq!(Release::parse("5.10-rc1"), Some(Release(5, 10)));
        assert_eq!(Release::parse("mine"), None);
        assert!(Release(5, 9) < Release(5, 10));
    }
}
