//! The counters. Where a device's row is not there from the first, user space makes it before it
//! attaches a program there.

use arpguard_common::abi::{Counters, LOW_INDEXES, MAX_DEVICES};
use aya_ebpf::{
    bindings::BPF_F_NO_PREALLOC,
    macros::map,
    maps::{PerCpuArray, PerCpuHashMap},
};

#[map]
static LOW_COUNTERS: PerCpuArray<Counters> = PerCpuArray::with_max_entries(LOW_INDEXES, 0);

#[map]
static COUNTERS: PerCpuHashMap<u32, Counters> =
    PerCpuHashMap::with_max_entries(MAX_DEVICES, BPF_F_NO_PREALLOC);

/// Counts one frame of `device`, where [`counter`] says.
#[inline(always)]
pub(crate) fn count(device: u32, at: u8) {
    let row = if device < LOW_INDEXES {
        LOW_COUNTERS.get_ptr_mut(device)
    } else {
        COUNTERS.get_ptr_mut(device)
    };
    let Some(row) = row else {
        return;
    };
    // SAFETY: the row is this CPU's own, and a program is not interrupted by itself on one CPU.
    let row = unsafe { &mut *row };
    let cell = &mut row[usize::from(at)];
    *cell = cell.wrapping_add(1);
}
