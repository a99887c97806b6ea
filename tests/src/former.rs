//! Rules as versions 1 to 3 laid them out.

use std::{fs, path::Path};

use aya::maps::{HashMap, LpmTrie, Map, MapData, lpm_trie::Key};

/// `BPF_F_NO_PREALLOC`
const NO_PREALLOC: u32 = 1;
const ROOM: u32 = 1 << 10;

type Bytes = [u8; 8];

/// Pins the rules that the maps in the version directory `from` have, laid out as before, in the
/// version directory `to`, which may be the same.
///
/// # Panics
/// Where the kernel refuses, or there are many.
pub fn lay_out(from: &Path, to: &Path) {
    let maps = |version: &Path, name: &str| version.join("maps").join(name);
    let read = |name: &str| MapData::from_pin(maps(from, name)).expect("a pin");
    let addresses: HashMap<_, Bytes, Bytes> = typed(Map::HashMap(read("ADDRESSES")));
    let mut former = HashMap::<MapData, Bytes, Bytes>::create(ROOM, NO_PREALLOC).expect("a map");
    for entry in addresses.iter() {
        let (key, rule) = entry.expect("a rule");
        former.insert(key, before(rule), 0).expect("room");
    }
    pin(&maps(to, "ADDRESSES"), |path| {
        former.pin(path).expect("a pin")
    });
    let prefixes: LpmTrie<_, Bytes, Bytes> = typed(Map::LpmTrie(read("PREFIXES")));
    let mut former = LpmTrie::<MapData, Bytes, Bytes>::create(ROOM, NO_PREALLOC).expect("a map");
    for entry in prefixes.iter() {
        let (key, rule): (Key<Bytes>, Bytes) = entry.expect("a rule");
        former.insert(&key, before(rule), 0).expect("room");
    }
    pin(&maps(to, "PREFIXES"), |path| {
        former.pin(path).expect("a pin")
    });
}

fn typed<M: TryFrom<Map>>(map: Map) -> M {
    M::try_from(map).unwrap_or_else(|_| panic!("a map of another type"))
}

fn pin(path: &Path, pin: impl FnOnce(&Path)) {
    if path.exists() {
        fs::remove_file(path).expect("remove");
    }
    pin(path);
}

/// Hide, pin and strict had a byte each for kind and flags, and four bytes of their own behind a zero.
fn before([first, length, _, _, own @ ..]: Bytes) -> Bytes {
    let [a, b, c, d] = own;
    [first & 7, first >> 3 & 7, length, 0, a, b, c, d]
}
