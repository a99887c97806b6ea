//! The agent follows the host and its files, and leaves no gap when it dies.

use std::{
    net::Ipv4Addr,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use arpguard_common::wire::Mac;
use arpguard_tests::{
    arp::{self, Frame},
    lab::{Namespace, Port, Wire, patience},
    pins::Pins,
    running::{Agent, Directory, eventually},
    server::{guards, hides, real_server},
};
use nix::sys::signal::Signal;

const CLIENT: Mac = Mac([2, 0, 0, 0, 0, 0x81]);
const CLIENT_IP: Ipv4Addr = Ipv4Addr::new(192, 168, 18, 129);
const VIP: Ipv4Addr = Ipv4Addr::new(192, 168, 18, 101);
const RIP: Ipv4Addr = Ipv4Addr::new(192, 168, 18, 10);

/// Who answers for the VIP, when the RIP is known to have had time to.
fn answers(port: &Port, question: &Frame, control: &Frame) -> Vec<Frame> {
    port.drain();
    port.send(&question.bytes());
    port.send(&control.bytes());
    let reply = |frame: &[u8]| Frame::read(frame).filter(|arp| arp.op == arp::REPLY);
    let until = port.until(|frame| reply(frame).is_some_and(|arp| arp.spa == control.tpa));
    until.iter().filter_map(|frame| reply(frame)).collect()
}

#[test]
fn a_device_that_comes_later_is_guarded_and_one_that_goes_is_forgotten() {
    let (server, _peer) = real_server();
    server.sh("ip addr add 192.168.18.101/32 dev lo");
    let _agent = Agent::start(&server, &["--hide", "192.168.18.101", "--rip", "auto"]);
    eventually("the VIP is hidden", || hides(&server, "192.168.18.101"));

    let other = Namespace::new("other");
    Wire::between(
        (&server, "eth1", Mac([2, 0, 0, 0, 0, 0x11])),
        (&other, "eth0", None),
    );
    server.sh("ip addr add 10.0.0.10/24 dev eth1");
    eventually("eth1 is guarded", || guards(&server, "eth1"));
    let port = Port::open(&other, "eth0");
    let own = Ipv4Addr::new(10, 0, 0, 10);
    let asker = Ipv4Addr::new(10, 0, 0, 129);
    let heard = answers(
        &port,
        &arp::request(CLIENT, asker, VIP),
        &arp::request(CLIENT, asker, own),
    );
    assert_eq!(heard, []);

    server.sh("ip link del eth1");
    let devices = Pins::of(&server).devices();
    eventually("eth1 is forgotten", || devices.indexes().len() == 1);
}

#[test]
fn addresses_and_hardware_addresses_are_followed() {
    let (server, peer) = real_server();
    server.sh("ip addr add 192.168.18.101/32 dev lo");
    let _agent = Agent::start(&server, &["--hide", "192.168.18.101"]);
    eventually("the VIP is hidden", || hides(&server, "192.168.18.101"));
    let port = Port::open(&peer, "eth0");
    let sender = || {
        port.drain();
        let mut asks = server.command("arping");
        asks.args([
            "-q",
            "-c1",
            "-w1",
            "-s",
            "192.168.18.101",
            "-I",
            "eth0",
            "192.168.18.129",
        ]);
        asks.status().unwrap();
        let asked = |frame: &[u8]| Frame::read(frame).filter(|arp| arp.tpa == CLIENT_IP);
        let frames = port.drain();
        let mut seen = frames.iter().filter_map(|frame| asked(frame));
        // Between two addresses there is no RIP, and nothing is sent.
        seen.next().map(|arp| arp.spa)
    };
    assert_eq!(sender(), Some(RIP));
    server.sh("ip addr add 192.168.18.20/24 dev eth0");
    server.sh("ip addr del 192.168.18.10/24 dev eth0");
    server.sh("ip addr replace 192.168.18.20/24 dev eth0");
    eventually("the RIP is the new address", || {
        sender() == Some(Ipv4Addr::new(192, 168, 18, 20))
    });

    // The director's question is answered for the new address, by the new hardware address.
    let mac = Mac([2, 0, 0, 0, 0, 0x77]);
    server.sh(&format!("ip link set dev eth0 address {mac}"));
    let question = arp::request(CLIENT, VIP, Ipv4Addr::new(192, 168, 18, 20));
    eventually("the director is answered", || {
        port.drain();
        port.send(&question.bytes());
        thread::sleep(Duration::from_millis(20));
        let frames = port.drain();
        let mut replies = frames.iter().filter_map(|frame| Frame::read(frame));
        replies.any(|arp| arp.op == arp::REPLY && arp.tpa == VIP && arp.sha == mac)
    });
}

#[test]
fn files_are_read_again_when_they_change_and_when_it_is_told_to() {
    let (server, _peer) = real_server();
    let directory = Directory::new("reload");
    let write = |text| directory.write("arpguard.toml", text);
    let policy = write("[[hide]]\nip = \"192.168.18.101\"\n");
    let agent = Agent::start(&server, &["--config", &policy]);
    eventually("the first", || hides(&server, "192.168.18.101"));
    write("[[hide]]\nip = \"192.168.18.102\"\n");
    eventually("the second", || hides(&server, "192.168.18.102"));
    assert!(!hides(&server, "192.168.18.101"));

    // A file with an error changes nothing, and the agent lives on.
    write("[[hide]]\nip = \"192.168.18.1000\"\n");
    agent.signal(Signal::SIGHUP);
    thread::sleep(Duration::from_millis(200));
    assert!(hides(&server, "192.168.18.102"));
    write("[[hide]]\nip = \"192.168.18.103\"\n");
    eventually("the third", || hides(&server, "192.168.18.103"));

    // What somebody has changed by hand is the file's again when it is told to read it.
    server.guard("unhide 192.168.18.103");
    agent.signal(Signal::SIGHUP);
    eventually("the third again", || hides(&server, "192.168.18.103"));
    assert_eq!(agent.end(Signal::SIGTERM).code(), Some(0));
    assert!(hides(&server, "192.168.18.103"));
}

#[test]
fn a_file_is_read_again_though_the_host_changes_all_the_time() {
    let (server, _peer) = real_server();
    let directory = Directory::new("busy");
    let write = |text| directory.write("arpguard.toml", text);
    let policy = write("[[hide]]\nip = \"192.168.18.101\"\n");
    let _agent = Agent::start(&server, &["--config", &policy]);
    eventually("the first", || hides(&server, "192.168.18.101"));
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                server.sh("ip addr add 10.9.0.1/32 dev lo");
                server.sh("ip addr del 10.9.0.1/32 dev lo");
            }
        });
        write("[[hide]]\nip = \"192.168.18.102\"\n");
        let started = Instant::now();
        let mut read = false;
        while !read && started.elapsed() < patience() {
            read = hides(&server, "192.168.18.102");
        }
        over.store(true, Ordering::Relaxed);
        assert!(read, "the second never came");
    });
}

#[test]
fn a_file_that_is_emptied_to_be_written_shows_nothing() {
    let (server, _peer) = real_server();
    let directory = Directory::new("emptied");
    let write = |text| directory.write("arpguard.toml", text);
    let policy = write("[[hide]]\nip = \"192.168.18.101\"\n");
    let agent = Agent::start(&server, &["--config", &policy]);
    eventually("the first", || hides(&server, "192.168.18.101"));
    write("");
    agent.signal(Signal::SIGHUP);
    thread::sleep(Duration::from_millis(300));
    assert!(hides(&server, "192.168.18.101"));
    write("# nothing\n");
    eventually("nothing", || !hides(&server, "192.168.18.101"));
}

#[test]
fn a_file_that_this_host_refuses_leaves_the_last_one_in_charge() {
    let (server, _peer) = real_server();
    let directory = Directory::new("refused");
    let write = |text| directory.write("arpguard.toml", text);
    let policy = write("[[hide]]\nip = \"192.168.18.101\"\n");
    let _agent = Agent::start(&server, &["--config", &policy]);
    eventually("the first", || hides(&server, "192.168.18.101"));
    write("[[hide]]\nip = \"192.168.18.102\"\nrip = \"192.168.18.11\"\n");
    thread::sleep(Duration::from_millis(200));
    server.sh("ip link add eth7 type veth peer name eth8");
    eventually("eth7 is guarded", || guards(&server, "eth7"));
    assert!(hides(&server, "192.168.18.101") && !hides(&server, "192.168.18.102"));
    server.sh("ip addr add 192.168.18.11/24 dev eth0");
    eventually("the second", || hides(&server, "192.168.18.102"));
    assert!(!hides(&server, "192.168.18.101"));
}

#[test]
fn a_device_that_is_declared_may_come_later() {
    let (server, _peer) = real_server();
    let text = "devices = [\"eth7\"]\n[[hide]]\nip = \"192.168.18.101\"\n";
    let directory = Directory::new("later");
    let policy = directory.write("arpguard.toml", text);
    let _agent = Agent::start(&server, &["--config", &policy]);
    thread::sleep(Duration::from_millis(200));
    assert_eq!(server.guard("list"), "no policy is in force here\n");
    server.sh("ip link add eth7 type veth peer name eth8");
    eventually("the first", || hides(&server, "192.168.18.101"));
    assert!(guards(&server, "eth7"));
    assert!(!guards(&server, "eth8") && !guards(&server, "eth0"));
}

#[test]
fn what_is_hidden_stays_so_when_the_agent_is_killed_and_started_again() {
    let (server, peer) = real_server();
    server.sh("ip addr add 192.168.18.101/32 dev lo");
    let port = Port::open(&peer, "eth0");
    let silent = || {
        let (vip, rip) = (
            arp::request(CLIENT, CLIENT_IP, VIP),
            arp::request(CLIENT, CLIENT_IP, RIP),
        );
        assert_eq!(answers(&port, &vip, &rip), []);
    };
    for _ in 0..5 {
        let agent = Agent::start(&server, &["--hide", "192.168.18.101"]);
        eventually("the VIP is hidden", || hides(&server, "192.168.18.101"));
        silent();
        assert!(!agent.end(Signal::SIGKILL).success());
        silent();
    }
    let arguments = ["--hide", "192.168.18.101", "--detach-on-exit"];
    let agent = Agent::start(&server, &arguments);
    thread::sleep(Duration::from_millis(200));
    silent();
    assert_eq!(agent.end(Signal::SIGTERM).code(), Some(0));
    assert_eq!(
        server.guard("status"),
        "arpguard is not loaded in this network namespace\n"
    );
}
