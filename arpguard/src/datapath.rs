//! The kernel's side: programs, links and maps, and their life on bpffs.
//!
//! Everything is pinned below one directory for each network namespace, so it outlives the command
//! that made it; the directory is also the lock that serialises writers. Where nothing can be
//! pinned, a process holds it. This module alone knows aya, and nothing in it looks at the host:
//! what it is to do is told to it.

mod attach;
mod bpffs;
mod choice;
mod clsact;
mod events;
mod former;
mod hooks;
mod lease;
mod links;
mod living;
mod lock;
mod maps;
mod object;
mod others;
mod program;
mod requests;
mod script;
mod store;
mod sys;
mod transaction;
mod trial;
mod upgrade;
mod writer;

use std::collections::BTreeSet;

use arpguard_common::{
    abi::{Book, Claim, Counts, EVERY_DEVICE, Key, Rule, Shape},
    verdict::Policy,
};
use ipnet::Ipv4Net;
use nix::errno::Errno;

pub use self::{
    attach::REFUSED,
    bpffs::Pins,
    choice::Choice,
    clsact::INGRESS,
    events::{Events, Interest},
    hooks::{Attached, Egress, Ingress, Mode},
    maps::{Checks, Known, Left, Maps, Totals},
    others::{Other, described, lacks_clsact, name, others, tc_hook},
    requests::Requests,
    script::{Script, Write, blocks, script, table},
    store::{Held, Keeper, Store},
    transaction::Change,
    trial::{Outcome, Ran, Trial},
    writer::{Reader, Writer},
};
use self::{hooks::Hook, links::Links, program::Programs};
use crate::{
    error::{Result, errno},
    terms::Numbered,
};

/// Where a rule is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// Interface index, or [`EVERY_DEVICE`].
    pub device: u32,
    /// An address (of length 32) or a prefix.
    pub prefix: Ipv4Net,
    /// Which of the books.
    pub book: Book,
}

impl Place {
    /// That of a rule of `policy` for `prefix` on a device, or on [`EVERY_DEVICE`].
    pub const fn new(policy: Policy, device: u32, prefix: Ipv4Net) -> Self {
        Self {
            device,
            prefix,
            book: policy.book(),
        }
    }

    /// The key of its entry; in a trie the length of that is the prefix's.
    const fn key(self) -> Key {
        Key::new(self.book, self.device, self.prefix.addr())
    }
}

/// Whether the kernel has the bpf system call (`CONFIG_BPF_SYSCALL`).
pub fn has_bpf() -> bool {
    const NO_DEVICE: u32 = 0;
    match sys::attached(NO_DEVICE, Hook::Xdp.attach_type()) {
        Ok(_) => true,
        Err(cause) => errno(&cause) != Some(Errno::ENOSYS),
    }
}

/// The state in the kernel for one network namespace.
pub struct Datapath {
    /// Policy, devices and counters.
    pub maps: Maps,
    programs: Programs,
    links: Links,
}

impl Datapath {
    /// Who keeps it.
    pub fn keeper(&self) -> Keeper {
        Keeper::of(&self.links)
    }

    /// Where it is pinned, if it is.
    const fn pins(&self) -> Option<&Pins> {
        match &self.links {
            Links::Pinned(pins) => Some(pins),
            Links::Held(_) => None,
        }
    }
}

impl Datapath {
    /// Applies all of `changes`, or none, in the order of [`script()`]; a process that dies in the
    /// middle leaves what [`Writer::lock`] undoes. Returns the changes that undo these.
    ///
    /// `step` is called with the number of changes made; an error from it rolls back.
    ///
    /// # Errors
    /// Where a table is full, the kernel refuses, or `step` does.
    pub fn commit(
        &mut self,
        changes: &[Change],
        step: &mut dyn FnMut(usize) -> Result<()>,
    ) -> Result<Vec<Change>> {
        let pins = self.pins().cloned();
        transaction::commit(&mut self.maps, pins.as_ref(), changes, step)
    }

    /// Notes the terms that rules are about to be under. Until a rule has their number they mean
    /// nothing, so nothing needs to undo it.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn agree(&mut self, terms: &Numbered) -> Result<()> {
        let mut terms = terms.iter();
        terms.try_for_each(|(number, terms)| self.maps.set_terms(*number, terms))
    }

    /// Notes the checks that rules are about to be under.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn check(&mut self, checks: &Checks) -> Result<()> {
        let mut checks = checks.iter();
        checks.try_for_each(|(place, check)| self.maps.set_check(*place, check))
    }

    /// Forgets the checks that no rule is under.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn forget_checks(&mut self) -> Result<()> {
        for place in self.maps.checks()?.into_keys() {
            if !self.maps.rule(place).is_some_and(Rule::is_deferred) {
                self.maps.remove_check(place)?;
            }
        }
        Ok(())
    }

    /// Notes claims, as if the programs had heard them.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn note_claims(&mut self, claims: &[(Key, Claim)]) -> Result<()> {
        self.maps.set_claims(claims)
    }

    /// The interface indexes of the devices that have rules of their own.
    ///
    /// # Errors
    /// Where a map cannot be read.
    pub fn devices_with_rules(&self) -> Result<Vec<u32>> {
        let shape = self.maps.shape();
        let has_some = |counts: Counts| counts.on_device() != 0 || counts.prefixes_on_device != 0;
        if !has_some(shape.own) && !has_some(shape.claims) {
            return Ok(Vec::new());
        }
        let mut devices = BTreeSet::new();
        for rule in self.maps.rules() {
            devices.insert(rule?.0.device);
        }
        devices.remove(&EVERY_DEVICE);
        Ok(devices.into_iter().collect())
    }

    /// How many rules there are, by table.
    pub fn rules(&self) -> Shape {
        self.maps.shape()
    }
}
