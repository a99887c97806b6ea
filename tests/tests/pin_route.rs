//! `pin --route`: replies from an address leave by the device where it is pinned.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    cell::Cell,
    collections::BTreeSet,
    io::Write as _,
    net::{Ipv4Addr, SocketAddrV4},
    os::fd::AsRawFd as _,
    process::{Command, Stdio},
};

use arpguard_common::wire::Mac;
use arpguard_tests::{
    flux::Flux,
    lab::{Namespace, Port, arpguard},
    running::{Agent, Directory, eventually},
};
use nix::{
    net::if_::if_nametoindex,
    sys::{
        signal::Signal,
        socket::{
            AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, bind, sendto,
            socket,
        },
    },
};

const GATEWAY: Mac = Mac([2, 0, 0, 2, 0, 1]);
/// An address behind the gateway.
const FAR: &str = "192.0.2.7";

/// Two NICs in one subnet, and a gateway there.
fn topology() -> (Flux, Namespace) {
    let flux = Flux::two_nics();
    let gateway = Namespace::new("gateway");
    flux.segment
        .attach(&gateway, "eth0", GATEWAY, &["10.211.55.1/24"]);
    gateway.sh(&format!("ip addr add {FAR}/32 dev lo"));
    flux.host
        .sh("ip route add default via 10.211.55.1 dev eth0");
    // Others' rules and routes.
    flux.host
        .sh("ip rule add from 10.211.55.14 to 203.0.113.0/24 lookup 77 priority 20540");
    flux.host
        .sh("ip route add 203.0.113.0/24 dev eth0 table 77");
    (flux, gateway)
}

/// An echo request, as `ping` makes it.
fn echo(sequence: u8) -> [u8; 8] {
    const KIND: u8 = 8;
    const ID: u8 = 0xa9;
    // The sum of the other words, as RFC 1071 has it.
    let sum = !((u16::from(KIND) << 8) + (u16::from(ID) << 8) + u16::from(sequence));
    let [high, low] = sum.to_be_bytes();
    [KIND, 0, high, low, ID, 0, 0, sequence]
}

/// From which hardware addresses the answers come, when `from` pings `ip` of the host.
fn answered_by(from: &Namespace, source: &str, ip: &str) -> BTreeSet<String> {
    const TIMES: u8 = 5;
    let port = Port::open(from, "eth0");
    let [source, ip] = [source, ip].map(|text| text.parse::<Ipv4Addr>().unwrap());
    from.enter(|| {
        let icmp = SockProtocol::Icmp;
        let fd = socket(AddressFamily::Inet, SockType::Raw, SockFlag::empty(), icmp).unwrap();
        let at = |ip: Ipv4Addr| SockaddrIn::from(SocketAddrV4::new(ip, 0));
        bind(fd.as_raw_fd(), &at(source)).unwrap();
        for sequence in 0..TIMES {
            sendto(fd.as_raw_fd(), &echo(sequence), &at(ip), MsgFlags::empty()).unwrap();
        }
    });
    let is_answer = |frame: &[u8]| {
        // IPv4, ICMP, from that address, echo reply.
        frame.get(12..14) == Some(&[8, 0])
            && frame.get(23) == Some(&1)
            && frame.get(26..30) == Some(&ip.octets())
            && frame.get(34) == Some(&0)
    };
    let mut macs = BTreeSet::new();
    for _ in 0..TIMES {
        let mac = Cell::new(None);
        port.until(|frame| {
            mac.set(frame[6..].first_chunk().copied().map(Mac));
            is_answer(frame)
        });
        macs.insert(mac.get().unwrap().to_string());
    }
    macs
}

fn index(host: &Namespace, device: &str) -> u32 {
    host.enter(|| if_nametoindex(device).unwrap())
}

/// The rules and routes of arpguard's, a line each.
fn routing(host: &Namespace) -> String {
    let rules = host.sh("ip rule show");
    let rules = rules.lines().filter(|line| line.ends_with("proto 214"));
    let routes = host.sh("ip route show table all");
    let routes = routes.lines().filter(|line| line.contains("proto 214"));
    let line = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ") + "\n";
    rules.chain(routes).map(line).collect()
}

/// What is not arpguard's.
fn foreign(host: &Namespace) -> String {
    let shown = host.sh("ip rule show") + &host.sh("ip route show table all");
    let others = shown.lines().filter(|line| !line.contains("proto 214"));
    others.map(|line| format!("{line}\n")).collect()
}

/// What is of the address at `device` alone.
fn routed(host: &Namespace, ip: &str, device: &str, source: &str) -> String {
    let table = 2_054_000_000 + index(host, device);
    format!(
        "20540: from {ip} lookup {table} proto 214\n\
         default via 10.211.55.1 dev {device} table {table} proto 214\n\
         10.211.55.0/24 dev {device} table {table} proto 214 scope link src {source}\n"
    )
}

#[test]
fn replies_leave_by_the_device_that_the_address_is_pinned_to() {
    let (flux, gateway) = topology();
    let macs = [0, 1].map(|nic| BTreeSet::from([flux.nics[nic].mac.to_string()]));
    let replies = |ip: &str| {
        [
            answered_by(&flux.client_host, "10.211.55.7", ip),
            answered_by(&gateway, FAR, ip),
        ]
    };
    let [first, second] = &macs;
    let both = |mac: &BTreeSet<String>| [mac.clone(), mac.clone()];
    // The control.
    flux.host.guard("pin 10.211.55.13 --dev eth0");
    flux.host.guard("pin 10.211.55.14 --dev eth1");
    assert_eq!(replies("10.211.55.14"), both(first));
    let before = foreign(&flux.host);

    flux.host.guard("pin 10.211.55.13 --dev eth0 --route");
    flux.host.guard("pin 10.211.55.14 --dev eth1 --route");
    assert_eq!(replies("10.211.55.13"), both(first));
    assert_eq!(replies("10.211.55.14"), both(second));
    flux.host.guard("unpin 10.211.55.13");
    let own = routed(&flux.host, "10.211.55.14", "eth1", "10.211.55.14");
    assert_eq!(routing(&flux.host), own);
    assert_eq!(foreign(&flux.host), before);
    let table = "\
POLICY  ADDRESS       DEVICE  SENDER  OPTIONS
pin     10.211.55.14  eth1    auto    route
";
    assert_eq!(flux.host.guard("list"), table);
    // Said again, it is as it was.
    flux.host.guard("pin 10.211.55.14 --dev eth1 --route");
    assert_eq!(routing(&flux.host), own);
    let directory = Directory::new("route");
    let saved = flux.host.guard("save");
    assert!(
        saved.ends_with("\n[[pin]]\nip = \"10.211.55.14\"\ndev = \"eth1\"\nroute = true\n"),
        "{saved}"
    );
    let saved = directory.write("saved.toml", &saved);
    let other = directory.write("other.toml", "[[pin]]\nip = '10.211.55.14'\ndev = 'eth1'\n");

    // However it ends, nothing is left.
    let ends: [&dyn Fn(); 4] = [
        &|| drop(flux.host.guard("unpin 10.211.55.14")),
        &|| drop(flux.host.guard("flush")),
        &|| drop(flux.host.guard("detach")),
        &|| drop(flux.host.guard(&format!("apply {other}"))),
    ];
    for end in ends {
        flux.host.guard(&format!("apply {saved}"));
        assert_eq!(routing(&flux.host), own);
        end();
        assert_eq!(routing(&flux.host), "");
        assert_eq!(foreign(&flux.host), before);
    }
    assert_eq!(replies("10.211.55.14"), both(first));
}

#[test]
fn routes_follow_the_host_and_the_pin() {
    let (flux, gateway) = topology();
    let host = &flux.host;
    host.sh("ip addr add 10.211.55.20/32 dev lo");
    host.guard("pin 10.211.55.20 --dev eth1 --fallback eth0 --hold 0 --route");
    let at = |device: &str, source: &str| routed(host, "10.211.55.20", device, source);
    assert_eq!(routing(host), at("eth1", "10.211.55.14"));
    let agent = Agent::start(host, &[]);
    // The agent looks at routes when there is an event.
    host.sh("ip addr add 10.211.55.15/24 dev eth1");
    host.sh("ip addr del 10.211.55.14/24 dev eth1");
    host.sh("ip addr replace 10.211.55.15/24 dev eth1");
    eventually("the source is followed", || {
        routing(host) == at("eth1", "10.211.55.15")
    });
    host.sh("ip route add 198.51.100.0/24 via 10.211.55.2 dev eth1 mtu 1400");
    let table = 2_054_000_000 + index(host, "eth1");
    eventually("a route is followed", || {
        let line =
            format!("198.51.100.0/24 via 10.211.55.2 dev eth1 table {table} proto 214 mtu 1400\n");
        routing(host).contains(&line)
    });
    host.sh("ip route del 198.51.100.0/24");
    eventually("it is gone", || routing(host) == at("eth1", "10.211.55.15"));
    agent.end(Signal::SIGKILL);
    assert_eq!(routing(host), at("eth1", "10.211.55.15"));

    let _agent = Agent::start(host, &[]);
    flux.unplug(1);
    eventually("the routes move", || {
        routing(host) == at("eth0", "10.211.55.13")
    });
    let first = BTreeSet::from([flux.nics[0].mac.to_string()]);
    eventually("it has moved", || {
        host.guard("list").contains("moved from eth1")
    });
    assert_eq!(answered_by(&gateway, FAR, "10.211.55.20"), first);
    flux.plug(1);
    eventually("they are back", || {
        routing(host) == at("eth1", "10.211.55.15")
    });
    eventually("it is back", || {
        !host.guard("list").contains("moved from eth1")
    });
    let second = BTreeSet::from([flux.nics[1].mac.to_string()]);
    assert_eq!(answered_by(&gateway, FAR, "10.211.55.20"), second);
    // A device that goes down loses its routes, and gets them again.
    host.sh("ip link set eth1 down");
    eventually("the routes move", || {
        routing(host) == at("eth0", "10.211.55.13")
    });
    host.sh("ip link set eth1 up");
    eventually("they are back", || {
        routing(host) == at("eth1", "10.211.55.15")
    });
    host.guard("unpin 10.211.55.20");
    assert_eq!(routing(host), "");
}

#[test]
fn the_longest_prefix_is_asked_first_and_an_audit_routes_nothing() {
    let (flux, _gateway) = topology();
    let host = &flux.host;
    host.guard("pin 10.211.55.96/28 --dev eth0 --route");
    host.guard("pin 10.211.55.100 --dev eth1 --route");
    host.guard("pin 10.211.55.120 --dev eth1 --route --audit");
    let rules = host.sh("ip rule show");
    let own: Vec<_> = rules.lines().filter(|line| line.contains("214")).collect();
    let table = |device| 2_054_000_000 + index(host, device);
    assert_eq!(
        own,
        [
            format!(
                "20540:\tfrom 10.211.55.100 lookup {} proto 214",
                table("eth1")
            ),
            format!(
                "20544:\tfrom 10.211.55.96/28 lookup {} proto 214",
                table("eth0")
            ),
        ]
    );
}

#[test]
fn what_fails_has_changed_nothing() {
    let (flux, _gateway) = topology();
    let host = &flux.host;
    let table = 2_054_000_000 + index(host, "eth1");
    // Somebody else's.
    host.sh(&format!(
        "ip route add 198.51.100.0/24 dev eth0 table {table}"
    ));
    let before = foreign(host);
    let fails = |line: &str, message: &str| {
        let output = host.arpguard(&line.split(' ').collect::<Vec<_>>());
        let told = (output.status.code(), output.stdout, output.stderr);
        let expected = format!("arpguard: {message}\n");
        assert_eq!(told, (Some(1), String::new(), expected), "{line}");
        assert_eq!(routing(host), "");
        assert_eq!(foreign(host), before);
    };
    fails(
        "pin 10.211.55.14 --dev eth1 --route",
        &format!(
            "use the routing table: {table}: it has routes that are not arpguard's; \
             see whose they are: ip route show table {table}"
        ),
    );
    let not_loaded = "arpguard is not loaded in this network namespace\n";
    assert_eq!(host.guard("status"), not_loaded);

    // The routes are there when the rule finds no room.
    let mut hide = Command::new(arpguard())
        .args(["--netns", host.name(), "hide", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let prefixes = (0..1_u32 << 16).map(|number| {
        let net = Ipv4Addr::from(0x0b00_0000 + 2 * number);
        format!("{net}/31\n")
    });
    let text: String = prefixes.collect();
    hide.stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    assert!(hide.wait().unwrap().success());
    let number = |list: &str| list.lines().count();
    let rules = number(&host.guard("list"));
    fails(
        "pin 10.211.55.96/28 --dev eth0 --route",
        "write a rule: 10.211.55.96/28: there is room for 65536 prefixes, all taken; \
         hide fewer, or make room with `arpguard unhide`",
    );
    assert_eq!(number(&host.guard("list")), rules);
}

#[test]
fn reverse_path_filters_and_doctor_know_of_the_way_back() {
    let (flux, _gateway) = topology();
    let host = &flux.host;
    host.set("net/ipv4/conf/eth1/rp_filter", "1");
    let complains = || host.guard("doctor").contains("rp_filter=1 counts on eth1");
    host.guard("pin 10.211.55.14 --dev eth1");
    assert!(complains());
    host.guard("pin 10.211.55.14 --dev eth1 --route");
    // The mark of the device is no address of that subnet.
    assert!(!complains());
    let second = BTreeSet::from([flux.nics[1].mac.to_string()]);
    assert_eq!(
        answered_by(&flux.client_host, "10.211.55.7", "10.211.55.14"),
        second
    );
    host.sh("ip addr add 10.211.55.24/24 dev eth1");
    assert!(complains());
}
