//! What spares the programs a look-up follows the rules.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::net::Ipv4Addr;

use arpguard_common::abi::{Sieve, map};
use arpguard_tests::{
    lab::Namespace,
    server::{pins, real_server},
};
use aya::maps::{Array, Map, MapData};

fn open_slots(server: &Namespace) -> usize {
    let path = pins(server).join("maps").join(map::SIEVE);
    let map = Map::Array(MapData::from_pin(path).unwrap());
    let sieve: Array<_, [u64; Sieve::WORDS]> = map.try_into().unwrap();
    Sieve::from_words(sieve.get(&0, 0).unwrap()).open_slots()
}

/// Each of so many addresses, from 10.1.0.1 on, behind a space.
fn pool(from: u32, to: u32) -> String {
    let first = u32::from(Ipv4Addr::new(10, 1, 0, 0));
    let addresses = (from..=to).map(|number| format!(" {}", Ipv4Addr::from(first + number)));
    addresses.collect()
}

#[test]
fn the_sieve_is_open_to_what_has_a_rule_and_closes_behind_what_is_gone() {
    let (server, _peer) = real_server();
    server.guard(&format!("hide --rip auto{}", pool(1, 1000)));
    let open = open_slots(&server);
    assert!((900..=1000).contains(&open), "{open}");
    // A prefix has no slot.
    server.guard("hide 10.2.0.0/16 --rip auto");
    assert_eq!(open_slots(&server), open);
    // A few that are gone leave theirs.
    server.guard("unhide 10.1.0.1");
    assert_eq!(open_slots(&server), open);
    server.guard(&format!("unhide{}", pool(2, 998)));
    assert_eq!(open_slots(&server), 2);
    server.guard("flush");
    assert_eq!(open_slots(&server), 0);
    server.guard("hide 10.1.0.1 --rip auto");
    assert_eq!(open_slots(&server), 1);
}
