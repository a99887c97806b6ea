//! Policies that are drawn: what the maps hold, whether a command would write it or not.

use std::{cell::RefCell, collections::BTreeMap, net::Ipv4Addr};

use arpguard_common::{
    abi::{BLOCK_LEN, Block, Book, EVERY_DEVICE, InUse, Key, Local, Rule, Shape},
    policy::Tables,
    verdict::{Mode, Policy},
    wire::Mac,
};

use super::frames::{address, station};
use crate::dice::Dice;

/// A device, or every device, with the book as in [`slot`]; the length in bits of a prefix; its first
/// address.
pub type Place = (u32, u8, Ipv4Addr);

/// What the maps hold.
#[derive(Clone, Debug, Default)]
pub struct Drawn {
    /// The rules.
    pub rules: BTreeMap<Place, Rule>,
    /// The blocks of single addresses. Some address may have a rule by itself beside it.
    pub blocks: BTreeMap<Key, Block>,
    /// What the devices have for their own.
    pub local: BTreeMap<Place, Local>,
    /// Their hardware addresses.
    pub macs: BTreeMap<u32, Mac>,
    /// Who was heard to claim what.
    pub claims: RefCell<BTreeMap<Key, Mac>>,
    /// How many rules there are said to be beside those that there are.
    pub excess: u32,
}

impl Drawn {
    /// Draws a policy for these devices.
    pub fn draw(dice: &mut Dice, devices: &[(u32, Mac)]) -> Self {
        let mut drawn = Self::default();
        for _ in 0..dice.below(32) {
            let device = if dice.once_in(2) {
                EVERY_DEVICE
            } else {
                dice.one_of(devices).0
            };
            let length = length(dice);
            let (book, rule) = rule(dice, length, devices);
            let place = place(slot(book, device), address(dice), length);
            drawn.rules.insert(place, rule);
        }
        for _ in 0..dice.below(6) {
            drawn.draw_block(dice, devices);
        }
        for (device, mac) in devices {
            let primary = address(dice);
            if dice.once_in(2) {
                drawn
                    .local
                    .insert(place(*device, primary, 0), Local::elsewhere(primary));
            }
            for _ in 0..dice.below(6) {
                let primary = address(dice);
                drawn.local.insert(
                    place(*device, primary, length(dice)),
                    Local::subnet(primary),
                );
                let own = address(dice);
                drawn
                    .local
                    .insert(place(*device, own, 32), Local::own(primary));
            }
            match dice.below(8) {
                0 => {}
                1 => drop(drawn.macs.insert(*device, station(dice))),
                _ => drop(drawn.macs.insert(*device, *mac)),
            }
        }
        if dice.once_in(8) {
            drawn.excess = 1;
        }
        drawn
    }

    /// Draws a block: often of addresses that frames are about, and one in sixteen of bytes that nobody
    /// writes.
    fn draw_block(&mut self, dice: &mut Dice, devices: &[(u32, Mac)]) {
        let device = if dice.once_in(2) {
            EVERY_DEVICE
        } else {
            dice.one_of(devices).0
        };
        let (book, rule) = rule(dice, 32, devices);
        if book == Book::Claims {
            return;
        }
        let key = Key::new(book, device, address(dice)).of_block();
        let mut block = Block::new(rule);
        if dice.once_in(16) {
            let mut bytes = [0; BLOCK_LEN];
            let (given, members) = bytes.split_at_mut(8);
            given.copy_from_slice(&dice.bytes::<8>());
            members.copy_from_slice(&dice.bytes::<32>());
            block = Block::from_bytes(bytes);
        }
        for _ in 0..dice.below(16) {
            let [.., last] = address(dice).octets();
            block.insert(last);
        }
        self.blocks.insert(key, block);
    }
}

/// A rule of any policy. One in sixteen is of bytes that nobody writes.
fn rule(dice: &mut Dice, length: u8, devices: &[(u32, Mac)]) -> (Book, Rule) {
    if dice.once_in(16)
        && let Some(rule) = Rule::from_bytes(dice.bytes())
    {
        let book = if dice.once_in(2) {
            Book::Own
        } else {
            Book::Claims
        };
        return (book, rule);
    }
    let mode = if dice.once_in(4) {
        Mode::Audit
    } else {
        Mode::Enforce
    };
    let policy = dice.one_of(Policy::ALL);
    let rule = match policy {
        Policy::Hide => {
            let rip = (!dice.once_in(3)).then(|| address(dice));
            Rule::hide(length, rip, mode, dice.once_in(3))
        }
        Policy::Pin => Rule::pin(length, dice.one_of(devices).0, mode),
        Policy::Strict => Rule::strict(dice.once_in(2), mode),
        Policy::Answer => {
            let mac = dice.once_in(2).then(|| station(dice));
            Rule::answer(length, mac, mode, dice.once_in(3), dice.once_in(3))
        }
        Policy::Bind => Rule::bind(length, station(dice), mode),
    };
    (policy.book(), rule)
}

/// A device, or every device, in one of the books: a number, as the maps have it.
pub fn slot(book: Book, device: u32) -> u32 {
    let [a, b, c, d, ..] = Key::new(book, device, Ipv4Addr::UNSPECIFIED).to_bytes();
    u32::from_be_bytes([a, b, c, d])
}

/// The key of an address in such a slot.
pub fn key(slot: u32, address: Ipv4Addr) -> Key {
    let ([a, b, c, d], [e, f, g, h]) = (slot.to_be_bytes(), address.octets());
    Key::from_bytes([a, b, c, d, e, f, g, h])
}

impl Drawn {
    /// Notes who claims an address on a device; tells whether it is another than the last. What this
    /// host says on another device is no claim.
    pub fn hear(&self, device: u32, address: Ipv4Addr, mac: Mac) -> bool {
        if self.macs.values().any(|own| *own == mac) {
            return false;
        }
        let key = Key::new(Book::Own, device, address);
        let last = self.claims.borrow_mut().insert(key, mac);
        last.is_some_and(|last| last != mac)
    }
}

/// The length of a prefix: half of them are single addresses.
fn length(dice: &mut Dice) -> u8 {
    match dice.below(16) {
        0 => 0,
        1..4 => 24,
        4..8 => dice.below(32) as u8,
        _ => 32,
    }
}

/// The place of the prefix of this length that holds an address.
pub fn place(device: u32, address: Ipv4Addr, length: u8) -> Place {
    let bits = u64::from(address.to_bits());
    let shift = 32 - u32::from(length);
    let first = Ipv4Addr::from_bits((bits >> shift << shift) as u32);
    (device, length, first)
}

/// The entry of the longest prefix, up to a length, that holds an address.
fn longest<T: Copy>(
    entries: &BTreeMap<Place, T>,
    device: u32,
    address: Ipv4Addr,
    up_to: u8,
) -> Option<T> {
    (0..=up_to)
        .rev()
        .find_map(|length| entries.get(&place(device, address, length)).copied())
}

impl Drawn {
    /// How many rules there are, and the excess.
    pub fn shape(&self) -> Shape {
        let mut shape = Shape::from_words([self.excess; Shape::WORDS]);
        for (of, length, _) in self.rules.keys() {
            let key = key(*of, Ipv4Addr::UNSPECIFIED);
            let counts = shape.of_mut(key.book());
            *match (*length == 32, key.device() == EVERY_DEVICE) {
                (true, true) => &mut counts.exact,
                (true, false) => &mut counts.exact_on_device,
                (false, true) => &mut counts.prefixes,
                (false, false) => &mut counts.prefixes_on_device,
            } += 1;
        }
        for (key, block) in &self.blocks {
            let counts = shape.of_mut(key.book());
            *match key.device() == EVERY_DEVICE {
                true => &mut counts.in_blocks,
                false => &mut counts.in_blocks_on_device,
            } += block.len();
        }
        shape
    }
}

impl Tables for Drawn {
    fn in_use(&self) -> InUse {
        self.shape().in_use()
    }

    fn exact(&self, key: Key) -> Option<Rule> {
        let place = (slot(key.book(), key.device()), 32, key.address.into());
        self.rules.get(&place).copied()
    }

    fn block(&self, key: Key) -> Option<Rule> {
        let block = self.blocks.get(&key.of_block())?;
        block.rule_of(key.last_octet())
    }

    fn prefix(&self, key: Key) -> Option<Rule> {
        let of = slot(key.book(), key.device());
        longest(&self.rules, of, key.address.into(), 31)
    }

    fn claimant(&self, key: Key) -> Option<Mac> {
        self.claims.borrow().get(&key).copied()
    }

    fn local(&self, device: u32, target: Ipv4Addr) -> Option<Local> {
        longest(&self.local, device, target, 32)
    }

    fn mac(&self, device: u32) -> Option<Mac> {
        self.macs.get(&device).copied()
    }
}
