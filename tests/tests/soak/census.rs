//! What the kernel has of arpguard's, for one namespace.

use std::{collections::BTreeSet, fs, path::Path};

use aya::{
    maps::MapData,
    programs::{loaded_links, loaded_programs},
};

use super::ground::Ground;

/// How much of everything there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Census {
    /// Programs that use a map of the namespace, pinned or not.
    pub(crate) programs: usize,
    /// Maps that are pinned, and those that the programs use.
    pub(crate) maps: usize,
    /// Links of the programs.
    pub(crate) links: usize,
    /// Pins, and their directories.
    pub(crate) pins: usize,
}

impl Census {
    pub(crate) fn take(ground: &Ground) -> Self {
        let pins = ground.pins();
        let mut maps: BTreeSet<u32> = fs::read_dir(pins.join("maps"))
            .unwrap()
            .map(|pin| MapData::from_pin(pin.unwrap().path()).unwrap())
            .map(|map| map.info().unwrap().id())
            .collect();
        // Programs and links of other namespaces come and go while these are looked through.
        let programs: Vec<(u32, Vec<u32>)> = loaded_programs()
            .flatten()
            .filter_map(|program| Some((program.id(), program.map_ids().ok()??)))
            .filter(|(_, used)| used.iter().any(|map| maps.contains(map)))
            .collect();
        maps.extend(programs.iter().flat_map(|(_, used)| used));
        let links = loaded_links()
            .flatten()
            .filter(|link| programs.iter().any(|(id, _)| *id == link.program_id()));
        Self {
            programs: programs.len(),
            maps: maps.len(),
            links: links.count(),
            pins: files(&pins),
        }
    }
}

fn files(directory: &Path) -> usize {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => 1 + files(&entry.path()),
            _ => 1,
        })
        .sum()
}
