//! What a network namespace has left when it is gone.

use std::{fs, sync::Mutex};

use arpguard_tests::{
    lab::{Namespace, Output, arpguard},
    running::eventually,
    server::{pins, real_server},
};

/// Whoever loads arpguard removes what all that are gone have left.
static ALONE: Mutex<()> = Mutex::new(());

/// Has another namespace load what it did not have.
fn load_elsewhere(other: &Namespace) {
    other.guard("hide 192.168.18.101");
    other.guard("detach");
}

/// What a deleted namespace has left is removed by the next command that loads anything; a namespace
/// that merely has no name and no process, or no device but its own, is not gone.
#[test]
fn pins_are_removed_when_their_namespace_is_gone_and_no_sooner() {
    let _alone = ALONE.lock();
    let ((server, _peer), (other, _wire)) = (real_server(), real_server());
    server.guard("hide 192.168.18.101 --add-to lo");
    let home = pins(&server).parent().unwrap().to_owned();
    server.sh("ip link del eth0");
    server.sh("ip link set lo down");
    load_elsewhere(&other);
    assert!(home.is_dir());
    // From here on this process alone keeps it, by a descriptor.
    let line = format!("ip netns del {}", server.name());
    other.sh(&line);
    load_elsewhere(&other);
    assert!(home.is_dir());
    let list = Output::of(server.command(arpguard()).arg("list"));
    assert!(list.stdout.contains("192.168.18.101"), "{list}");
    drop(server);
    eventually("its pins are gone", || {
        load_elsewhere(&other);
        !home.exists()
    });
}

/// Before Linux 5.14 a namespace has the number of an inode, which another one had before.
#[test]
fn what_a_namespace_of_the_same_number_has_left_is_not_found() {
    let _alone = ALONE.lock();
    let ((server, _peer), (other, _wire)) = (real_server(), real_server());
    server.guard("hide 192.168.18.101");
    other.guard("hide 192.168.18.102");
    let home = |of| pins(of).parent().unwrap().to_owned();
    let (left, own) = (home(&server), home(&other));
    other.guard("detach");
    fs::rename(&left, &own).unwrap();
    assert!(other.guard("list").contains("192.168.18.101"));
    // What is dropped would be detached by its name.
    other.sh(&format!("ip netns del {}", server.name()));
    drop(server);
    eventually("what it had is not found", || {
        !other.guard("list").contains("192.168.18.101")
    });
    other.guard("hide 192.168.18.103");
    let list = other.guard("list");
    assert!(list.contains("192.168.18.103"), "{list}");
    assert!(!list.contains("192.168.18.101"), "{list}");
}
