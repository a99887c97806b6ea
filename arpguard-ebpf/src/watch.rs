//! Who claims the addresses that policies are about.

use core::net::Ipv4Addr;

use arpguard_common::{
    abi::{Book, Claim, Heard, HeardSlots, Key, MAX_CLAIMS, counter, heard_at},
    frame::Place,
    verdict::{Decider, Direction, Reason},
    wire::{Mac, Raw},
};
use aya_ebpf::{
    bindings::{BPF_ANY, BPF_NOEXIST},
    helpers::bpf_ktime_get_ns,
    macros::map,
    maps::LruHashMap,
};

use crate::{
    count::count,
    report::{Tell, report},
    tables::is_own,
    variable::Variable,
};

/// Made as a whole when it is loaded: a claim takes the room of the oldest.
#[map]
static CLAIMS: LruHashMap<Key, Claim> = LruHashMap::with_max_entries(MAX_CLAIMS, 0);

#[unsafe(link_section = ".bss.HEARD")]
static HEARD: Variable<u8, { size_of::<HeardSlots>() }> = Variable::new();

/// The station that was last heard to claim an address.
#[inline(always)]
pub(crate) fn claimant(key: Key) -> Option<Mac> {
    if HEARD.get(heard_at(key.address.into())) == 0 {
        return None;
    }
    // SAFETY: an element's hardware address is written before it can be found, and an element is
    // replaced as a whole. One that is used anew in the meantime is another address's: then this one
    // packet is judged by it, and nothing else comes of it.
    unsafe { CLAIMS.get(key) }.map(|claim| claim.mac)
}

/// Notes the claim that a received frame makes, if somebody watches it, and tells of a change.
#[inline(always)]
pub(crate) fn watch<F: Tell>(
    frame: &F,
    place: Place,
    device: u32,
    (watched_by, raw): (Decider, Raw),
) {
    if watched_by == Decider::NOBODY {
        return;
    }
    if let Some(arp) = raw.parse()
        && note_claim(device, arp.spa.to_bits(), arp.sha.pack()) != 0
    {
        let counter = counter(watched_by, Reason::FlipFlop) as u8;
        count(device, counter);
        let way = (device, Direction::Received);
        report(frame, place, way, counter, Ipv4Addr::UNSPECIFIED);
    }
}

/// [`note`], in a function that the verifier reads by itself, and for which the programs keep no
/// registers and no stack.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn note_claim(device: u32, address: u32, sha: u64) -> u32 {
    u32::from(note(device, address, Mac::unpack(sha)))
}

/// Whether it is another station than the last.
#[inline(always)]
fn note(device: u32, address: u32, sha: Mac) -> bool {
    let address = Ipv4Addr::from_bits(address);
    HEARD.set(heard_at(address), 1);
    let key = Key::new(Book::Own, device, address);
    // SAFETY: the helper takes nothing.
    let now = unsafe { bpf_ktime_get_ns() };
    let Some(claim) = CLAIMS.get_ptr_mut(key) else {
        if is_own(sha) {
            return false;
        }
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
        Heard::Another(_) if is_own(sha) => false,
        Heard::Another(claim) => CLAIMS.insert(key, claim, u64::from(BPF_ANY)).is_ok(),
    }
}
