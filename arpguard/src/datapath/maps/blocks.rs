//! The blocks of single addresses.

use std::net::Ipv4Addr;

use arpguard_common::abi::{self, BLOCK_LEN, Block, Key, Rule, map};
use aya::maps::{HashMap, MapData};
use nix::errno::Errno;

use super::{Bytes, Maps, absent_is_fine, full, unreadable};
use crate::{
    datapath::Place,
    error::{Error, Result, errno},
    fault,
};

pub(super) type BlockMap = HashMap<MapData, Bytes, [u8; BLOCK_LEN]>;

impl Maps {
    /// The block at a key of [`Key::of_block`].
    pub(in crate::datapath) fn block_at(&self, key: Key) -> Option<Block> {
        let bytes = self.blocks.get(&key.to_bytes(), 0).ok()?;
        Some(Block::from_bytes(bytes))
    }

    /// Writes a block, or removes it.
    pub(in crate::datapath) fn set_block(&mut self, key: Key, block: Option<Block>) -> Result<()> {
        let at = key.to_bytes();
        let of = || format!("{}/24", Ipv4Addr::from(key.address));
        match block {
            Some(block) => {
                let bytes = block.to_bytes();
                fault::step("map/block", || self.blocks.insert(at, bytes, 0)).map_err(|cause| {
                    match errno(&cause) {
                        Some(Errno::E2BIG | Errno::ENOSPC) => {
                            full(of(), "blocks of addresses", abi::MAX_BLOCKS)
                        }
                        _ => Error::from_cause("write the rules of", of(), &cause),
                    }
                })
            }
            None => absent_is_fine(fault::step("map/block/remove", || self.blocks.remove(&at)))
                .map_err(|cause| Error::from_cause("remove the rules of", of(), &cause)),
        }
    }

    /// All blocks.
    pub(super) fn blocks(&self) -> impl Iterator<Item = Result<(Key, Block)>> + '_ {
        self.blocks.iter().map(|entry| match entry {
            Ok((key, bytes)) => Ok((Key::from_bytes(key), Block::from_bytes(bytes))),
            Err(cause) => Err(unreadable(map::BLOCKS, &cause)),
        })
    }
}

/// The rules of a block's members, with the place of each.
pub(super) fn members((key, block): (Key, Block)) -> impl Iterator<Item = (Place, Rule)> {
    let [a, b, c, _] = key.address;
    let placed = move |last| Place {
        device: key.device(),
        prefix: Ipv4Addr::new(a, b, c, last).into(),
        book: key.book(),
    };
    let rule = block.rule();
    block
        .members()
        .filter_map(move |last| Some((placed(last), rule?)))
}
