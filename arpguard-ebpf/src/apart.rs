//! What the verifier reads by itself.
//!
//! A global function: the verifier proves once that it is safe whatever it is given, and takes what a
//! call gives for a number that it knows nothing of. Were all of the judge a part of the programs, it would
//! follow all that is done about a verdict for every way that leads to one, and give up. So it takes and
//! gives numbers alone: [`arpguard_common::packed`].
//!
//! A call costs a packet half as much as a look-up, where the kernel guards returns. So what a flood asks for is
//! judged in place, and of what is apart little calls in turn.
//!
//! Functions that are called must all be in one section of the object: aya 0.14 takes two at the same
//! offset of two sections for one. So none is `#[cold]`, which would put it into a section of its own.

use arpguard_common::{
    frame::{self, Frame, Place},
    judge,
    packed::{Pending, Ruling},
    policy::{Tables as _, View},
    wire::{Mac, Raw},
};

use crate::tables::Maps;

/// [`frame::find_arp`], of whose place the verifier does not know how it was found.
#[inline(always)]
pub(crate) fn find_arp<F: Frame>(frame: &F) -> Option<Place> {
    frame::find_arp(frame).map(forget)
}

/// The same place, of which the verifier knows no more than its bounds: else it would follow what comes after
/// for each that there is.
#[inline(always)]
fn forget(place: Place) -> Place {
    /// The bits of an offset; the next one is that of a VLAN.
    const OFFSET: usize = (Place::MAX_AT + 1).next_power_of_two() - 1;
    const ALL: usize = (OFFSET << 1) | 1;
    let number = place.at | (usize::from(place.vlan) * (OFFSET + 1));
    let number = (number ^ Maps.in_use().unused() as usize) & ALL;
    Place {
        at: number & OFFSET,
        vlan: number > OFFSET,
    }
}

/// Judges a packet of a device, in a frame to `destination`.
#[inline(always)]
pub(crate) fn received(device: u32, raw: Raw, destination: Mac) -> Ruling {
    match judge::at_first(raw, destination, &View::new(&Maps, device)) {
        Ok(ruling) => ruling,
        Err(pending) => {
            let [found, sender, addresses, frame] = pending.pack();
            Ruling::from_number(judge_at_last(device, found, sender, addresses, frame))
        }
    }
}

/// [`judge::at_last`]
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn judge_at_last(
    device: u32,
    found: u64,
    sender: u64,
    addresses: u64,
    frame: u64,
) -> u64 {
    let pending = Pending::unpack([found, sender, addresses, frame]);
    judge::at_last(pending, &View::new(&Maps, device)).to_number()
}
