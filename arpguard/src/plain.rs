//! Text that a terminal only shows.
//!
//! The kernel lets a device's name have almost any character, and with some of them a terminal can
//! be told to do things.

use std::{
    fmt::{self, Write as _},
    io,
};

/// Whether a character is told by its number or a letter: controls, and what changes the direction of
/// writing.
fn is_hidden(letter: char) -> bool {
    match letter {
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => true,
        letter => letter.is_control(),
    }
}

/// The same text in characters that can be seen, lines and columns kept. In JSON it still says the
/// same.
pub(crate) fn plain(text: &str) -> impl fmt::Display + '_ {
    visible(text, |letter| {
        is_hidden(letter) && !matches!(letter, '\n' | '\t')
    })
}

/// As [`plain`], in one line.
pub(crate) fn line(text: &str) -> impl fmt::Display + '_ {
    visible(text, is_hidden)
}

fn visible(text: &str, is_hidden: fn(char) -> bool) -> impl fmt::Display + '_ {
    fmt::from_fn(move |f| {
        for letter in text.chars() {
            match letter {
                letter if !is_hidden(letter) => f.write_char(letter)?,
                '\n' => f.write_str("\\n")?,
                '\t' => f.write_str("\\t")?,
                '\r' => f.write_str("\\r")?,
                letter => write!(f, "\\u{:04x}", u32::from(letter))?,
            }
        }
        Ok(())
    })
}

/// Writes what it is given as [`plain`] text. Whole characters are to be written at once.
pub(crate) struct Plain<W>(pub(crate) W);

impl<W: io::Write> io::Write for Plain<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        write!(self.0, "{}", plain(&String::from_utf8_lossy(bytes)))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_shown() {
        let mut written = Vec::new();
        write!(Plain(&mut written), "a\u{1b}[31mü\tb\u{9b}m\u{202e}\r\n").unwrap();
        let shown = "a\\u001b[31mü\tb\\u009bm\\u202e\\r\n";
        assert_eq!(String::from_utf8(written).unwrap(), shown);
    }
}
