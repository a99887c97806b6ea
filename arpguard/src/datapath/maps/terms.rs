//! The terms of pins: notes of user space's own, by the numbers that rules have for them.
//!
//! They are in the table of the notes on devices, under numbers that no device has.

use std::collections::BTreeMap;

use super::{Maps, NoteBytes, Notes, unreadable};
use crate::{
    error::{Error, Result},
    fault,
    terms::{Fallback, Numbered, Terms},
};

/// Interface indexes are positive numbers of 32 bits with a sign: from here on there are none.
const FIRST: u32 = 1 << 31;
/// Bytes of a device's name (`IFNAMSIZ`), without the zero at its end.
const NAME: usize = 15;

const ROUTE: u8 = 1;
const BY_HAND: u8 = 2;
const FALLBACK: u8 = 4;

impl Maps {
    /// All terms that were noted. Some may be of rules that are gone.
    ///
    /// # Errors
    /// Where the map cannot be read.
    pub fn terms(&self) -> Result<Numbered> {
        all(&self.notes)
    }

    /// Notes terms. Rules that have the number are under them from now on.
    pub(in crate::datapath) fn set_terms(&mut self, number: u8, terms: &Terms) -> Result<()> {
        let key = FIRST + u32::from(number);
        fault::step("map/terms", || self.notes.insert(key, to_bytes(terms), 0))
            .map_err(|cause| Error::from_cause("note the terms of a pin to", &terms.dev, &cause))
    }
}

/// The terms among notes.
pub(in crate::datapath) fn all(notes: &Notes) -> Result<Numbered> {
    let mut found = BTreeMap::new();
    for entry in notes.iter() {
        let (key, bytes) = entry.map_err(|cause| unreadable(super::NOTES, &cause))?;
        let number = key.checked_sub(FIRST).and_then(|at| u8::try_from(at).ok());
        found.extend(number.zip(from_bytes(&bytes)));
    }
    Ok(found)
}

/// In memory order: flags, how many seconds to hold in four bytes, and two names of devices, each
/// behind its length.
fn to_bytes(terms: &Terms) -> NoteBytes {
    let mut bytes = [0; 128];
    let flag = |flag, set| if set { flag } else { 0 };
    bytes[0] = flag(ROUTE, terms.route)
        | flag(BY_HAND, terms.by_hand)
        | flag(FALLBACK, terms.fallback.is_some());
    let hold = terms.fallback.as_ref().map_or(0, |fallback| fallback.hold);
    bytes[1..5].copy_from_slice(&hold.to_ne_bytes());
    let mut at = 5;
    for name in terms.devices() {
        let length = name.len().min(NAME);
        bytes[at] = length as u8;
        bytes[at + 1..at + 1 + length].copy_from_slice(&name.as_bytes()[..length]);
        at += 1 + NAME;
    }
    bytes
}

fn from_bytes(bytes: &NoteBytes) -> Option<Terms> {
    let name = |at: usize| {
        let length = usize::from(*bytes.get(at)?);
        let text = bytes.get(at + 1..at + 1 + length.min(NAME))?;
        Some(String::from_utf8_lossy(text).into_owned())
    };
    let [flags, a, b, c, d, ..] = *bytes;
    let fallback = (flags & FALLBACK != 0).then(|| {
        let hold = u32::from_ne_bytes([a, b, c, d]);
        name(5 + 1 + NAME).map(|dev| Fallback { dev, hold })
    });
    Some(Terms {
        dev: name(5)?,
        fallback: fallback.flatten(),
        route: flags & ROUTE != 0,
        by_hand: flags & BY_HAND != 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_are_kept_with_names_of_any_length() {
        for (dev, fallback, hold) in [
            ("eth3", None, 0),
            ("a", Some("enp0s31f6np1.40"), u32::MAX),
            ("enp0s31f6np1.40", Some("b"), 0),
        ] {
            for (route, by_hand) in [(false, false), (true, false), (false, true), (true, true)] {
                let terms = Terms {
                    dev: dev.to_owned(),
                    fallback: fallback.map(|dev| Fallback {
                        dev: dev.to_owned(),
                        hold,
                    }),
                    route,
                    by_hand,
                };
                assert_eq!(from_bytes(&to_bytes(&terms)), Some(terms));
            }
        }
    }
}
