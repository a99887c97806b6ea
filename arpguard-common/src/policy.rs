//! Policy: the rule that holds for an address on a device.

use core::net::Ipv4Addr;

use crate::{
    abi::{Book, EVERY_DEVICE, InUse, Key, Local, Rule, Table},
    packed::Ruling,
    verdict::{Mode, Policy},
    wire::Mac,
};

/// The tables that hold policy and what is known of the devices: BPF maps in the kernel, anything
/// on the host.
///
/// The device of a key is an interface index, or [`EVERY_DEVICE`] for the rules that hold on every
/// device.
pub trait Tables {
    /// Which tables have rules at all.
    fn in_use(&self) -> InUse;
    /// Whether there may be a rule for exactly this address, on whatever device.
    #[inline(always)]
    fn may_have(&self, _address: Ipv4Addr) -> bool {
        true
    }
    /// The rule for exactly this address, which it has by itself.
    fn exact(&self, key: Key) -> Option<Rule>;
    /// The rule for exactly this address, which it has with others of its block. It is asked for first:
    /// blocks are few, so that what a look-up reads of them stays in the processor's cache, and of the
    /// other table not even what tells that an address is not there.
    #[inline(always)]
    fn block(&self, _key: Key) -> Option<Rule> {
        None
    }
    /// The rule for the longest prefix that holds this address.
    fn prefix(&self, key: Key) -> Option<Rule>;
    /// The rule for the longest prefix that holds an address as a device sees it, of the tables that are
    /// in use: the device's own before one for every device.
    #[inline(always)]
    fn longest_prefix(&self, in_use: InUse, key: Key) -> Option<Rule>
    where
        Self: Sized,
    {
        longest_prefix(self, in_use, key)
    }
    /// The rule that binds an address to one hardware address, of the tables that are in use.
    #[inline(always)]
    fn bound(&self, in_use: InUse, key: Key) -> Option<Rule>
    where
        Self: Sized,
    {
        longest_match(self, in_use, key)
    }
    /// The hardware address that was last heard to claim an address that a rule of this host's is
    /// about: [`crate::abi::Claim`].
    fn claimant(&self, key: Key) -> Option<Mac>;
    /// The device's own address for a target (see [`Local`]).
    fn local(&self, device: u32, target: Ipv4Addr) -> Option<Local>;
    /// The device's hardware address.
    fn mac(&self, device: u32) -> Option<Mac>;
}

impl Policy {
    /// The book that has its rules.
    #[inline(always)]
    pub const fn book(self) -> Book {
        match self {
            Self::Hide | Self::Pin | Self::Strict | Self::Answer => Book::Own,
            Self::Bind => Book::Claims,
        }
    }
}

/// See [`Tables::longest_prefix`].
#[inline(always)]
pub fn longest_prefix<T: Tables>(tables: &T, in_use: InUse, key: Key) -> Option<Rule> {
    let (book, device) = (key.book(), key.device());
    let here = if device != EVERY_DEVICE && in_use.has(book, Table::PrefixesOnDevice) {
        tables.prefix(key)
    } else {
        None
    };
    let everywhere = if in_use.has(book, Table::Prefixes) {
        tables.prefix(Key::new(book, EVERY_DEVICE, key.address.into()))
    } else {
        None
    };
    match (here, everywhere) {
        (Some(here), Some(all)) if here.prefix_len() < all.prefix_len() => Some(all),
        (Some(here), _) => Some(here),
        (None, all) => all,
    }
}

/// The rule for an address as a device sees it, of the tables of a book: of the longest match, on this device
/// before every device.
#[inline(always)]
pub fn longest_match<T: Tables>(tables: &T, in_use: InUse, key: Key) -> Option<Rule> {
    let (book, device, address) = (key.book(), key.device(), key.address.into());
    if tables.may_have(address) {
        let own = device != EVERY_DEVICE;
        if own
            && in_use.has(book, Table::BlocksOnDevice)
            && let Some(rule) = tables.block(key)
        {
            return Some(rule);
        }
        if own
            && in_use.has(book, Table::ExactOnDevice)
            && let Some(rule) = tables.exact(key)
        {
            return Some(rule);
        }
        let on_every = || Key::new(book, EVERY_DEVICE, address);
        if in_use.has(book, Table::Blocks)
            && let Some(rule) = tables.block(on_every())
        {
            return Some(rule);
        }
        if in_use.has(book, Table::Exact)
            && let Some(rule) = tables.exact(on_every())
        {
            return Some(rule);
        }
    }
    if in_use.has_prefixes(book) {
        tables.longest_prefix(in_use, key)
    } else {
        None
    }
}

/// What one device sees of the tables.
pub struct View<'a, T> {
    tables: &'a T,
    device: u32,
    in_use: InUse,
}

impl<'a, T: Tables> View<'a, T> {
    /// The view of the device with this interface index. From [`EVERY_DEVICE`], only the rules for
    /// every device are seen, and no device has addresses: so it is for a frame that belongs to a
    /// VLAN, on the VLAN's parent.
    #[inline(always)]
    pub fn new(tables: &'a T, device: u32) -> Self {
        Self {
            tables,
            device,
            in_use: tables.in_use(),
        }
    }

    /// The same ruling, of which the kernel's verifier knows nothing but a hardware address: else it would
    /// follow what comes after for each one by itself.
    #[inline(always)]
    pub fn forget(&self, ruling: Ruling) -> Ruling {
        const AT: u32 = u64::BITS - InUse::UNUSED;
        Ruling::from_number(ruling.to_number() ^ (u64::from(self.in_use.unused()) << AT))
    }

    /// The rule that keeps `address` out of this device's ARP.
    #[inline(always)]
    pub fn rule(&self, address: Ipv4Addr) -> Option<Rule> {
        match self.found(address) {
            Some(rule) if self.bars(rule, address) => Some(rule),
            Some(_) | None => None,
        }
    }

    /// The rule that hides `address` here, whoever owns it.
    #[inline(always)]
    pub fn hidden_by(&self, address: Ipv4Addr) -> Option<Rule> {
        match self.found(address) {
            Some(rule) if self.hides(rule, address) => Some(rule),
            Some(_) | None => None,
        }
    }

    /// Whether `rule`, which was found for `address`, hides it here, whoever owns it.
    #[inline(always)]
    pub fn hides(&self, rule: Rule, address: Ipv4Addr) -> bool {
        rule.policy() != Policy::Strict && self.bars(rule, address)
    }

    /// Whether `rule`, which was found for `address`, keeps it out of this device's ARP.
    ///
    /// A frame that belongs to a VLAN is the business of that VLAN's device: which one it is, and
    /// what it owns, its parent cannot tell.
    #[inline(always)]
    pub fn bars(&self, rule: Rule, address: Ipv4Addr) -> bool {
        match rule.policy() {
            Policy::Hide => !rule.is_promoted(),
            Policy::Pin => !self.is_vlans() && self.device != rule.home(),
            Policy::Strict => !self.is_vlans() && !self.owns(address),
            Policy::Answer | Policy::Bind => false,
        }
    }

    /// The rule for what this host says of `address`.
    #[inline(always)]
    pub fn found(&self, address: Ipv4Addr) -> Option<Rule> {
        self.longest_match(Book::Own, address)
    }

    /// The rule that binds `address` to one hardware address.
    #[inline(always)]
    pub fn bound(&self, address: Ipv4Addr) -> Option<Rule> {
        if !self.in_use.any(Book::Claims) {
            return None;
        }
        let key = Key::new(Book::Claims, self.device, address);
        self.tables.bound(self.in_use, key)
    }

    /// Whether a station other than that with the hardware address `mac` was heard to have
    /// `address`.
    #[inline(always)]
    pub fn is_contested(&self, address: Ipv4Addr, mac: Mac) -> bool {
        let claimant = self
            .tables
            .claimant(Key::new(Book::Own, self.device, address));
        claimant.is_some_and(|claimant| claimant != mac)
    }

    /// The rule of a book: of the longest match, on this device before every device.
    #[inline(always)]
    pub fn longest_match(&self, book: Book, address: Ipv4Addr) -> Option<Rule> {
        if !self.in_use.any(book) {
            return None;
        }
        longest_match(
            self.tables,
            self.in_use,
            Key::new(book, self.device, address),
        )
    }

    /// The rule that makes the device strict.
    #[inline(always)]
    pub fn strictness(&self) -> Option<Rule> {
        // It is for every address, and no other rule is for this one.
        if self.is_vlans() || !self.in_use.has_prefixes(Book::Own) {
            return None;
        }
        let place = Key::new(Book::Own, self.device, Ipv4Addr::UNSPECIFIED);
        let rule = self.tables.longest_prefix(self.in_use, place);
        rule.filter(|rule| rule.policy() == Policy::Strict)
    }

    /// Whether it is what a VLAN's parent sees of a frame that belongs to the VLAN.
    #[inline(always)]
    pub const fn is_vlans(&self) -> bool {
        self.device == EVERY_DEVICE
    }

    /// Whether the device itself has this address.
    #[inline(always)]
    pub fn owns(&self, address: Ipv4Addr) -> bool {
        self.local(address).is_some_and(Local::is_own)
    }

    /// Whether this address is in a subnet of the device.
    #[inline(always)]
    pub fn is_on_link(&self, address: Ipv4Addr) -> bool {
        self.local(address).is_some_and(Local::is_on_link)
    }

    /// The device's hardware address.
    #[inline(always)]
    pub fn mac(&self) -> Option<Mac> {
        self.tables.mac(self.device)
    }

    /// The address that takes a hidden one's place as the sender of a request for `target`.
    ///
    /// The RIP of the rule, where the device has it; else the device's own address for the target,
    /// as `arp_announce=2` chooses it: another device's RIP would be announced with a hardware
    /// address that is not its own. A device without addresses takes the RIP as it is. Never an
    /// address that is kept out of the device's ARP itself.
    #[inline(always)]
    pub fn sender(&self, rule: Rule, target: Ipv4Addr) -> Option<Ipv4Addr> {
        let chosen = rule.rip().unwrap_or(Ipv4Addr::UNSPECIFIED);
        let rip = if self.owns(chosen) {
            chosen
        } else {
            self.local(target).map_or(chosen, Local::primary)
        };
        let barred = |rule: Rule| rule.mode() == Mode::Enforce;
        if rip.is_unspecified() || self.rule(rip).is_some_and(barred) {
            return None;
        }
        Some(rip)
    }

    #[inline(always)]
    fn local(&self, target: Ipv4Addr) -> Option<Local> {
        if self.is_vlans() {
            return None;
        }
        self.tables.local(self.device, target)
    }
}
