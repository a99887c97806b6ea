//! XDP: received frames, before the kernel has made anything of them.

use core::net::Ipv4Addr;

use arpguard_common::{
    frame::{self, Frame, MAX_TAGS, Place, TAG_LEN},
    judge::{self, Received},
    verdict::{Direction, Receive},
    wire::{Arp, FRAME_LEN, Mac},
};
use aya_ebpf::{
    bindings::xdp_action::{XDP_DROP, XDP_PASS, XDP_TX},
    programs::XdpContext,
};

use crate::{count::count, defer::defer, report::report, tables::Maps, watch::watch};

#[inline(always)]
pub(crate) fn receive(ctx: &XdpContext) -> u32 {
    let frame = Packet(ctx);
    let Some(place) = frame::find_arp(&frame) else {
        return XDP_PASS;
    };
    let device = ctx.ingress_ifindex() as u32;
    let received = judge::receive(&frame, place, &Maps, device);
    let Received { verdict, arp, .. } = &received;
    count(device, verdict);
    let way = (device, Direction::Received);
    report(&frame, place, way, verdict, Ipv4Addr::UNSPECIFIED);
    watch(&frame, place, device, &received);
    match verdict.act() {
        Receive::Pass => XDP_PASS,
        Receive::Drop => XDP_DROP,
        Receive::Answer(mac) => match arp.and_then(|arp| answer(&frame, place, &arp, mac)) {
            Some(()) => XDP_TX,
            None => XDP_PASS,
        },
        Receive::Defer(mac) => {
            if let Some(arp) = arp {
                defer(device, arp, mac);
            }
            XDP_DROP
        }
    }
}

/// Writes the reply over the request. The frame keeps its length, since not every driver pads what
/// a program sends; what stood behind the tags is cleared.
#[inline(always)]
fn answer(frame: &Packet<'_>, place: Place, arp: &Arp, mac: Mac) -> Option<()> {
    *frame.window::<FRAME_LEN>(0)? = arp.reply(mac);
    for tag in 0..MAX_TAGS {
        if tag < place.tags {
            *frame.window::<TAG_LEN>(FRAME_LEN + tag * TAG_LEN)? = [0; TAG_LEN];
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
    fn window<const N: usize>(&self, at: usize) -> Option<&mut [u8; N]> {
        let start = self.0.data() + at;
        if start + N > self.0.data_end() {
            return None;
        }
        // SAFETY: the kernel owns the bytes from data to data_end and lends them to this run of
        // the program alone; the check above keeps the window inside. No two windows are alive at
        // a time. An array of bytes has no alignment.
        Some(unsafe { &mut *(start as *mut [u8; N]) })
    }
}

impl Frame for Packet<'_> {
    #[inline(always)]
    fn read<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.window(at).map(|bytes| *bytes)
    }

    /// A tag that the NIC took out is not to be seen here.
    #[inline(always)]
    fn offloaded_tag(&self) -> Option<u16> {
        None
    }
}
