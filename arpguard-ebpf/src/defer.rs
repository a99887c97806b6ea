//! Requests that user space answers.

use arpguard_common::{
    abi::{REQUESTS_LEN, Request},
    wire::{Arp, Mac},
};
use aya_ebpf::{macros::map, maps::RingBuf};

#[map]
static REQUESTS: RingBuf = RingBuf::with_byte_size(REQUESTS_LEN, 0);

/// Leaves a packet to user space, to be answered with `mac`. Where there is no room, since nobody
/// reads or too much comes, the packet is lost, and whoever asked asks again.
#[inline(always)]
pub(crate) fn defer(device: u32, arp: &Arp, mac: Mac) {
    if let Some(mut entry) = REQUESTS.reserve::<Request>(0) {
        entry.write(Request::new(device, arp, mac));
        entry.submit(0);
    }
}
