//! What the verifier reads by itself.
//!
//! A global function: the verifier proves once that it is safe whatever it is given, and takes what a
//! call gives for a number that it knows nothing of. Were the judge a part of the programs, it would
//! follow all that is done about a verdict for every way that leads to one, and give up. So it takes and
//! gives numbers alone: [`arpguard_common::packed`].
//!
//! Of what it calls in turn little is apart. A call costs a packet half as much as a look-up, where the
//! kernel guards returns.
//!
//! Functions that are called must all be in one section of the object: aya 0.14 takes two at the same
//! offset of two sections for one. So none is `#[cold]`, which would put it into a section of its own.

use arpguard_common::{
    judge,
    packed::Ruling,
    policy::View,
    wire::{Mac, Raw},
};

use crate::tables::Maps;

/// [`judge::received`]: a packet of a device, in a frame to `destination`.
#[inline(always)]
pub(crate) fn received(device: u32, raw: Raw, destination: Mac) -> Ruling {
    let Raw {
        header,
        sender,
        addresses,
    } = raw;
    Ruling::from_number(judge_received(
        device,
        header,
        sender,
        addresses,
        destination.pack(),
    ))
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn judge_received(
    device: u32,
    header: u64,
    sender: u64,
    addresses: u64,
    destination: u64,
) -> u64 {
    let raw = Raw {
        header,
        sender,
        addresses,
    };
    let view = View::new(&Maps, device);
    judge::received(raw, Mac::unpack(destination), &view).to_number()
}
