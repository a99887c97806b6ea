use std::slice;

use arpguard_common::abi::Rule;

use super::*;
use crate::datapath::Place;
use crate::device::{Unguardable, fixture::device};
use crate::error::Error;
use crate::host::Host;

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

fn block(kind: Kind, prefixes: &[&str]) -> Block {
    Block {
        kind,
        prefixes: prefixes.iter().map(|text| text.parse().unwrap()).collect(),
        mode: Mode::Enforce,
        force: false,
    }
}

fn hide(prefixes: &[&str], rip: &str) -> Block {
    let kind = Kind::Hide {
        rip: rip.parse().map_or(Rip::Auto, Rip::Address),
        shield: false,
    };
    block(kind, prefixes)
}

fn refusal(block: &Block) -> String {
    let host = real_server();
    let guarded = devices(&host, &[]).unwrap();
    let placed = match block.kind {
        Kind::Hide { .. } | Kind::Strict { .. } | Kind::Answer { .. } | Kind::Bind { .. } => {
            Placed {
                block,
                devices: guarded,
                scope: Scope::Every,
            }
        }
        Kind::Pin => Placed::pinned(block, guarded, host.device("br0").unwrap()),
    };
    let hidden = |address| address == Ipv4Addr::new(10, 0, 0, 10);
    let checked = check(slice::from_ref(block)).and_then(|()| check_on(&[placed], &host, hidden));
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
        let pin = why.replacen("hide", "pin", 1);
        assert_eq!(refusal(&block(Kind::Pin, &[vip])), pin);
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
fn refuses_to_leave_a_device_without_an_address() {
    let advice = "that device would have no address to speak with; use --force if that is meant";
    for (ip, why) in [
        (
            "192.168.18.10/32",
            "192.168.18.10: it is the primary address and default source of eth0",
        ),
        (
            "192.168.18.11/32",
            "192.168.18.11: it is the source of the default route through eth0",
        ),
        (
            "192.168.18.0/24",
            "192.168.18.10: it is the primary address and default source of eth0",
        ),
    ] {
        let mut pin = block(Kind::Pin, &[ip]);
        assert_eq!(refusal(&pin), format!("pin: {why}; {advice}"));
        pin.mode = Mode::Audit;
        assert_eq!(refusal(&pin), "fine");
        pin.mode = Mode::Enforce;
        pin.force = true;
        assert_eq!(refusal(&pin), "fine");
    }
    // br0 keeps what is pinned to it, its only address among that.
    assert_eq!(refusal(&block(Kind::Pin, &["10.0.0.0/8"])), "fine");
    let same_subnet = false;
    let strict = block(Kind::Strict { same_subnet }, &["0.0.0.0/0"]);
    assert_eq!(refusal(&strict), "fine");
}

#[test]
fn refuses_to_answer_otherwise_for_what_the_host_needs() {
    let advice = "the LAN would find this host by it no longer, or at another hardware address; use \
                  --force if that is meant";
    let given = Some(Mac([2, 0, 0, 0, 9, 9]));
    for (mac, deferred) in [(given, false), (None, true), (given, true)] {
        for (ip, why) in [
            ("10.0.0.10/32", "10.0.0.10: it is the only address of br0"),
            (
                "192.168.18.0/24",
                "192.168.18.10: it is the primary address and default source of eth0",
            ),
        ] {
            let mut answer = block(Kind::Answer { mac, deferred }, &[ip]);
            assert_eq!(refusal(&answer), format!("answer: {why}; {advice}"));
            answer.mode = Mode::Audit;
            assert_eq!(refusal(&answer), "fine");
            answer.mode = Mode::Enforce;
            answer.force = true;
            assert_eq!(refusal(&answer), "fine");
        }
    }
    // As the kernel would, and what the host does not need.
    let same = Kind::Answer {
        mac: None,
        deferred: false,
    };
    assert_eq!(refusal(&block(same, &["10.0.0.0/24"])), "fine");
    let other = Kind::Answer {
        mac: given,
        deferred: true,
    };
    assert_eq!(refusal(&block(other, &["10.0.0.11/32"])), "fine");
}

#[test]
fn a_rip_that_is_pinned_to_its_own_device_is_not_hidden() {
    let host = real_server();
    let rip = Ipv4Addr::new(192, 168, 18, 10);
    let told = |rule| is_hidden(rule, rip, &host);
    assert!(told(Rule::hide(32, None, Mode::Enforce, false)));
    assert!(told(Rule::pin(32, 3, Mode::Enforce)));
    assert!(!told(Rule::pin(32, 2, Mode::Enforce)));
    assert!(!told(Rule::strict(false, Mode::Enforce)));
}

#[test]
fn two_policies_at_one_place_contradict_each_other() {
    let host = real_server();
    let prefix: Ipv4Net = "192.168.18.101/32".parse().unwrap();
    let hide = Rule::hide(32, None, Mode::Enforce, false);
    let (pin, other) = (
        Rule::pin(32, 2, Mode::Enforce),
        Rule::pin(32, 3, Mode::Audit),
    );
    let told = |known: (u32, Rule), new: (u32, Rule)| {
        let place = |(device, rule): (u32, Rule)| Place::new(rule.policy(), device, prefix);
        let at = |at| (at == place(known)).then_some(known.1);
        clash(place(new), new.1, at).map(|(place, rule)| state_text(place, rule, &host))
    };
    let said = |text: &str| Some(text.to_owned());
    assert_eq!(told((0, hide), (0, pin)), said("hidden on every device"));
    assert_eq!(told((0, pin), (0, hide)), said("pinned to eth0"));
    assert_eq!(told((2, hide), (0, pin)), said("hidden on eth0"));
    assert_eq!(told((0, pin), (2, hide)), said("pinned to eth0"));
    // A device may hide what is pinned to another, and a policy may be told anew.
    assert_eq!(told((3, hide), (0, pin)), None);
    assert_eq!(told((0, pin), (3, hide)), None);
    assert_eq!(told((0, pin), (0, other)), None);
    assert_eq!(told((0, hide), (2, hide)), None);
    // One device may answer for what is hidden elsewhere, and what others claim is another matter.
    let answer = Rule::answer(32, None, Mode::Enforce, false, false);
    let bind = Rule::bind(32, Mac([2; 6]), Mode::Enforce);
    assert_eq!(told((2, hide), (2, answer)), said("hidden on eth0"));
    assert_eq!(told((2, answer), (2, hide)), said("answered on eth0"));
    assert_eq!(told((0, hide), (2, answer)), None);
    assert_eq!(told((0, hide), (0, bind)), None);
    assert_eq!(told((0, bind), (0, bind)), None);
    assert_eq!(
        state_text(Place::new(Policy::Bind, 2, prefix), bind, &host),
        "bound to 02:02:02:02:02:02 on eth0"
    );
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
