//! A ring buffer's own account of itself.

use std::{
    os::fd::{AsRawFd as _, BorrowedFd},
    ptr,
};

/// How many bytes the programs have ever written to a ring buffer.
///
/// The kernel shows the number in the ring's second page (`kernel/bpf/ringbuf.c`).
pub fn ring_position(ring: BorrowedFd<'_>) -> u64 {
    // SAFETY: the call takes a plain number.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    let length = usize::try_from(page).unwrap();
    // SAFETY: the kernel chooses where the page goes, so nothing is mapped over.
    let mapped = unsafe {
        libc::mmap(
            ptr::null_mut(),
            length,
            libc::PROT_READ,
            libc::MAP_SHARED,
            ring.as_raw_fd(),
            page,
        )
    };
    assert_ne!(mapped, libc::MAP_FAILED, "mmap of a ring buffer");
    // SAFETY: the page is mapped, and begins with the number.
    let position = unsafe { ptr::read_volatile(mapped.cast()) };
    // SAFETY: the page was mapped above, and nothing refers to it any more.
    unsafe { libc::munmap(mapped, length) };
    position
}
