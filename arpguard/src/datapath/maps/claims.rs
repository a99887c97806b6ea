//! Who is seen to have the addresses that policies are about.

use arpguard_common::abi::{CLAIM_LEN, Claim, HeardSlots, Key, map};
use aya::maps::{Array, HashMap, MapData, MapError};
use nix::errno::Errno;

use super::{Bytes, Maps, absent_is_fine, unreadable};
use crate::{
    error::{Error, Result, errno},
    fault,
};

pub(in crate::datapath) type ClaimMap = HashMap<MapData, Bytes, [u8; CLAIM_LEN]>;

pub(in crate::datapath) type HeardMap = Array<MapData, HeardSlots>;

/// Has programs look for a claim of any address: they write what they have heard themselves.
pub(in crate::datapath) fn look_for_any<M>(heard: &mut Array<M, HeardSlots>) -> Result<(), MapError>
where
    M: std::borrow::BorrowMut<MapData>,
{
    heard.set(0, [1; size_of::<HeardSlots>()], 0)
}

impl Maps {
    /// The last claim of an address on a device, by another station than the device itself.
    pub fn claim(&self, key: Key) -> Option<Claim> {
        let bytes = self.claims.get(&key.to_bytes(), 0).ok()?;
        Some(Claim::from_bytes(&bytes))
    }

    /// All of them.
    ///
    /// # Errors
    /// Where the map cannot be read.
    pub fn claims(&self) -> Result<Vec<(Key, Claim)>> {
        all(&self.claims)
    }

    /// Notes claims, as if they had been heard.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub(in crate::datapath) fn set_claims(&mut self, claims: &[(Key, Claim)]) -> Result<()> {
        if !claims.is_empty() {
            fault::step("map/heard", || look_for_any(&mut self.heard))
                .map_err(|cause| Error::from_cause("write", map::HEARD, &cause))?;
        }
        for (key, claim) in claims {
            let (key, claim) = (key.to_bytes(), claim.to_bytes());
            fault::step("map/claim", || self.claims.insert(key, claim, 0))
                .map_err(|cause| Error::from_cause("write", map::CLAIMS, &cause))?;
        }
        Ok(())
    }

    /// Forgets who has claimed an address on a device.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn forget_claim(&mut self, key: Key) -> Result<()> {
        let remove = || self.claims.remove(&key.to_bytes());
        absent_is_fine(fault::step("map/claim/remove", remove)).map_err(|cause| {
            Error::from_cause(
                "forget a claim of",
                std::net::Ipv4Addr::from(key.address),
                &cause,
            )
        })
    }
}

/// The claims that a map holds.
pub(in crate::datapath) fn all(map: &ClaimMap) -> Result<Vec<(Key, Claim)>> {
    let mut claims = Vec::new();
    for entry in map.iter() {
        match entry {
            Ok((key, claim)) => claims.push((Key::from_bytes(key), Claim::from_bytes(&claim))),
            // It has made room for another in the meantime.
            Err(cause) if errno(&cause) == Some(Errno::ENOENT) => {}
            Err(cause) => return Err(unreadable(map::CLAIMS, &cause)),
        }
    }
    Ok(claims)
}
