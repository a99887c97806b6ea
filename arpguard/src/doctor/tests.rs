use std::net::Ipv4Addr;

use super::*;
use crate::{
    datapath::{Egress, INGRESS, Other},
    device::{
        Unguardable, Xdp,
        fixture::{address, device},
    },
    host::{Hardware, Host, Process, Release, Setting},
    render::rules::Home,
};

const VIP: Ipv4Addr = Ipv4Addr::new(192, 168, 18, 101);

fn guard(name: &str, ingress: &str) -> (String, Guard) {
    let guard = Guard {
        name: name.to_owned(),
        ingress: Some(ingress.to_owned()),
        egress: Some("tcx".to_owned()),
        note: String::new(),
    };
    (name.to_owned(), guard)
}

fn rule(address: &str, device: Option<&str>) -> Rule {
    Rule {
        policy: "hide".to_owned(),
        address: Some(address.parse().unwrap()),
        device: device.map(str::to_owned),
        rip: "auto".to_owned(),
        shield: false,
        audit: false,
        same_subnet: false,
        promoted: false,
        mac: None,
        when: None,
        forced: false,
        home: None,
    }
}

/// A real server that hides nothing, on a NIC.
fn real_server() -> Facts {
    Facts {
        host: Host {
            devices: vec![
                device(1, "lo", &["127.0.0.1/8", "192.168.18.101/32"]),
                device(2, "eth0", &["192.168.18.10/24"]),
            ],
            default_sources: Vec::new(),
        },
        state: State::Read,
        release: Some(Release(6, 1)),
        ..Facts::default()
    }
}

fn guarded() -> Facts {
    Facts {
        policy: [rule("192.168.18.101/32", None)].into_iter().collect(),
        guards: [guard("eth0", "xdp-native")].into(),
        ..real_server()
    }
}

fn checks(facts: &Facts) -> Vec<&'static str> {
    let findings = judge(facts);
    findings.iter().map(|finding| finding.check).collect()
}

#[test]
fn a_guarded_real_server_is_well() {
    assert_eq!(judge(&guarded()), []);
}

#[test]
fn what_counts_is_the_larger_setting_of_the_device_and_of_all() {
    // arp_ignore, arp_announce, what is found
    for (ignore, announce, found) in [
        (0, 0, "vip_answered"),
        (0, 2, "vip_answered"),
        (1, 0, "vip_announced"),
        (2, 1, "vip_announced"),
        (1, 2, "vip_by_sysctl"),
        // It is of global scope.
        (3, 2, "vip_answered"),
        (8, 2, "vip_by_sysctl"),
        (9, 2, "vip_answered"),
        (8, 3, "vip_announced"),
    ] {
        for of in ["all", "eth0"] {
            let mut facts = real_server();
            facts.sysctls.set(of, Setting::ArpIgnore, ignore);
            facts.sysctls.set(of, Setting::ArpAnnounce, announce);
            assert_eq!(checks(&facts), [found], "{of} {ignore} {announce}");
        }
        let mut facts = real_server();
        facts.sysctls.set("lo", Setting::ArpIgnore, ignore);
        assert_eq!(checks(&facts)[0], "vip_answered", "lo {ignore}");
    }
    // Outside of the subnets of the device, arp_announce=1 is enough.
    let mut facts = real_server();
    facts.host.devices[0].addresses[1] = address("10.9.9.9/32");
    facts.sysctls.set("all", Setting::ArpIgnore, 1);
    facts.sysctls.set("all", Setting::ArpAnnounce, 1);
    assert_eq!(checks(&facts), ["vip_by_sysctl"]);
}

#[test]
fn a_dummy_device_is_for_vips_and_a_tunnel_is_not() {
    for (kind, expected) in [("dummy", vec!["vip_answered"]), ("wireguard", Vec::new())] {
        let mut facts = guarded();
        let mut other = device(3, "other0", &["10.9.9.9/32"]);
        other.kind = Some(kind.to_owned());
        other.unguardable = Some(Unguardable::NoArp);
        facts.host.devices.push(other);
        assert_eq!(checks(&facts), expected, "{kind}");
    }
}

#[test]
fn a_director_is_to_answer_by_the_device_that_has_the_vip() {
    let mut facts = real_server();
    let own = address("192.168.18.101/32");
    facts.host.devices[1].addresses.push(own);
    assert_eq!(judge(&facts), []);
    // Elsewhere it is not.
    facts
        .host
        .devices
        .push(device(3, "eth1", &["10.9.0.10/24"]));
    let [found] = &judge(&facts)[..] else {
        panic!("{:?}", judge(&facts));
    };
    let line = "hide 192.168.18.101 --rip auto --dev eth1";
    assert_eq!(found.cure, Some(Cure::Arpguard(line.to_owned())));
}

#[test]
fn what_is_promoted_is_to_answer_and_no_cure_ends_that_unasked() {
    let promoted = |device| Rule {
        promoted: true,
        ..rule("192.168.18.101/32", device)
    };
    let mut facts = guarded();
    facts.policy = [promoted(None)].into_iter().collect();
    let [found] = &judge(&facts)[..] else {
        panic!("{:?}", judge(&facts));
    };
    assert_eq!((found.check, found.severity), ("promoted", Severity::Note));
    let line = "demote 192.168.18.101".to_owned();
    assert_eq!(found.cure, Some(Cure::Arpguard(line)));
    // On one device, and hidden on others.
    let hidden = rule("192.168.18.101/32", None);
    facts.policy = [hidden, promoted(Some("eth0"))].into_iter().collect();
    assert_eq!(checks(&facts), ["promoted"]);
    facts.policy = [promoted(Some("eth0"))].into_iter().collect();
    facts.guards.clear();
    assert_eq!(checks(&facts), ["unguarded", "promoted"]);
    let line = judge(&facts)[0]
        .cure
        .as_ref()
        .unwrap()
        .line(&Place::default());
    let again = "arpguard hide 192.168.18.101 --rip auto --dev eth0 && \
                 arpguard promote 192.168.18.101 --dev eth0 --count 0";
    assert_eq!(line, again);
}

#[test]
fn a_vip_is_hidden_with_the_rip_of_its_rule_unless_that_is_lost() {
    for (rip, expected) in [
        ("192.168.18.10", "192.168.18.10"),
        ("192.168.18.11", "auto"),
    ] {
        let mut facts = guarded();
        let audit = Rule {
            rip: rip.to_owned(),
            audit: true,
            ..rule("192.168.18.101/32", None)
        };
        facts.policy = [audit].into_iter().collect();
        let found = judge(&facts);
        let line = format!("hide 192.168.18.101 --rip {expected}");
        assert_eq!(found[0].cure, Some(Cure::Arpguard(line)));
    }
}

#[test]
fn the_rule_that_holds_is_of_the_longest_match_and_then_of_the_device() {
    let audit = |rule: Rule| Rule {
        audit: true,
        ..rule
    };
    let strict = Rule {
        policy: "strict".to_owned(),
        address: None,
        ..rule("0.0.0.0/0", Some("eth2"))
    };
    let pin = Rule {
        policy: "pin".to_owned(),
        ..rule("10.0.0.0/8", Some("eth1"))
    };
    let policy: Policy = [
        audit(rule("192.168.18.101/32", Some("eth0"))),
        rule("192.168.18.101/32", None),
        rule("192.168.18.0/24", Some("eth1")),
        strict,
        pin,
    ]
    .into_iter()
    .collect();
    let [eth0, eth1, eth2] = [1, 2, 3].map(|index: u32| {
        let name = format!("eth{}", index - 1);
        device(index, &name, &["192.168.18.7/24"])
    });
    let other = Ipv4Addr::new(192, 168, 18, 7);
    assert!(!policy.hides(&eth0, VIP) && !policy.hides(&eth0, other));
    assert!(policy.hides(&eth1, VIP) && policy.hides(&eth1, other));
    // A strict device keeps out what it does not own, and a pinned address is left to one device.
    assert!(!policy.hides(&eth2, other) && policy.hides(&eth2, Ipv4Addr::new(192, 168, 18, 8)));
    let pinned = Ipv4Addr::new(10, 0, 0, 1);
    assert!(policy.hides(&eth0, pinned) && !policy.hides(&eth1, pinned));
    assert!(policy.hides(&eth2, pinned));
}

#[test]
fn a_prefix_is_hidden_by_a_rule_for_all_of_it_or_by_several_together() {
    let eth0 = device(2, "eth0", &["192.168.18.10/24"]);
    let hides = |rules: &[Rule], prefix: &str| {
        let policy: Policy = rules.iter().cloned().collect();
        policy.hides(&eth0, prefix.parse::<ipnet::Ipv4Net>().unwrap())
    };
    let hide = |prefix| rule(prefix, None);
    assert!(!hides(&[], "10.0.0.0/24"));
    assert!(!hides(&[hide("10.0.0.1/32")], "10.0.0.0/24"));
    assert!(!hides(&[hide("10.0.0.0/25")], "10.0.0.0/24"));
    assert!(hides(&[hide("10.0.0.0/24")], "10.0.0.0/24"));
    assert!(hides(&[hide("10.0.0.0/16")], "10.0.0.0/24"));
    let halves = ["10.0.0.0/25", "10.0.0.128/26", "10.0.0.192/26"].map(hide);
    assert!(hides(&halves, "10.0.0.0/24"));
    assert!(!hides(&halves, "10.0.0.0/23"));
    let here = Rule {
        policy: "pin".to_owned(),
        ..rule("10.0.0.7/32", Some("eth0"))
    };
    // That one is meant to be answered for.
    assert!(hides(&[hide("10.0.0.0/24"), here], "10.0.0.0/24"));
}

#[test]
fn a_prefix_that_is_the_hosts_is_asked_about_as_a_whole() {
    let mut facts = guarded();
    facts.local = vec![
        (1, "127.0.0.0/8".parse().unwrap()),
        (1, "192.168.18.101/32".parse().unwrap()),
        (2, "10.8.0.0/24".parse().unwrap()),
        (1, "10.9.0.0/24".parse().unwrap()),
        (1, "10.9.0.0/28".parse().unwrap()),
        (1, "10.10.0.1/32".parse().unwrap()),
    ];
    let [found] = &judge(&facts)[..] else {
        panic!("{:?}", judge(&facts));
    };
    assert_eq!(found.subject, "10.9.0.0/24, 10.10.0.1");
    let line = "hide 10.9.0.0/24 10.10.0.1 --rip auto".to_owned();
    assert_eq!(found.cure, Some(Cure::Arpguard(line)));
    // Of such a prefix arp_ignore=3 answers for what a device has alone (`inet_confirm_addr`).
    let mut facts = guarded();
    facts.host.devices[0].addresses.push(address("10.9.0.1/24"));
    assert_eq!(judge(&facts)[0].subject, "10.9.0.0/24");
    facts.sysctls.set("eth0", Setting::ArpIgnore, 3);
    facts.sysctls.set("eth0", Setting::ArpAnnounce, 2);
    let found = judge(&facts);
    let told: Vec<_> = found
        .iter()
        .map(|found| (found.check, found.subject.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            ("vip_answered", "10.9.0.1"),
            ("vip_by_sysctl", "10.9.0.0/24")
        ]
    );
}

#[test]
fn what_is_to_be_answered_for_is_left_alone_where_it_is() {
    let answer = Rule {
        policy: "answer".to_owned(),
        ..rule("192.168.18.101/32", Some("eth0"))
    };
    let mut facts = guarded();
    facts.policy = [answer].into_iter().collect();
    assert_eq!(judge(&facts), []);
    // Elsewhere it is not to be, and the command leaves the device alone that is to answer.
    facts
        .host
        .devices
        .push(device(3, "eth1", &["10.9.0.10/24"]));
    let [found] = &judge(&facts)[..] else {
        panic!("{:?}", judge(&facts));
    };
    let line = "hide 192.168.18.101 --rip auto --dev eth1".to_owned();
    assert_eq!(found.cure, Some(Cure::Arpguard(line)));
}

#[test]
fn a_pin_that_is_not_in_force_is_put_in_force_and_not_hidden() {
    let pin = |audit| Rule {
        policy: "pin".to_owned(),
        audit,
        ..rule("192.168.18.96/28", Some("eth0"))
    };
    for (audit, line) in [
        (false, "pin 192.168.18.96/28 --dev eth0"),
        // Not more than what was found.
        (true, "pin 192.168.18.101 --dev eth0"),
    ] {
        let mut facts = guarded();
        facts.policy = [pin(audit)].into_iter().collect();
        let eth1 = device(3, "eth1", &["10.9.0.10/24"]);
        facts.host.devices.push(eth1);
        if audit {
            facts.guards.extend([guard("eth1", "xdp-native")]);
        }
        let found = judge(&facts);
        assert_eq!(found[0].check, "vip_answered");
        assert_eq!(found[0].cure, Some(Cure::Arpguard(line.to_owned())));
    }
}

/// Two devices in a subnet, or in one and a part of it.
fn twins(one: &str, other: &str) -> Facts {
    Facts {
        host: Host {
            devices: vec![device(2, "eth0", &[one]), device(3, "eth1", &[other])],
            default_sources: Vec::new(),
        },
        state: State::Read,
        release: Some(Release(6, 1)),
        ..Facts::default()
    }
}

#[test]
fn devices_in_one_subnet_are_in_flux_unless_a_setting_keeps_each_to_its_own() {
    let answering = "eth0, eth1 are in it, and eth0, eth1 answer for the others' addresses";
    let asking = "eth0, eth1 are in it, and eth0, eth1 ask in the name of the others' addresses";
    // arp_ignore, arp_announce, arp_filter, what is found
    for (ignore, announce, filter, what) in [
        (0, 0, 0, Some(answering)),
        (0, 2, 0, Some(answering)),
        (3, 2, 0, Some(answering)),
        (4, 2, 0, Some(answering)),
        // It does not hold for probes.
        (0, 2, 1, Some(answering)),
        (1, 0, 0, Some(asking)),
        (1, 1, 0, Some(asking)),
        (1, 2, 0, None),
        (2, 2, 0, None),
        (8, 2, 0, None),
    ] {
        let mut facts = twins("192.168.18.10/24", "192.168.18.11/24");
        facts.sysctls.set("all", Setting::ArpIgnore, ignore);
        facts.sysctls.set("all", Setting::ArpAnnounce, announce);
        facts.sysctls.set("all", Setting::ArpFilter, filter);
        let found = judge(&facts);
        let found = found.iter().map(|found| found.what.as_str());
        let expected: Vec<_> = what.into_iter().collect();
        assert_eq!(
            found.collect::<Vec<_>>(),
            expected,
            "{ignore} {announce} {filter}"
        );
    }
}

#[test]
fn a_part_of_a_subnet_is_in_it() {
    for (one, other) in [
        ("192.168.18.10/24", "192.168.18.130/25"),
        ("192.168.18.130/25", "192.168.18.10/24"),
    ] {
        let facts = twins(one, other);
        let [found] = &judge(&facts)[..] else {
            panic!("{:?}", judge(&facts));
        };
        assert_eq!(
            (found.check, found.subject.as_str()),
            ("flux", "192.168.18.0/24")
        );
    }
    assert_eq!(judge(&twins("192.168.18.10/25", "192.168.18.130/25")), []);
}

#[test]
fn each_subnet_of_a_device_has_a_primary_address() {
    let with = |addresses: &[(&str, bool)]| {
        let mut facts = guarded();
        facts.host.devices[1] = crate::device::fixture::ranked(addresses);
        let found = judge(&facts);
        let found = found
            .into_iter()
            .filter(|one| one.check == "hidden_primary");
        let found: Vec<_> = found
            .map(|found| {
                let cure = found.cure.map(|cure| cure.line(&Place::default()));
                (found.severity, cure)
            })
            .collect();
        found
    };
    let moved = "sysctl -w net.ipv4.conf.eth0.promote_secondaries=1 && \
                 ip addr del 192.168.18.101/24 dev eth0";
    let moved = [(Severity::Warning, Some(moved.to_owned()))];
    let vip = ("192.168.18.101/24", false);
    let rip = ("192.168.18.10/24", true);
    assert_eq!(with(&[("10.0.0.5/24", false), vip, rip]), moved);
    assert_eq!(with(&[vip, rip]), moved);
    // With the only address of a subnet, the way there would go.
    assert_eq!(
        with(&[("10.0.0.5/24", false), vip]),
        [(Severity::Warning, None)]
    );
    let secondary = ("192.168.18.101/24", true);
    assert_eq!(with(&[("192.168.18.10/24", false), secondary]), []);
    let unhide = Some("arpguard unhide 192.168.18.101".to_owned());
    assert_eq!(with(&[vip]), [(Severity::Serious, unhide)]);
}

#[test]
fn rules_are_said_again_whole() {
    let host = guarded().host;
    let answer = Rule {
        policy: "answer".to_owned(),
        mac: Some("00:00:5e:00:01:33".to_owned()),
        when: Some("pgrep nginx".to_owned()),
        ..rule("192.168.18.110/32", Some("eth0"))
    };
    let line = "answer 192.168.18.110 --dev eth0 --mac 00:00:5e:00:01:33 --when 'pgrep nginx'";
    assert_eq!(answer.again(&host, ""), Cure::Arpguard(line.to_owned()));
    // A RIP that the host has lost would be refused.
    for (rip, expected) in [("192.168.18.10", "192.168.18.10"), ("10.7.7.7", "auto")] {
        let hide = Rule {
            rip: rip.to_owned(),
            ..rule("192.168.18.110/32", None)
        };
        let line = format!("hide 192.168.18.110 --rip {expected}");
        assert_eq!(hide.again(&host, ""), Cure::Arpguard(line));
    }
}

#[test]
fn settings_of_lo_do_nothing() {
    for (setting, name) in [
        (Setting::ArpAnnounce, "arp_announce"),
        (Setting::ProxyArp, "proxy_arp"),
        (Setting::ProxyArpPvlan, "proxy_arp_pvlan"),
    ] {
        let mut facts = guarded();
        facts.sysctls.set("lo", setting, 1);
        let [found] = &judge(&facts)[..] else {
            panic!("{:?}", judge(&facts));
        };
        let line = format!("sysctl -w net.ipv4.conf.lo.{name}=0");
        let cure = found.cure.as_ref().map(|cure| cure.line(&Place::default()));
        assert_eq!((found.check, cure), ("loopback_setting", Some(line)));
    }
}

#[test]
fn a_kernel_that_cannot_is_serious() {
    let facts = Facts {
        release: Some(Release(5, 4)),
        lacks_bpf: true,
        ..guarded()
    };
    assert_eq!(checks(&facts), ["kernel_release", "kernel_bpf"]);
    assert!(
        judge(&facts)
            .iter()
            .all(|one| one.severity == Severity::Serious)
    );
}

#[test]
fn a_nic_that_is_not_judged_in_the_driver_is_noted_with_the_reason() {
    let mut facts = guarded();
    let (name, mut eth0) = guard("eth0", "xdp-generic");
    eth0.note = "native XDP: eth0: Operation not supported".to_owned();
    facts.guards.insert(name, eth0);
    let [found] = &judge(&facts)[..] else {
        panic!("{:?}", judge(&facts));
    };
    assert_eq!((found.check, &found.cure), ("hook", &None));
    assert!(
        found.why.ends_with("Operation not supported"),
        "{}",
        found.why
    );
    // Another program there says why itself.
    let (name, eth0) = guard("eth0", "tcx");
    facts.guards.insert(name, eth0);
    facts.host.devices[1].xdp = Some(Xdp {
        program: 7,
        generic: false,
    });
    assert_eq!(checks(&facts), ["other_xdp"]);
}

#[test]
fn a_driver_that_resets_its_device_is_told_before_it_does() {
    let mut facts = real_server();
    let hardware = |driver: &str| Hardware {
        driver: driver.to_owned(),
        strips_vlan: true,
        ..Hardware::default()
    };
    facts.hardware = [("eth0".to_owned(), hardware("ixgbe"))].into();
    assert_eq!(checks(&facts), ["vip_answered", "resetting_driver"]);
    facts.hardware = [("eth0".to_owned(), hardware("virtio_net"))].into();
    assert_eq!(checks(&facts), ["vip_answered"]);
    let mut facts = guarded();
    facts.hardware = [("eth0".to_owned(), hardware("ixgbe"))].into();
    facts.host.devices[1].xdp = Some(Xdp {
        program: 7,
        generic: false,
    });
    assert_eq!(judge(&facts), []);
}

#[test]
fn an_mtu_that_keeps_native_xdp_away_is_found() {
    let found = |facts: &Facts| {
        let found = judge(facts).into_iter();
        let mut found = found.filter(|finding| finding.check == "mtu");
        let finding = found.next()?;
        let cure = finding.cure?.line(&Place::default());
        Some((finding.what, cure))
    };
    let with = |mut facts: Facts, driver: &str, mtu| {
        let hardware = Hardware {
            driver: driver.to_owned(),
            mtu,
            ..Hardware::default()
        };
        facts.hardware = [("eth0".to_owned(), hardware)].into();
        facts
    };
    for (driver, largest) in [("igc", 1500), ("igb", 3046), ("ixgbe", 3050)] {
        let facts = with(real_server(), driver, 9000);
        let what =
            format!("its MTU is 9000, and its driver, {driver}, takes native XDP up to {largest}");
        let cure = format!("ip link set dev eth0 mtu {largest}");
        assert_eq!(found(&facts), Some((what, cure)));
        assert_eq!(found(&with(facts, driver, largest)), None);
    }
    // Drivers of which nothing is known are asked.
    assert_eq!(found(&with(real_server(), "mlx5_core", 9000)), None);
    let mut refused = guarded();
    refused.guards = [guard("eth0", "xdp-generic")].into();
    let asked = refused.guards.get_mut("eth0").unwrap();
    asked.note = "native XDP: eth0: Invalid argument (os error 22)".to_owned();
    let facts = with(refused, "mlx4_en", 9000);
    let what = "its MTU is 9000, and its driver has refused native XDP".to_owned();
    let cure = "ip link set dev eth0 mtu 1500 && \
                arpguard hide 192.168.18.101 --rip auto --attach native";
    assert_eq!(found(&facts), Some((what, cure.to_owned())));
    assert_eq!(found(&with(facts, "mlx4_en", 1500)), None);
    let mut native = with(guarded(), "igc", 9000);
    native.host.devices[1].xdp = Some(Xdp {
        program: 7,
        generic: false,
    });
    assert_eq!(found(&native), None);
}

#[test]
fn vlan_tags_are_taken_out_before_generic_xdp_of_a_device_on_another() {
    let mut facts = guarded();
    facts.policy = [rule("192.168.18.101/32", Some("eth0"))]
        .into_iter()
        .collect();
    facts.hardware = [("eth0".to_owned(), Hardware::default())].into();
    let stripped = |facts: &Facts| {
        let found = judge(facts).into_iter();
        let mut found = found.filter(|finding| finding.check == "stripped_vlan");
        let finding = found.next()?;
        finding.cure.map(|cure| cure.line(&Place::default()))
    };
    let cure = "arpguard hide 192.168.18.101 --rip auto --dev eth0 --attach tc";
    for (kind, hook, cure) in [
        (Some("bond"), "xdp-native", None),
        (Some("bond"), "xdp-generic", Some(cure)),
        (Some("bond"), "tcx", None),
        (Some("bridge"), "xdp-generic", Some(cure)),
        (Some("vlan"), "xdp-generic", None),
        (None, "xdp-generic", None),
    ] {
        facts.host.devices[1].kind = kind.map(str::to_owned);
        facts.guards = [guard("eth0", hook)].into();
        assert_eq!(stripped(&facts).as_deref(), cure, "{kind:?} {hook}");
    }
}

#[test]
fn what_is_taken_out_of_a_bond_s_frames_is_up_to_its_ports() {
    let mut facts = guarded();
    facts.policy = [rule("192.168.18.101/32", Some("eth0"))]
        .into_iter()
        .collect();
    facts.host.devices[1].kind = Some("bond".to_owned());
    for (index, name) in [(3, "eth1"), (4, "eth2")] {
        let mut port = device(index, name, &[]);
        port.unguardable = Some(Unguardable::Port(2));
        facts.host.devices.push(port);
    }
    let lines = |facts: &Facts| -> Vec<_> {
        let cures = judge(facts).into_iter().filter_map(|found| found.cure);
        cures.map(|cure| cure.line(&Place::default())).collect()
    };
    for (stripping, line) in [
        (&["eth0"] as &[_], None),
        (&["eth0", "eth2"], Some("ethtool -K eth2 rxvlan off")),
        (
            &["eth1", "eth2"],
            Some("ethtool -K eth1 rxvlan off && ethtool -K eth2 rxvlan off"),
        ),
    ] {
        let hardware = |name: &str| Hardware {
            strips_vlan: stripping.contains(&name),
            ..Hardware::default()
        };
        let names = ["eth0", "eth1", "eth2"].into_iter();
        facts.hardware = names
            .map(|name| (name.to_owned(), hardware(name)))
            .collect();
        let expected: Vec<_> = line.into_iter().collect();
        assert_eq!(lines(&facts), expected, "{stripping:?}");
    }
}

#[test]
fn an_ingress_qdisc_is_in_the_way_of_clsact_alone_and_goes_where_it_is_empty() {
    let mut facts = guarded();
    facts.lacks_clsact = ["eth0".to_owned()].into();
    facts.tc = Some(Egress::Tcx);
    assert_eq!(checks(&facts), [""; 0]);
    facts.tc = Some(Egress::Clsact);
    // What is known of its filters, and the command.
    let filter = |hook| Other {
        is_sent: false,
        hook,
        name: Some("bpf".to_owned()),
        program: None,
    };
    let command = "tc qdisc del dev eth0 ingress && tc qdisc add dev eth0 clsact";
    for (others, command) in [
        (None, None),
        (Some(vec![]), Some(command)),
        (Some(vec![filter("tcx")]), Some(command)),
        (Some(vec![filter(INGRESS)]), None),
    ] {
        facts.others = others
            .into_iter()
            .map(|of| ("eth0".to_owned(), of))
            .collect();
        let found = judge(&facts);
        let of = |one: &&Finding| one.check == "ingress_qdisc";
        let Finding { severity, cure, .. } = found.iter().find(of).unwrap();
        assert_eq!(*severity, Severity::Warning);
        let line = cure.as_ref().map(|cure| cure.line(&Place::default()));
        assert_eq!(line.as_deref(), command);
    }
}

#[test]
fn of_several_daemons_of_a_name_one_is_told() {
    let mut facts = guarded();
    for (id, name) in [(7, "keepalived"), (8, "keepalived"), (9, "bash")] {
        let name = name.to_owned();
        facts.processes.here.push(Process { id, name });
    }
    assert_eq!(checks(&facts), ["silenced_daemon"]);
    facts.policy = Policy::default();
    assert_eq!(checks(&facts), ["vip_answered"]);
}

#[test]
fn what_an_older_version_hides_is_not_called_seen() {
    let facts = Facts {
        state: State::Older,
        ..real_server()
    };
    assert_eq!(checks(&facts), ["older_version"]);
}

#[test]
fn pins_that_are_away_or_have_nowhere_to_go_are_told() {
    let pin = |address: &str, device: &str, fallback: &str, moved: Option<&str>| Rule {
        policy: "pin".to_owned(),
        home: Some(Home {
            device: "eth7".to_owned(),
            fallback: Some(fallback.to_owned()),
            hold: Some(10),
            route: true,
            moved: moved.map(str::to_owned),
        }),
        ..rule(address, Some(device))
    };
    let mut facts = real_server();
    facts.policy = [
        pin("192.168.18.102/32", "eth0", "eth0", Some("down")),
        pin("192.168.18.103/32", "eth0", "eth0", Some("down")),
        pin("192.168.18.104/32", "eth7", "eth8", None),
    ]
    .into_iter()
    .collect();
    let found = judge(&facts);
    let told = |check: &str| {
        let finding = found.iter().find(|finding| finding.check == check);
        let Finding {
            subject,
            what,
            cure,
            ..
        } = finding.unwrap();
        let place = Place::default();
        let cure = cure.as_ref().map(|cure| cure.line(&place));
        (subject.clone(), what.clone(), cure)
    };
    assert_eq!(
        told("pin_moved"),
        (
            "192.168.18.102 and 1 more".to_owned(),
            "pinned to eth7, and now on eth0".to_owned(),
            Some("ip link set eth7 up".to_owned())
        )
    );
    assert_eq!(
        told("fallback_gone"),
        (
            "192.168.18.104".to_owned(),
            "its fallback is eth8, and there is no such device".to_owned(),
            None
        )
    );
    assert!(found.iter().all(|finding| finding.check != "device_gone"));
    let rule = facts.policy.iter().next().unwrap();
    assert_eq!(
        rule.again(&facts.host, ""),
        Cure::arpguard(
            "pin 192.168.18.102 --dev eth7 --fallback eth0 --hold 10 --route".to_owned()
        )
    );
}
