//! The checks by which the agent answers, as all rooms speak of them.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Bytes of a check's text at most.
pub const LONGEST: usize = 255;

/// What must hold for an address to be answered for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
pub enum Check {
    /// The address takes TCP connections at this port.
    Tcp(u16),
    /// This command of the shell succeeds. It finds the address in `ARPGUARD_ADDRESS` and the
    /// device in `ARPGUARD_DEVICE`.
    Command(String),
}

impl FromStr for Check {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(port) = text.strip_prefix("tcp:") {
            return match port.parse() {
                Ok(port @ 1..) => Ok(Self::Tcp(port)),
                Ok(0) | Err(_) => Err("TCP has ports from 1 to 65535".to_owned()),
            };
        }
        if text.trim().is_empty() {
            return Err("neither tcp:PORT nor a command".to_owned());
        }
        if text.len() > LONGEST {
            return Err(format!(
                "a command has at most {LONGEST} bytes: put it into a script"
            ));
        }
        Ok(Self::Command(text.to_owned()))
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(port) => write!(f, "tcp:{port}"),
            Self::Command(command) => f.write_str(command),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_is_written_as_it_is_read() {
        for (text, check) in [
            ("tcp:80", Ok(Check::Tcp(80))),
            ("pgrep nginx", Ok(Check::Command("pgrep nginx".to_owned()))),
            ("tcp:0", Err("TCP has ports from 1 to 65535".to_owned())),
            ("tcp:http", Err("TCP has ports from 1 to 65535".to_owned())),
            (" ", Err("neither tcp:PORT nor a command".to_owned())),
        ] {
            let read = text.parse::<Check>();
            if let Ok(read) = &read {
                assert_eq!(read.to_string(), text);
            }
            assert_eq!(read, check);
        }
        assert!("x".repeat(LONGEST).parse::<Check>().is_ok());
        assert!("x".repeat(LONGEST + 1).parse::<Check>().is_err());
    }
}
