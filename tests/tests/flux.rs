//! ARP flux: unguarded, every device of a host answers for every address; guarded, one does.

use std::{collections::BTreeSet, fs, net::Ipv4Addr, path::PathBuf};

use arpguard_tests::{arp, flux::Flux, lab::fewer};

const REQUESTS: u32 = 10_240;
const TIMES: u32 = 10;

/// Each address is answered by its device to everything that reaches it, and by no other.
fn one_answers(flux: &Flux) {
    let count = fewer(REQUESTS) as usize;
    let answers = flux.ask(count);
    for target in &flux.targets {
        let requests = flux.requests();
        let asked = requests.iter().cycle().take(count);
        let asked = asked.filter(|request| flux.reaches(request, target, target.nic));
        let mac = flux.nics[target.nic].mac;
        assert_eq!(
            Flux::macs(&answers, target.ip),
            BTreeSet::from([mac]),
            "{target:?}"
        );
        assert_eq!(answers[&(target.ip, mac)], asked.count(), "{target:?}");
        for _ in 0..fewer(TIMES) {
            assert_eq!(flux.resolve(target.ip), mac.to_string(), "{target:?}");
        }
    }
}

/// The control: each address is answered by every device to everything that reaches it.
fn all_answer(flux: &Flux) {
    let count = fewer(REQUESTS) as usize;
    let answers = flux.ask(count);
    for target in &flux.targets {
        let macs: BTreeSet<_> = flux.nics.iter().map(|nic| nic.mac).collect();
        assert_eq!(Flux::macs(&answers, target.ip), macs, "{target:?}");
        for (number, nic) in flux.nics.iter().enumerate() {
            let requests = flux.requests();
            let asked = requests.iter().cycle().take(count);
            let asked = asked.filter(|request| flux.reaches(request, target, number));
            assert_eq!(
                answers[&(target.ip, nic.mac)],
                asked.count(),
                "{target:?} {nic:?}"
            );
        }
    }
}

fn containers_are_reached(flux: &Flux) {
    for number in 0..flux.containers.len() {
        assert!(flux.reaches_container(number), "{number}");
    }
}

#[test]
fn unguarded_three_nics_answer_for_every_address_and_container() {
    let flux = Flux::container_host();
    all_answer(&flux);
    containers_are_reached(&flux);
}

#[test]
fn strict_nics_answer_for_their_own_and_one_for_the_containers() {
    let flux = Flux::container_host();
    flux.host
        .guard("strict on --dev eth0 --dev eth3 --dev eth4");
    flux.host.guard("pin 192.168.18.96/28 --dev eth3");
    one_answers(&flux);
    containers_are_reached(&flux);
}

/// A file that is gone when the test is.
struct File(PathBuf);

impl Drop for File {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn pinned_addresses_are_answered_where_they_are_pinned_to() {
    let flux = Flux::container_host();
    let path = std::env::temp_dir().join(format!("arpguard-pins-{}.toml", std::process::id()));
    let file = File(path);
    let mut text = "devices = 'eth*'\n".to_owned();
    for (ip, dev) in [
        ("192.168.18.10", "eth0"),
        ("192.168.18.11", "eth3"),
        ("192.168.18.12", "eth4"),
        ("192.168.18.96/28", "eth3"),
    ] {
        text += &format!("[[pin]]\nip = '{ip}'\ndev = '{dev}'\n");
    }
    fs::write(&file.0, text).unwrap();
    flux.host.guard(&format!("apply {}", file.0.display()));
    one_answers(&flux);
    containers_are_reached(&flux);
}

/// What `arp_filter` and `arp_ignore` leave out: nobody answers for the containers.
#[test]
fn strict_nics_do_not_proxy_for_what_is_not_pinned() {
    let flux = Flux::container_host();
    for nic in &flux.nics {
        flux.host
            .set(&format!("net/ipv4/conf/{}/arp_ignore", nic.name), "1");
    }
    let proxied = || {
        let answers = flux.ask(flux.requests().len());
        let of = flux.targets.iter().filter(|target| target.proxied);
        of.map(|target| Flux::macs(&answers, target.ip).len())
            .sum::<usize>()
    };
    // Three for each of the two.
    assert_eq!(proxied(), 6);
    flux.host
        .guard("strict on --dev eth0 --dev eth3 --dev eth4");
    assert_eq!(proxied(), 0);
}

/// What the host asks on the segment when it sends as each of its addresses: hardware and protocol
/// address of the sender.
fn senders(flux: &Flux) -> BTreeSet<(String, Ipv4Addr)> {
    let asked = |ip| flux.send_as(ip).into_iter();
    let asked = flux.nics.iter().flat_map(|nic| asked(nic.ip));
    let asked = asked.filter(|frame: &arp::Frame| frame.tpa == flux.client);
    asked
        .map(|frame| (frame.sha.to_string(), frame.spa))
        .collect()
}

/// Every packet leaves by the first device: only its own address may be told there.
fn one_asks(flux: &Flux) {
    let own = &flux.nics[0];
    assert_eq!(
        senders(flux),
        BTreeSet::from([(own.mac.to_string(), own.ip)])
    );
}

#[test]
fn unguarded_two_nics_answer_for_both_and_ask_as_both() {
    let flux = Flux::two_nics();
    all_answer(&flux);
    let mac = flux.nics[0].mac.to_string();
    let both = flux.nics.iter().map(|nic| (mac.clone(), nic.ip)).collect();
    assert_eq!(senders(&flux), both);
}

#[test]
fn strict_nics_answer_and_ask_each_for_its_own() {
    let flux = Flux::two_nics();
    flux.host.guard("strict on");
    one_answers(&flux);
    one_asks(&flux);
    flux.host.guard("strict off");
    all_answer(&flux);
}

#[test]
fn nics_that_answer_their_own_subnet_only_answer_the_client() {
    let flux = Flux::two_nics();
    flux.host.guard("strict on --same-subnet");
    // The marks are in no subnet of the client's, but it is in one of the device's.
    one_answers(&flux);
    one_asks(&flux);
}

#[test]
fn pinned_nics_answer_and_ask_each_for_its_own() {
    let flux = Flux::two_nics();
    flux.host.guard("pin 10.211.55.13 --dev eth0");
    flux.host.guard("pin 10.211.55.14 --dev eth1");
    one_answers(&flux);
    one_asks(&flux);
    flux.host.guard("unpin 10.211.55.13 10.211.55.14");
    all_answer(&flux);
}
