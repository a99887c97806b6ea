//! The events: which frames were not simply permitted, for whoever listens.
//!
//! A listener renews a lease; without one, a frame that some policy decided costs a load. User space makes a device's rows before it attaches
//! a program there.

use core::{hint::black_box, net::Ipv4Addr};

use arpguard_common::{
    abi::{EVENTS_LEN, Event, Listener, MAX_DEVICES, Meters, PERMITTED, counted, row},
    frame::{Frame, Place},
    verdict::Direction,
    wire::Mac,
};
use aya_ebpf::{
    bindings::BPF_F_NO_PREALLOC,
    helpers::bpf_ktime_get_ns,
    macros::map,
    maps::{PerCpuHashMap, RingBuf},
};

use crate::variable::Variable;

#[unsafe(link_section = ".bss.LISTENER")]
static LISTENER: Variable<u64, { Listener::WORDS }> = Variable::new();

#[map]
static EVENTS: RingBuf = RingBuf::with_byte_size(EVENTS_LEN, 0);

#[map]
static METERS: PerCpuHashMap<u32, Meters> =
    PerCpuHashMap::with_max_entries(MAX_DEVICES, BPF_F_NO_PREALLOC);

const SECOND: u64 = 1_000_000_000;

/// Tells the listener, if there is one, of a frame before anything is done to it. `rip`: the sender
/// that is put in, unspecified for none.
#[inline(always)]
pub(crate) fn report<F: Tell>(
    frame: &F,
    place: Place,
    (device, direction): (u32, Direction),
    counter: u8,
    rip: Ipv4Addr,
) {
    if usize::from(counter) == PERMITTED {
        return;
    }
    if LISTENER.get(Listener::UNTIL_AT) == 0 {
        return;
    }
    let [a, b, c, d] = rip.octets();
    let told = [a, b, c, d, place.at as u8, counter, direction as u8, 0];
    frame.tell(device, u64::from_ne_bytes(told));
}

/// A frame that a listener is told of.
pub(crate) trait Tell: Frame {
    /// [`write`], in a function that the verifier reads by itself: so it is read once, and the
    /// programs keep no registers and no stack for it.
    fn tell(&self, device: u32, told: u64);
}

/// Tells the listener what [`report`] has put together.
#[inline(always)]
pub(crate) fn write<F: Frame>(frame: &F, device: u32, told: u64) {
    let listener = Listener::from_words([LISTENER.get(0), LISTENER.get(1), LISTENER.get(2)]);
    let [a, b, c, d, at, counter, direction, _] = told.to_ne_bytes();
    let at = usize::from(at);
    let (Some((decider, reason)), Some(direction)) = (
        counted(usize::from(counter)),
        Direction::from_number(direction),
    ) else {
        return;
    };
    if !listener.wants(device, reason) {
        return;
    }
    // SAFETY: the helper takes nothing.
    let now = unsafe { bpf_ktime_get_ns() };
    if now >= listener.until {
        return;
    }
    let Some(meters) = METERS.get_ptr_mut(device) else {
        return;
    };
    // SAFETY: the row is this CPU's own, and a program is not interrupted by itself on one CPU.
    let meters = unsafe { &mut *meters };
    // As in `count`: the check must stay for the verifier of Linux 5.10.
    let row = black_box(row(decider));
    let Some([suppressed, lost, began, written, ever_suppressed, ever_lost]) = meters.get_mut(row)
    else {
        return;
    };
    if now.wrapping_sub(*began) >= SECOND {
        (*began, *written) = (now, 0);
    }
    if *written >= u64::from(listener.rate) {
        *suppressed = suppressed.wrapping_add(1);
        *ever_suppressed = ever_suppressed.wrapping_add(1);
        return;
    }
    let Some(mut entry) = EVENTS.reserve::<Event>(0) else {
        *lost = lost.wrapping_add(1);
        *ever_lost = ever_lost.wrapping_add(1);
        return;
    };
    let mac = |at| Mac(frame.read(at).unwrap_or_default());
    let mut event = Event::new(
        (now, device, direction),
        (decider, reason),
        (mac(0), mac(size_of::<Mac>())),
        frame.read(at),
        Ipv4Addr::new(a, b, c, d),
    );
    (event.suppressed, event.lost) = (*suppressed, *lost);
    entry.write(event);
    entry.submit(0);
    (*suppressed, *lost) = (0, 0);
    *written += 1;
}
