//! What would become of a frame, and why, without sending it.
//!
//! A frame is [made](Made) or read from a [capture](Capture). The programs judge it with the policy in
//! force ([`Question`]), then what the kernel does with what it gets is reckoned from what it says of
//! itself ([`react`]); what it would send is judged in turn. An [`Account`] is all of it. Nothing here
//! changes anything.

mod account;
mod announce;
mod capture;
mod facts;
mod heard;
mod kernel;
mod made;
mod question;

pub use self::{
    account::{Account, Subject, Then},
    announce::{Sender, sender},
    capture::{Capture, Captured},
    facts::Facts,
    heard::Heard,
    kernel::{Reaction, Situation, Why, react},
    made::{Form, Made},
    question::{Guarded, Judged, Judgement, Question, Ruled},
};
