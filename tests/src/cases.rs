//! What must happen to every kind of frame on the real server of [`crate::fixture`].

mod expect;
mod received;
mod sent;
mod vary;

pub use self::expect::Judged;

use crate::fixture::Device;

/// Which way a frame goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To the real server.
    Received,
    /// From it.
    Sent,
}

/// One frame, and all that must come of it.
#[derive(Clone, Debug)]
pub struct Case {
    /// What it is about, as a sentence.
    pub name: String,
    /// Which way the frame goes.
    pub direction: Direction,
    /// On which device.
    pub device: Device,
    /// The whole frame.
    pub frame: Vec<u8>,
    /// The verdict that is counted.
    pub judged: Judged,
    /// The whole frame that goes on: to the kernel or to the wire, or back as an answer, of which
    /// only the 42 bytes of the reply are given. `None` where it is dropped.
    pub out: Option<Vec<u8>>,
    /// The same two where the kernel has taken the outermost tag out of the bytes, so that one
    /// more can be looked behind; `None` where that makes no difference.
    pub untagged_once: Option<(Judged, Option<Vec<u8>>)>,
}

impl Case {
    /// Whether the frame that goes on goes back.
    pub fn is_answered(&self) -> bool {
        self.judged.is_answered()
    }
}

/// The table.
pub fn cases() -> Vec<Case> {
    let mut cases = received::cases();
    cases.extend(sent::cases());
    cases
}

/// Whether `frame` is `reply` and then nothing but zeros: what answers keeps the length of what
/// asks.
pub fn is_reply(frame: &[u8], reply: &[u8]) -> bool {
    frame
        .strip_prefix(reply)
        .is_some_and(|rest| rest.iter().all(|byte| *byte == 0))
}
