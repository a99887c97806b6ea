//! One error: what was tried, on what, why it failed, and what to do about it.

use std::{error::Error as StdError, fmt, io};

use nix::errno::Errno;
use serde::{Deserialize, Serialize};

use crate::plain::line;

/// What the functions of this crate return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure, told in one line.
#[derive(Debug, thiserror::Error, Deserialize, Serialize)]
pub struct Error {
    tried: String,
    subject: String,
    why: String,
    advice: Option<String>,
    /// Whether the caller asked for something that makes no sense, whatever the state of the host.
    pub is_usage: bool,
}

impl Error {
    /// `tried` is a verb phrase, `subject` what it was done to, `why` the reason.
    pub fn new(
        tried: impl Into<String>,
        subject: impl fmt::Display,
        why: impl Into<String>,
    ) -> Self {
        Self {
            tried: tried.into(),
            subject: subject.to_string(),
            why: why.into(),
            advice: None,
            is_usage: false,
        }
    }

    /// As [`Error::new`], with the innermost source of `cause` as the reason.
    pub fn from_cause(
        tried: impl Into<String>,
        subject: impl fmt::Display,
        cause: &(dyn StdError + 'static),
    ) -> Self {
        let error = Self::new(tried, subject, root_cause(cause));
        match errno(cause) {
            Some(Errno::EPERM | Errno::EACCES) => error.advise(CAPABILITIES),
            Some(Errno::ENOSYS) => {
                error.advise("this kernel lacks it: it needs CONFIG_BPF_SYSCALL, and 5.10 or newer")
            }
            _ => error,
        }
    }

    /// The same of something larger: `tried` on `subject`, which has what this error is about.
    #[must_use]
    pub fn within(self, tried: impl Into<String>, subject: impl fmt::Display) -> Self {
        Self {
            tried: tried.into(),
            subject: subject.to_string(),
            why: format!("{}: {}", self.subject, self.why),
            advice: self.advice,
            is_usage: false,
        }
    }

    /// Adds what to do next.
    #[must_use]
    pub fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// Marks the error as one of usage.
    #[must_use]
    pub fn usage(mut self) -> Self {
        self.is_usage = true;
        self
    }
}

/// What writing to the kernel takes.
pub const CAPABILITIES: &str =
    "run it as root, or with CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON and CAP_SYS_ADMIN";

/// One line, whatever a file or a command line has in it. With `#`, without what to do next.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            tried,
            subject,
            why,
            advice,
            is_usage: _,
        } = self;
        write!(f, "{}", line(&format!("{tried}: {subject}: {why}")))?;
        match advice {
            Some(advice) if !f.alternate() => write!(f, "; {}", line(advice)),
            Some(_) | None => Ok(()),
        }
    }
}

/// The innermost source of an error, in words; an errno as `strerror` has it.
fn root_cause(error: &(dyn StdError + 'static)) -> String {
    match errno(error) {
        Some(errno) => errno.desc().to_owned(),
        None => chain(error)
            .last()
            .map_or_else(String::new, |error| one_line(&error.to_string())),
    }
}

/// The errno at the bottom of an error, if there is one.
pub fn errno(error: &(dyn StdError + 'static)) -> Option<Errno> {
    chain(error).find_map(|error| {
        if let Some(errno) = error.downcast_ref::<Errno>() {
            return Some(*errno);
        }
        if let Some(rtnetlink::Error::NetlinkError(message)) = error.downcast_ref() {
            return message
                .code
                .map(|code| Errno::from_raw(code.get().saturating_neg()));
        }
        error
            .downcast_ref::<io::Error>()?
            .raw_os_error()
            .map(Errno::from_raw)
    })
}

fn chain<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn StdError + 'static)| {
        (*error).source()
    })
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_everything_in_one_line() {
        let error = Error::new("hide", "192.168.18.101", "it is a device's only address")
            .advise("use --force");
        assert_eq!(
            error.to_string(),
            "hide: 192.168.18.101: it is a device's only address; use --force"
        );
    }

    #[test]
    fn what_a_file_says_does_not_end_the_line_or_reach_the_terminal() {
        let error = Error::new("pin", "a\nb\u{1b}[31m", "\tthere is no such device\u{7}é")
            .advise("name another\r");
        assert_eq!(
            error.to_string(),
            "pin: a\\nb\\u001b[31m: \\tthere is no such device\\u0007é; name another\\r"
        );
    }

    #[test]
    fn an_errno_is_told_as_strerror_has_it_with_what_it_takes() {
        let cause = io::Error::from_raw_os_error(Errno::EPERM as i32);
        assert_eq!(
            Error::from_cause("load the programs", "eth0", &cause).to_string(),
            format!("load the programs: eth0: Operation not permitted; {CAPABILITIES}")
        );
    }
}
