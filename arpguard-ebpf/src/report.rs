//! The events: which frames were not simply permitted, for whoever listens.
//!
//! A listener renews a lease; without one, a frame that some policy decided costs one look-up in an
//! array, which the verifier turns into a load. User space makes a device's rows before it attaches
//! a program there.

use core::{hint::black_box, net::Ipv4Addr};

use arpguard_common::{
    abi::{EVENTS_LEN, Event, Listener, MAX_DEVICES, Meters, row},
    frame::{Frame, Place},
    verdict::{Decider, Direction, Reason, Verdict},
    wire::Mac,
};
use aya_ebpf::{
    bindings::BPF_F_NO_PREALLOC,
    helpers::bpf_ktime_get_ns,
    macros::map,
    maps::{Array, PerCpuHashMap, RingBuf},
};

#[map]
static LISTENER: Array<Listener> = Array::with_max_entries(1, 0);

#[map]
static EVENTS: RingBuf = RingBuf::with_byte_size(EVENTS_LEN, 0);

#[map]
static METERS: PerCpuHashMap<u32, Meters> =
    PerCpuHashMap::with_max_entries(MAX_DEVICES, BPF_F_NO_PREALLOC);

const SECOND: u64 = 1_000_000_000;

/// Tells the listener, if there is one, of a frame before anything is done to it. `rip`: the sender
/// that is put in, unspecified for none.
#[inline(always)]
pub(crate) fn report<F: Frame, A>(
    frame: &F,
    place: Place,
    (device, direction): (u32, Direction),
    verdict: &Verdict<A>,
    rip: Ipv4Addr,
) {
    if matches!(verdict.reason, Reason::Permitted) {
        return;
    }
    let Some(listener) = LISTENER.get(0) else {
        return;
    };
    if listener.until == 0 || !listener.wants(device, verdict.reason) {
        return;
    }
    let told = Told {
        at: place.at,
        device,
        rip,
        decider: verdict.decider,
        reason: verdict.reason,
        direction,
    };
    write(frame, listener, &told);
}

/// What is told of a frame beside its bytes.
struct Told {
    at: usize,
    device: u32,
    rip: Ipv4Addr,
    decider: Decider,
    reason: Reason,
    direction: Direction,
}

/// A function of its own, so that the programs keep no registers and no stack for it.
#[cold]
#[inline(never)]
fn write<F: Frame>(frame: &F, listener: &Listener, told: &Told) {
    // SAFETY: the helper takes nothing.
    let now = unsafe { bpf_ktime_get_ns() };
    if now >= listener.until {
        return;
    }
    let Some(meters) = METERS.get_ptr_mut(told.device) else {
        return;
    };
    // SAFETY: the row is this CPU's own, and a program is not interrupted by itself on one CPU.
    let meters = unsafe { &mut *meters };
    // As in `count`: the check must stay for the verifier of Linux 5.10.
    let at = black_box(row(told.decider));
    let Some([suppressed, lost, began, written, ever_suppressed, ever_lost]) = meters.get_mut(at)
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
        (now, told.device, told.direction),
        (told.decider, told.reason),
        (mac(0), mac(size_of::<Mac>())),
        frame.read(told.at),
        told.rip,
    );
    (event.suppressed, event.lost) = (*suppressed, *lost);
    entry.write(event);
    entry.submit(0);
    (*suppressed, *lost) = (0, 0);
    *written += 1;
}
