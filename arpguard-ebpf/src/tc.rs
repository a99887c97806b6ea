//! The TC hooks: every frame that is sent, and received ones where XDP cannot be had.

use core::net::Ipv4Addr;

use arpguard_common::{
    abi::counter,
    frame::{Frame, MAX_TAGS, Place},
    judge,
    policy::View,
    verdict::{Direction, Receive, Send},
    wire::{Mac, Raw, SPA_AT},
};
use aya_ebpf::{
    bindings::{__sk_buff, TC_ACT_SHOT, TC_ACT_UNSPEC},
    helpers::{bpf_redirect, bpf_skb_load_bytes, bpf_skb_vlan_pop},
    programs::TcContext,
};

use crate::{
    Even, apart,
    count::count,
    defer::defer,
    report::{Tell, report, write},
    tables::Maps,
    watch::watch,
};

/// The verdict is left to whatever comes after: the next program, and at last the kernel.
const NEXT: i32 = TC_ACT_UNSPEC;

#[inline(always)]
pub(crate) fn receive(ctx: &TcContext) -> i32 {
    let frame = Packet(ctx);
    let Some(place) = apart::find_arp(&frame) else {
        return NEXT;
    };
    let device = frame.device();
    let (raw, destination) = judge::read(&frame, place);
    let ruling = apart::received(judge::seen_from(place, device), raw, destination);
    count(device, ruling.counter());
    let way = (device, Direction::Received);
    report(&frame, place, way, ruling.counter(), Ipv4Addr::UNSPECIFIED);
    watch(&frame, place, device, (ruling.watched_by(), raw));
    match ruling.act() {
        Receive::Pass => NEXT,
        Receive::Drop => TC_ACT_SHOT,
        Receive::Answer(mac) => answer(&frame, place, raw, mac, device),
        Receive::Defer(mac) => {
            if let Some(arp) = raw.parse() {
                defer(device, &arp, mac);
            }
            TC_ACT_SHOT
        }
    }
}

#[inline(always)]
pub(crate) fn send(ctx: &TcContext) -> i32 {
    let frame = Packet(ctx);
    let Some(place) = apart::find_arp(&frame) else {
        return NEXT;
    };
    let device = frame.device();
    let (raw, _) = judge::read(&frame, place);
    let verdict = judge::sent(raw, &View::new(&Maps, judge::seen_from(place, device)));
    let counter = counter(verdict.decider, verdict.reason) as u8;
    count(device, counter);
    let rip = match verdict.action {
        Send::Rewrite(rip) => rip,
        Send::Pass | Send::Drop => Ipv4Addr::UNSPECIFIED,
    };
    report(&frame, place, (device, Direction::Sent), counter, rip);
    match verdict.act() {
        Send::Pass => NEXT,
        Send::Drop => TC_ACT_SHOT,
        // Silence before a leak, should the frame not be writable.
        Send::Rewrite(rip) => match ctx.store(place.at + SPA_AT, &rip.octets(), 0) {
            Ok(()) => NEXT,
            Err(_) => TC_ACT_SHOT,
        },
    }
}

/// Writes the reply over the request, without its tags, and sends it back where it came from.
#[inline(always)]
fn answer(frame: &Packet<'_>, place: Place, raw: Raw, mac: Mac, device: u32) -> i32 {
    let tags = place.tags() + usize::from(frame.offloaded_tag().is_some());
    for tag in 0..=MAX_TAGS {
        if tag < tags {
            // SAFETY: the helper takes the context that the kernel gave this run of the program.
            if unsafe { bpf_skb_vlan_pop(frame.0.skb.skb) } != 0 {
                return NEXT;
            }
        }
    }
    if frame.0.store(0, &raw.reply(mac), 0).is_err() {
        return NEXT;
    }
    // SAFETY: the helper takes plain numbers.
    unsafe { bpf_redirect(device, 0) as i32 }
}

struct Packet<'a>(&'a TcContext);

impl Packet<'_> {
    #[inline(always)]
    fn device(&self) -> u32 {
        // SAFETY: the kernel lends the context to this run of the program.
        unsafe { (*self.0.skb.skb).ifindex }
    }

    /// The `N` bytes from `at`, where the linear part of the packet has them.
    #[inline(always)]
    fn linear<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        let start = self.0.data() + at;
        if start + N > self.0.data_end() {
            return None;
        }
        // SAFETY: the kernel lends the bytes from data to data_end to this run of the program, the
        // check above keeps the window inside, and it begins at an even address: see `Even`.
        Some(unsafe { *(start as *const Even<N>) }.0)
    }

    /// Copies the `N` bytes from `at`, wherever in the packet they are, and says whether it has them:
    /// else they are zeros (`bpf_skb_load_bytes` in `net/core/filter.c`).
    #[inline(always)]
    fn load<const N: usize>(&self, at: usize) -> (bool, [u8; N]) {
        let mut bytes = [0; N];
        // SAFETY: the helper writes at most N bytes to an array that long, from the context that
        // the kernel lends to this run of the program.
        let failed = unsafe {
            bpf_skb_load_bytes(
                self.0.skb.skb.cast(),
                at as u32,
                bytes.as_mut_ptr().cast(),
                N as u32,
            )
        };
        (failed == 0, bytes)
    }
}

impl Tell for Packet<'_> {
    #[inline(always)]
    fn tell(&self, device: u32, told: u64) {
        tell_tc(self.0.skb.skb, device, told);
    }
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn tell_tc(skb: *mut __sk_buff, device: u32, told: u64) -> u32 {
    write(&Packet(&TcContext::new(skb)), device, told);
    0
}

impl Frame for Packet<'_> {
    /// The bytes may lie outside the linear part of the packet: then the kernel copies them.
    #[inline(always)]
    fn read<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        match self.linear(at) {
            Some(bytes) => Some(bytes),
            None => {
                let (loaded, bytes) = self.load(at);
                loaded.then_some(bytes)
            }
        }
    }

    #[inline(always)]
    fn read_or_zeros<const N: usize>(&self, at: usize) -> [u8; N] {
        match self.linear(at) {
            Some(bytes) => bytes,
            None => self.load(at).1,
        }
    }

    #[inline(always)]
    fn offloaded_tag(&self) -> Option<u16> {
        // SAFETY: the kernel lends the context to this run of the program.
        let present = unsafe { (*self.0.skb.skb).vlan_present };
        // SAFETY: as above.
        let tci = unsafe { (*self.0.skb.skb).vlan_tci };
        (present != 0).then_some(tci as u16)
    }
}
