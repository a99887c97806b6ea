//! XDP: received frames, before the kernel has made anything of them.

use core::net::Ipv4Addr;

use arpguard_common::{
    frame::{Frame, MAX_TAGS, Place, TAG_LEN},
    judge,
    verdict::{Direction, Receive},
    wire::{FRAME_LEN, Mac, Raw},
};
use aya_ebpf::{
    bindings::{
        xdp_action::{XDP_DROP, XDP_PASS, XDP_TX},
        xdp_md,
    },
    programs::XdpContext,
};

use crate::{
    Even, apart,
    count::count,
    defer::defer,
    report::{Tell, report, write},
    watch::watch,
};

#[inline(always)]
pub(crate) fn receive(ctx: &XdpContext) -> u32 {
    let frame = Packet(ctx);
    let Some(place) = apart::find_arp(&frame) else {
        return XDP_PASS;
    };
    let device = ctx.ingress_ifindex() as u32;
    let (raw, destination) = judge::read(&frame, place);
    let ruling = apart::received(judge::seen_from(place, device), raw, destination);
    count(device, ruling.counter());
    let way = (device, Direction::Received);
    report(&frame, place, way, ruling.counter(), Ipv4Addr::UNSPECIFIED);
    watch(&frame, place, device, (ruling.watched_by(), raw));
    match ruling.act() {
        Receive::Pass => XDP_PASS,
        Receive::Drop => XDP_DROP,
        Receive::Answer(mac) => match answer(&frame, place, raw, mac) {
            Some(()) => XDP_TX,
            None => XDP_PASS,
        },
        Receive::Defer(mac) => {
            if let Some(arp) = raw.parse() {
                defer(device, &arp, mac);
            }
            XDP_DROP
        }
    }
}

/// Writes the reply over the request. The frame keeps its length, since not every driver pads what
/// a program sends; what stood behind the tags is cleared.
#[inline(always)]
fn answer(frame: &Packet<'_>, place: Place, raw: Raw, mac: Mac) -> Option<()> {
    frame.window::<FRAME_LEN>(0)?.0 = raw.reply(mac);
    let tags = place.tags();
    for tag in 0..MAX_TAGS {
        if tag < tags {
            frame.window::<TAG_LEN>(FRAME_LEN + tag * TAG_LEN)?.0 = [0; TAG_LEN];
        }
    }
    Some(())
}

struct Packet<'a>(&'a XdpContext);

impl Packet<'_> {
    /// The `N` bytes from `at`, where the first buffer of the frame has them.
    #[inline(always)]
    #[expect(
        clippy::mut_from_ref,
        reason = "the bytes are the kernel's, not the context's"
    )]
    fn window<const N: usize>(&self, at: usize) -> Option<&mut Even<N>> {
        let start = self.0.data() + at;
        if start + N > self.0.data_end() {
            return None;
        }
        // SAFETY: the kernel owns the bytes from data to data_end and lends them to this run of
        // the program alone; the check above keeps the window inside, and `Even` says why it is
        // aligned. No two windows are alive at a time.
        Some(unsafe { &mut *(start as *mut Even<N>) })
    }
}

impl Tell for Packet<'_> {
    #[inline(always)]
    fn tell(&self, device: u32, told: u64) {
        tell_xdp(self.0.ctx, device, told);
    }
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn tell_xdp(ctx: *mut xdp_md, device: u32, told: u64) -> u32 {
    write(&Packet(&XdpContext::new(ctx)), device, told);
    0
}

impl Frame for Packet<'_> {
    #[inline(always)]
    fn read<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.window(at).map(|bytes| bytes.0)
    }

    /// A tag that the NIC took out is not to be seen here.
    #[inline(always)]
    fn offloaded_tag(&self) -> Option<u16> {
        None
    }
}
