//! What user space remembers of the devices that it has attached to.

use arpguard_common::abi::{self, EVERY_DEVICE};
use aya::maps::{HashMap, MapData};

use super::{Maps, NO_PREALLOC};
use crate::{
    error::{Error, Result},
    fault,
};

/// User space's own notes on the devices, and on every device the build of the programs. The
/// programs do not see them.
pub(in crate::datapath) const NOTES: &str = "NOTES";

/// No device's index: there is a note on it once a rule was promoted.
const PROMOTED: u32 = u32::MAX;

pub(super) type NoteBytes = [u8; 128];
pub(in crate::datapath) type Notes = HashMap<MapData, u32, NoteBytes>;

/// What user space remembers of a device that it has attached to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::datapath) struct Note {
    /// Whether the clsact qdisc is arpguard's.
    pub(in crate::datapath) own_clsact: bool,
    /// Why the ingress hook is not a better one.
    pub(in crate::datapath) text: String,
}

impl Note {
    pub(super) fn to_bytes(&self) -> NoteBytes {
        let mut bytes = [0; 128];
        bytes[0] = u8::from(self.own_clsact);
        let room = bytes.len() - 2;
        let length = self.text.floor_char_boundary(room);
        bytes[1] = length as u8;
        bytes[2..2 + length].copy_from_slice(&self.text.as_bytes()[..length]);
        bytes
    }

    pub(in crate::datapath) fn from_bytes(bytes: &NoteBytes) -> Self {
        let text = bytes.get(2..2 + usize::from(bytes[1])).unwrap_or_default();
        Self {
            own_clsact: bytes[0] != 0,
            text: String::from_utf8_lossy(text).into_owned(),
        }
    }
}

impl Maps {
    /// Which build the programs are of.
    pub(in crate::datapath) fn build(&self) -> String {
        self.note(EVERY_DEVICE).text
    }

    pub(in crate::datapath) fn set_build(&mut self, build: &str) -> Result<()> {
        self.set_note(
            EVERY_DEVICE,
            &Note {
                text: build.to_owned(),
                ..Note::default()
            },
        )
    }

    pub(in crate::datapath) fn note(&self, device: u32) -> Note {
        self.notes
            .get(&device, 0)
            .map(|bytes| Note::from_bytes(&bytes))
            .unwrap_or_default()
    }

    pub(in crate::datapath) fn set_note(&mut self, device: u32, note: &Note) -> Result<()> {
        fault::step("map/note", || self.notes.insert(device, note.to_bytes(), 0))
            .map_err(|cause| Error::from_cause("note what was attached to", device, &cause))
    }

    /// Whether any rule may be promoted. Where none was yet, nobody has to look at all of them.
    pub fn may_be_promoted(&self) -> bool {
        self.notes.get(&PROMOTED, 0).is_ok()
    }

    /// Remembers that one may be, which is done before it is.
    pub(in crate::datapath) fn expect_promoted(&mut self) -> Result<()> {
        if self.may_be_promoted() {
            return Ok(());
        }
        self.set_note(PROMOTED, &Note::default())
    }
}

pub(in crate::datapath) fn create_notes(build: &str) -> Result<Notes> {
    let note = Note {
        text: build.to_owned(),
        ..Note::default()
    };
    let create = || -> Result<_, Box<dyn std::error::Error + 'static>> {
        let mut notes = fault::step("map/create", || {
            Notes::create(abi::MAX_DEVICES, NO_PREALLOC)
        })?;
        notes.insert(EVERY_DEVICE, note.to_bytes(), 0)?;
        Ok(notes)
    };
    create().map_err(|cause| Error::from_cause("create a map", NOTES, cause.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_keeps_as_much_of_the_reason_as_there_is_room_for() {
        let short = Note {
            own_clsact: true,
            text: "XDP program \"fw\" is attached".to_owned(),
        };
        assert_eq!(Note::from_bytes(&short.to_bytes()), short);
        let long = Note {
            own_clsact: false,
            text: "é".repeat(100),
        };
        assert_eq!(Note::from_bytes(&long.to_bytes()).text, "é".repeat(63));
        assert!(Note::from_bytes(&[0xff; 128]).own_clsact);
    }
}
