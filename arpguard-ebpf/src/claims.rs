//! Who has claimed which address: what the judge asks, and what frames tell.

use core::net::Ipv4Addr;

use arpguard_common::{
    abi::{Book, Claim, Heard, HeardSlots, Key, MAX_CLAIMS, MAX_DEVICES, heard_at},
    wire::Mac,
};
use aya_ebpf::{
    bindings::{BPF_ANY, BPF_F_NO_PREALLOC, BPF_NOEXIST},
    helpers::bpf_ktime_get_ns,
    macros::map,
    maps::{HashMap, LruHashMap},
};

use crate::variable::Variable;

/// Made as a whole when it is loaded: a claim takes the room of the oldest.
#[map]
static CLAIMS: LruHashMap<Key, Claim> = LruHashMap::with_max_entries(MAX_CLAIMS, 0);

#[unsafe(link_section = ".bss.HEARD")]
static HEARD: Variable<u8, { size_of::<HeardSlots>() }> = Variable::new();

#[map]
static STATIONS: HashMap<u64, u32> = HashMap::with_max_entries(MAX_DEVICES, BPF_F_NO_PREALLOC);

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

/// Whether a device of this host has this hardware address: a host that speaks by another device on the
/// same segment is no other machine.
#[inline(always)]
fn is_own(mac: Mac) -> bool {
    // SAFETY: the map is not preallocated, so the kernel frees an element only after a grace period.
    unsafe { STATIONS.get(mac.pack()) }.is_some()
}

/// [`note`], in a function that the verifier reads by itself, and for which the programs keep no
/// registers and no stack.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn note_claim(device: u32, address: u32, sha: u64) -> u32 {
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
