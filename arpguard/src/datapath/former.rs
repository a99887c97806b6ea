//! Bringing over what an older version has left in the kernel, while it guards.
//!
//! The policy is written into maps of this version's layout first; then each link or filter gets its
//! new program in place, so no frame goes unjudged. A process that dies on the way leaves the older
//! version's pins, and the next writer does it all again. Counters begin anew.

use std::{collections::BTreeMap, fs};

use arpguard_common::abi::{Claim, Key, Rule, map};
use aya::maps::{HashMap, LpmTrie, Map};

use super::{
    Change, Datapath, Hook, Place, Writer,
    bpffs::Pins,
    clsact,
    hooks::Side,
    maps::{self, CHECKS, NOTES, Note, Notes, Parse, open, unreadable},
    sys, transaction,
};
use crate::{
    datapath::{Checks, Known},
    device::Device,
    error::{Error, Result},
    fault,
    netlink::Netlink,
    terms::Numbered,
};

const BRING_OVER: &str = "bring over what an older version of arpguard guards";

/// The state of an older version.
struct Former {
    pins: Pins,
    rules: BTreeMap<Place, Rule>,
    notes: BTreeMap<u32, Note>,
    terms: Numbered,
    checks: Checks,
    claims: Vec<(Key, Claim)>,
}

/// The first version that knew checks, and claims as they are now.
const CHECKS_SINCE: u32 = 4;

impl Writer {
    /// Takes what an older version has left. `known` says what the programs are to know of a device.
    ///
    /// # Errors
    /// Where the kernel refuses. What was guarded still is, by the one version or the other.
    pub async fn bring_over(
        &mut self,
        netlink: &Netlink,
        devices: &[Device],
        known: impl Fn(&Datapath, &Device) -> Result<Known>,
    ) -> Result<()> {
        let Some((pins, former)) = self
            .pins
            .clone()
            .and_then(|pins| pins.former().map(|former| (pins, former)))
        else {
            return Ok(());
        };
        let former = Former::read(former)?;
        let prepared = self
            .loaded()
            .and_then(|datapath| former.prepare(datapath, devices, known));
        if let Err(error) = prepared {
            // Nothing is attached to it yet, unless somebody has died on the way.
            if !pins.has_links() {
                self.close();
                pins.remove()?;
            }
            return Err(error.within(BRING_OVER, former.pins.display()));
        }
        let datapath = self.loaded()?;
        for device in devices {
            former.hand_over(netlink, device, datapath, &pins).await?;
        }
        former.pins.remove()
    }
}

impl Former {
    fn read(pins: Pins) -> Result<Self> {
        let parse: Parse = Rule::reader(pins.number());
        let addresses: HashMap<_, _, _> = open(&pins, map::ADDRESSES, Map::HashMap)?;
        let prefixes: LpmTrie<_, _, _> = open(&pins, map::PREFIXES, Map::LpmTrie)?;
        let mut rules = BTreeMap::new();
        for rule in maps::rules(&addresses, &prefixes, parse) {
            let (place, rule) = rule?;
            rules.insert(place, rule);
        }
        // Its last change may never have come to its end.
        for Change { place, rule } in transaction::undone(&pins, parse)? {
            match rule {
                Some(rule) => rules.insert(place, rule),
                None => rules.remove(&place),
            };
        }
        let kept: Notes = open(&pins, NOTES, Map::HashMap)?;
        let mut notes = BTreeMap::new();
        for entry in kept.iter() {
            let (device, note) = entry.map_err(|cause| unreadable(NOTES, &cause))?;
            notes.insert(device, Note::from_bytes(&note));
        }
        let terms = maps::terms(&kept)?;
        let (checks, claims) = if pins.number() < CHECKS_SINCE {
            (Checks::new(), Vec::new())
        } else {
            (
                maps::checks(&open(&pins, CHECKS, Map::HashMap)?)?,
                maps::claims(&open(&pins, map::CLAIMS, Map::LruHashMap)?)?,
            )
        };
        Ok(Self {
            pins,
            rules,
            notes,
            terms,
            checks,
            claims,
        })
    }

    /// Writes the policy and what is known of the devices, before anything is judged by it.
    fn prepare(
        &self,
        datapath: &mut Datapath,
        devices: &[Device],
        known: impl Fn(&Datapath, &Device) -> Result<Known>,
    ) -> Result<()> {
        let changes: Vec<_> = self
            .rules
            .iter()
            .map(|(place, rule)| Change {
                place: *place,
                rule: Some(*rule),
            })
            .collect();
        datapath.agree(&self.terms)?;
        datapath.check(&self.checks)?;
        datapath.maps.set_claims(&self.claims)?;
        datapath.commit(&changes, &mut |_| Ok(()))?;
        for device in devices {
            if let Some(note) = self.notes.get(&device.index) {
                let known = known(datapath, device)?;
                datapath.know(&[known])?;
                datapath.maps.start_counting(device.index)?;
                datapath.maps.set_note(device.index, note)?;
            }
        }
        Ok(())
    }

    async fn hand_over(
        &self,
        netlink: &Netlink,
        device: &Device,
        datapath: &Datapath,
        pins: &Pins,
    ) -> Result<()> {
        let tried = |cause| Error::from_cause(BRING_OVER, &device.name, &cause);
        for hook in Hook::ALL {
            let from = self.pins.link(device.index, hook);
            if let Some(link) = sys::find(&from, sys::Kind::Link).map_err(tried)? {
                sys::replace(&link, datapath.programs.of(hook)).map_err(tried)?;
                let to = pins.link(device.index, hook);
                fault::step("pin/move", || fs::rename(&from, to)).map_err(tried)?;
            }
        }
        for side in [Side::Ingress, Side::Egress] {
            let hook = Hook::Tc(side);
            clsact::replace(netlink, device, side, datapath.programs.of(hook)).await?;
        }
        Ok(())
    }
}
