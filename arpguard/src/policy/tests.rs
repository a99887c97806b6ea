use std::slice;

use super::*;
use crate::device::{Address, Link, Unguardable};
use crate::error::Error;
use crate::host::Host;

fn address(text: &str) -> Address {
    let subnet: Ipv4Net = text.parse().unwrap();
    Address {
        address: subnet.addr(),
        subnet: subnet.trunc(),
        broadcast: Some(subnet.broadcast()),
        secondary: false,
        host_scope: subnet.addr().is_loopback(),
    }
}

fn device(index: u32, name: &str, addresses: &[&str]) -> Device {
    Device {
        index,
        name: name.to_owned(),
        kind: None,
        mac: None,
        link: Link::Up,
        unguardable: (name == "lo").then_some(Unguardable::Loopback),
        xdp: None,
        addresses: addresses.iter().map(|text| address(text)).collect(),
    }
}

fn real_server() -> Host {
    let mut port = device(4, "eth9", &[]);
    port.unguardable = Some(Unguardable::Port(3));
    Host {
        devices: vec![
            device(1, "lo", &["127.0.0.1/8", "192.168.18.101/32"]),
            device(2, "eth0", &["192.168.18.10/24", "192.168.18.11/24"]),
            device(3, "br0", &["10.0.0.10/24"]),
            port,
        ],
        default_sources: vec![(2, Ipv4Addr::new(192, 168, 18, 11))],
    }
}

fn hide(prefixes: &[&str], rip: &str) -> Hide {
    Hide {
        prefixes: prefixes.iter().map(|text| text.parse().unwrap()).collect(),
        rip: rip.parse().map_or(Rip::Auto, Rip::Address),
        shield: false,
        mode: Mode::Enforce,
        force: false,
    }
}

fn refusal(hide: &Hide) -> String {
    let host = real_server();
    let placed = Placed {
        hide,
        devices: devices(&host, &[]).unwrap(),
        everywhere: true,
    };
    let hidden = |address| address == Ipv4Addr::new(10, 0, 0, 10);
    let checked = check(slice::from_ref(hide)).and_then(|()| check_on(&[placed], &host, hidden));
    checked.map_or_else(
        |refusal| Error::from(refusal).to_string(),
        |()| "fine".to_owned(),
    )
}

#[test]
fn hides_a_vip_behind_the_rip() {
    assert_eq!(
        refusal(&hide(&["192.168.18.101/32"], "192.168.18.10")),
        "fine"
    );
    assert_eq!(
        refusal(&hide(&["192.168.18.101/32", "192.168.19.0/24"], "auto")),
        "fine"
    );
}

#[test]
fn refuses_what_nobody_can_hide() {
    for (vip, why) in [
        (
            "0.0.0.0/32",
            "hide: 0.0.0.0: 0.0.0.0 is no host's address: probes have it as their sender",
        ),
        (
            "0.0.0.0/0",
            "hide: 0.0.0.0/0: 0.0.0.0 is no host's address: probes have it as their sender",
        ),
        (
            "127.0.0.1/32",
            "hide: 127.0.0.1: loopback addresses are not on any LAN",
        ),
        (
            "126.0.0.0/7",
            "hide: 126.0.0.0/7: loopback addresses are not on any LAN",
        ),
        (
            "239.1.2.3/32",
            "hide: 239.1.2.3: multicast addresses are not resolved by ARP",
        ),
        (
            "255.255.255.255/32",
            "hide: 255.255.255.255: the broadcast address is not resolved by ARP",
        ),
    ] {
        let hide = hide(&[vip], "auto");
        assert_eq!(refusal(&hide), why);
        assert!(check(&[hide]).unwrap_err().error.is_usage);
    }
    assert_eq!(
        refusal(&hide(&["192.168.18.255/32"], "auto")),
        "hide: 192.168.18.255: it is the broadcast address of a subnet of eth0"
    );
}

#[test]
fn refuses_a_rip_that_is_none() {
    let could = "it could be 192.168.18.10 (eth0), 192.168.18.11 (eth0)";
    for (rip, why) in [
        (
            "192.168.18.12",
            "use as RIP: 192.168.18.12: this host does not have the address",
        ),
        (
            "127.0.0.1",
            "use as RIP: 127.0.0.1: it is not an address on a LAN",
        ),
        ("10.0.0.10", "use as RIP: 10.0.0.10: it is hidden itself"),
    ] {
        assert_eq!(
            refusal(&hide(&["192.168.18.101/32"], rip)),
            format!("{why}; {could}")
        );
    }
    assert_eq!(
        refusal(&hide(&["192.168.18.0/24"], "192.168.18.10")),
        "hide: 192.168.18.0/24: the RIP 192.168.18.10 would be hidden itself; \
         name an address of this host that is its own on the LAN"
    );
}

#[test]
fn refuses_to_cut_the_host_off() {
    let advice = "the LAN would lose this host; use --force if that is meant";
    for (vip, why) in [
        (
            "192.168.18.10/32",
            "192.168.18.10: it is the primary address and default source of eth0",
        ),
        (
            "192.168.18.11/32",
            "192.168.18.11: it is the source of the default route through eth0",
        ),
        ("10.0.0.0/8", "10.0.0.10: it is the only address of br0"),
    ] {
        let mut hide = hide(&[vip], "auto");
        assert_eq!(refusal(&hide), format!("hide: {why}; {advice}"));
        hide.mode = Mode::Audit;
        assert_eq!(refusal(&hide), "fine");
        hide.mode = Mode::Enforce;
        hide.force = true;
        assert_eq!(refusal(&hide), "fine");
    }
}

#[test]
fn names_the_devices_that_can_be_guarded() {
    let host = real_server();
    let told = |names: &[&str]| {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        devices(&host, &names)
            .map(|found| found.iter().map(|device| device.index).collect::<Vec<_>>())
            .map_err(|error| error.to_string())
    };
    assert_eq!(told(&[]), Ok(vec![2, 3]));
    assert_eq!(told(&["br0", "eth0", "br0"]), Ok(vec![3, 2]));
    for (name, why) in [
        (
            "lo",
            "guard: lo: it is the loopback device, which speaks no ARP",
        ),
        (
            "eth9",
            "guard: eth9: it is a port of a bridge or bond, which speaks ARP in its place; \
             guard br0 instead",
        ),
        (
            "eth7",
            "find the device: eth7: there is no such device; there are lo, eth0, br0, eth9",
        ),
    ] {
        assert_eq!(told(&[name]), Err(why.to_owned()));
    }
}
