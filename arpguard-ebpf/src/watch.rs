//! Who claims the addresses that policies are about.

use core::net::Ipv4Addr;

use arpguard_common::{
    abi::{Claim, Heard, Key, MAX_CLAIMS},
    frame::{Frame, Place},
    judge::Received,
    policy::Book,
    verdict::{Decider, Direction, Reason, Receive, Verdict},
    wire::Mac,
};
use aya_ebpf::{
    bindings::{BPF_ANY, BPF_NOEXIST},
    helpers::bpf_ktime_get_ns,
    macros::map,
    maps::LruHashMap,
};

use crate::{count::count, report::report};

/// Made as a whole when it is loaded: a claim takes the room of the oldest.
#[map]
static CLAIMS: LruHashMap<Key, Claim> = LruHashMap::with_max_entries(MAX_CLAIMS, 0);

/// The station that was last heard to claim an address.
#[inline(always)]
pub(crate) fn claimant(key: Key) -> Option<Mac> {
    // SAFETY: an element's hardware address is written before it can be found, and an element is
    // replaced as a whole. One that is used anew in the meantime is another address's: then this one
    // packet is judged by it, and nothing else comes of it.
    unsafe { CLAIMS.get(key) }.map(|claim| claim.mac)
}

/// Notes the claim that a received frame makes, if somebody watches it, and tells of a change.
#[inline(always)]
pub(crate) fn watch<F: Frame>(frame: &F, place: Place, device: u32, received: &Received) {
    if received.watched_by == Decider::NOBODY {
        return;
    }
    if let Some(arp) = &received.arp
        && note(device, arp.spa.to_bits(), number(arp.sha))
    {
        let change = Verdict {
            action: Receive::Pass,
            reason: Reason::FlipFlop,
            decider: received.watched_by,
        };
        count(device, &change);
        let way = (device, Direction::Received);
        report(frame, place, way, &change, Ipv4Addr::UNSPECIFIED);
    }
}

/// A hardware address as a number, for a register.
#[inline(always)]
fn number(Mac([a, b, c, d, e, f]): Mac) -> u64 {
    u64::from_be_bytes([0, 0, a, b, c, d, e, f])
}

/// Whether it is another station than the last. A function of its own, so that the programs keep no
/// registers and no stack for it; and of numbers alone, since what is pointed to must lie in memory,
/// where the verifier finds what was never written of an `Option`.
#[cold]
#[inline(never)]
fn note(device: u32, address: u32, sha: u64) -> bool {
    let key = Key::new(Book::Own, device, Ipv4Addr::from_bits(address));
    let [_, _, a, b, c, d, e, f] = sha.to_be_bytes();
    let sha = Mac([a, b, c, d, e, f]);
    // SAFETY: the helper takes nothing.
    let now = unsafe { bpf_ktime_get_ns() };
    let Some(claim) = CLAIMS.get_ptr_mut(key) else {
        // Where another CPU was faster, its claim stands: this one is heard again soon.
        let _ = CLAIMS.insert(key, Claim::first(sha, now), u64::from(BPF_NOEXIST));
        return false;
    };
    // SAFETY: as in `claimant`. CPUs that write the time at once write nearly the same.
    let claim = unsafe { &mut *claim };
    match claim.hears(sha, now) {
        Heard::Again => false,
        Heard::Still(now) => {
            claim.seen = now;
            false
        }
        Heard::Another(claim) => CLAIMS.insert(key, claim, u64::from(BPF_ANY)).is_ok(),
    }
}
