//! The counters. User space makes a device's row before it attaches a program there.

use core::hint::black_box;

use arpguard_common::abi::{Counters, MAX_DEVICES};
use aya_ebpf::{bindings::BPF_F_NO_PREALLOC, macros::map, maps::PerCpuHashMap};

#[map]
static COUNTERS: PerCpuHashMap<u32, Counters> =
    PerCpuHashMap::with_max_entries(MAX_DEVICES, BPF_F_NO_PREALLOC);

/// Counts one frame of `device`, where [`counter`] says.
#[inline(always)]
pub(crate) fn count(device: u32, at: usize) {
    let Some(row) = COUNTERS.get_ptr_mut(device) else {
        return;
    };
    // SAFETY: the row is this CPU's own, and a program is not interrupted by itself on one CPU.
    let row = unsafe { &mut *row };
    // The compiler knows that the index is inside and would leave the check out; the verifier of
    // Linux 5.10 does not see it. So the compiler must not know.
    let at = black_box(at);
    if let Some(cell) = row.get_mut(at) {
        *cell = cell.wrapping_add(1);
    }
}
