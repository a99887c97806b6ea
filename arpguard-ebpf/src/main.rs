//! arpguard's programs: adapters between the kernel's hooks and the judge in `arpguard-common`.
//!
//! A packet reads in one direction: entry point, [`xdp`] or [`tc`], the judge ([`apart`]) over
//! [`tables`], [`count`], [`report`], [`watch`], action. Nothing here logs, allocates or loops without a bound.
#![no_std]
#![no_main]

mod apart;
mod claims;
mod count;
mod defer;
mod report;
mod tables;
mod tc;
mod variable;
mod watch;
mod xdp;

use aya_ebpf::{
    macros::{classifier, xdp},
    programs::{TcContext, XdpContext},
};

/// Bytes of a frame, from an even offset on: they are read two at a time, and not one by one.
///
/// A frame begins at an even address. The kernel's stack reads the headers behind it as words, so
/// drivers leave room before it that is `NET_IP_ALIGN` or more (`include/linux/skbuff.h`); the verifier
/// counts on that, too, where a processor wants words aligned (`check_pkt_ptr_alignment`).
#[derive(Clone, Copy)]
#[repr(C, align(2))]
struct Even<const N: usize>([u8; N]);

/// Received frames, on a driver that may spread one over several buffers.
#[xdp(frags)]
fn arpguard_xdp_mb(ctx: XdpContext) -> u32 {
    xdp::receive(&ctx)
}

/// Received frames, each in one buffer: for kernels before 5.18.
#[xdp]
fn arpguard_xdp(ctx: XdpContext) -> u32 {
    xdp::receive(&ctx)
}

/// Received frames, where XDP cannot be had.
#[classifier]
fn arpguard_in(ctx: TcContext) -> i32 {
    tc::receive(&ctx)
}

/// Frames that are sent.
#[classifier]
fn arpguard_out(ctx: TcContext) -> i32 {
    tc::send(&ctx)
}

// The judge has no path that panics; the compiler leaves this out.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 4] = *b"GPL\0";
