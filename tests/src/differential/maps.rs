//! The pinned maps, written from what was drawn.

use arpguard_common::abi::{BLOCK_LEN, CLAIM_LEN, Device, Extent, HeardSlots, Key, Sieve, map};
use aya::maps::{Array, HashMap, LpmTrie, Map, MapData, MapError, lpm_trie};

use super::tables::{Drawn, Place, key};
use crate::pins::{DevicesMap, Pins};

type Bytes = [u8; 8];

/// The maps that hold policy. Whoever else would write them is not there.
pub struct Maps {
    shape: Array<MapData, [u32; Extent::WORDS]>,
    sieve: Array<MapData, [u64; Sieve::WORDS]>,
    claims: HashMap<MapData, Bytes, [u8; CLAIM_LEN]>,
    heard: Array<MapData, HeardSlots>,
    addresses: HashMap<MapData, Bytes, Bytes>,
    blocks: HashMap<MapData, Bytes, [u8; BLOCK_LEN]>,
    prefixes: LpmTrie<MapData, Bytes, Bytes>,
    local: LpmTrie<MapData, Bytes, Bytes>,
    devices: DevicesMap,
    stations: HashMap<MapData, Bytes, u32>,
}

impl Maps {
    /// Opens them.
    ///
    /// # Panics
    ///
    /// Where one is not there.
    pub fn open(pins: &Pins) -> Self {
        Self {
            shape: pins.map(map::SHAPE, Map::Array),
            sieve: pins.map(map::SIEVE, Map::Array),
            claims: pins.map(map::CLAIMS, Map::LruHashMap),
            heard: pins.map(map::HEARD, Map::Array),
            addresses: pins.map(map::ADDRESSES, Map::HashMap),
            blocks: pins.map(map::BLOCKS, Map::HashMap),
            prefixes: pins.map(map::PREFIXES, Map::LpmTrie),
            local: pins.map(map::LOCAL, Map::LpmTrie),
            devices: pins.devices(),
            stations: pins.map(map::STATIONS, Map::HashMap),
        }
    }

    /// Makes them hold what was drawn and nothing else.
    ///
    /// # Panics
    ///
    /// Where the kernel refuses.
    pub fn write(&mut self, drawn: &Drawn) {
        self.clear().unwrap();
        self.fill(drawn).unwrap();
    }

    fn clear(&mut self) -> Result<(), MapError> {
        for key in self.addresses.keys().collect::<Result<Vec<_>, _>>()? {
            self.addresses.remove(&key)?;
        }
        for key in self.blocks.keys().collect::<Result<Vec<_>, _>>()? {
            self.blocks.remove(&key)?;
        }
        for key in self.claims.keys().collect::<Result<Vec<_>, _>>()? {
            self.claims.remove(&key)?;
        }
        self.heard.set(0, [0; size_of::<HeardSlots>()], 0)?;
        self.devices.clear()?;
        for key in self.stations.keys().collect::<Result<Vec<_>, _>>()? {
            self.stations.remove(&key)?;
        }
        for trie in [&mut self.prefixes, &mut self.local] {
            for key in trie.keys().collect::<Result<Vec<_>, _>>()? {
                trie.remove(&key)?;
            }
        }
        Ok(())
    }

    fn fill(&mut self, drawn: &Drawn) -> Result<(), MapError> {
        let mut sieve = Sieve::EMPTY;
        for (place, rule) in &drawn.rules {
            let bytes = rule.to_bytes();
            match *place {
                (slot, 32, address) => {
                    sieve.open(address);
                    let key = key(slot, address).to_bytes();
                    self.addresses.insert(key, bytes, 0)?;
                }
                place => self.prefixes.insert(&trie_key(place), bytes, 0)?,
            }
        }
        for (key, block) in &drawn.blocks {
            let [a, b, c, _] = key.address;
            block
                .members()
                .for_each(|last| sieve.open([a, b, c, last].into()));
            self.blocks.insert(key.to_bytes(), block.to_bytes(), 0)?;
        }
        for (place, local) in &drawn.local {
            self.local.insert(&trie_key(*place), local.to_bytes(), 0)?;
        }
        for (device, mac) in &drawn.macs {
            self.devices.set(*device, Device::new(*mac))?;
            self.stations.insert(mac.pack().to_ne_bytes(), device, 0)?;
        }
        self.sieve.set(0, sieve.to_words(), 0)?;
        self.shape.set(0, Extent::of(drawn.shape()).to_words(), 0)
    }
}

fn trie_key((slot, length, address): Place) -> lpm_trie::Key<Bytes> {
    let bits = Key::DEVICE_BITS + u32::from(length);
    lpm_trie::Key::new(bits, key(slot, address).to_bytes())
}
