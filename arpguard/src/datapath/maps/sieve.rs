//! The sieve that spares programs a look-up of what no rule is about.

use std::net::Ipv4Addr;

use arpguard_common::abi::{Sieve, map};
use aya::maps::{Array, MapData};

use super::{Maps, unreadable};
use crate::{
    error::{Error, Result},
    fault,
};

pub(super) type SieveMap = Array<MapData, [u64; Sieve::WORDS]>;

/// So many slots more than there are rules may stay open before the sieve is made anew.
const FEW: usize = 512;

impl Maps {
    /// Lets addresses through, before there are rules for them.
    ///
    /// Programs may read it in the middle of the write: of each word they get what was there before or
    /// what comes, and both let through whatever has a rule.
    pub(in crate::datapath) fn open_sieve(
        &mut self,
        addresses: impl Iterator<Item = Ipv4Addr>,
    ) -> Result<()> {
        let before = self.read_sieve()?;
        let mut sieve = before.clone();
        addresses.for_each(|address| sieve.open(address));
        if sieve == before {
            return Ok(());
        }
        self.write_sieve(&sieve)
    }

    /// Closes the sieve to what has no rule any more, once that is as much as what has one.
    pub(in crate::datapath) fn close_sieve(&mut self) -> Result<()> {
        let rules = self.shape().addresses() as usize;
        let enough = match rules {
            0 => 0,
            rules => rules + rules.max(FEW),
        };
        if self.read_sieve()?.open_slots() <= enough {
            return Ok(());
        }
        let mut sieve = Sieve::EMPTY;
        for told in self.rules() {
            let (place, _) = told?;
            if place.prefix.prefix_len() == 32 {
                sieve.open(place.prefix.addr());
            }
        }
        self.write_sieve(&sieve)
    }

    fn read_sieve(&self) -> Result<Sieve> {
        let words = self.sieve.get(&0, 0);
        words
            .map(Sieve::from_words)
            .map_err(|cause| unreadable(map::SIEVE, &cause))
    }

    fn write_sieve(&mut self, sieve: &Sieve) -> Result<()> {
        fault::step("map/sieve", || self.sieve.set(0, sieve.to_words(), 0))
            .map_err(|cause| Error::from_cause("write", map::SIEVE, &cause))
    }
}
