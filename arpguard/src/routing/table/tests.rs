use super::*;
use crate::device::fixture;

fn route(device: u32, gateway: Option<&str>) -> Route {
    Route {
        hop: Hop {
            device,
            gateway: gateway.map(|text| text.parse().unwrap()),
            onlink: false,
        },
        ..Route::default()
    }
}

fn net(text: &str) -> Ipv4Net {
    text.parse().unwrap()
}

/// `to via gateway dev index`, in the order of the destinations.
fn told(routing: &Routing) -> Vec<String> {
    let line = |((table, to, _), route): (&super::super::Place, &Route)| {
        let via = route.hop.gateway.map(|gateway| format!(" via {gateway}"));
        let (via, device) = (via.unwrap_or_default(), route.hop.device);
        format!("{table}: {to}{via} dev {device}")
    };
    routing.routes.iter().map(line).collect()
}

/// Two NICs in one subnet, as in the documentation, and a container behind the host.
fn host() -> Host {
    Host {
        devices: vec![
            fixture::device(2, "eth0", &["10.211.55.13/24"]),
            fixture::device(3, "eth1", &["10.211.55.14/24"]),
            fixture::device(4, "docker0", &["172.17.0.1/16"]),
            fixture::device(5, "wan", &["192.0.2.9/24"]),
        ],
        default_sources: Vec::new(),
    }
}

fn main_table() -> Vec<(Ipv4Net, Route)> {
    vec![
        (net("0.0.0.0/0"), route(2, Some("10.211.55.1"))),
        (net("10.9.0.0/16"), route(2, Some("10.211.55.2"))),
        (net("10.211.55.0/24"), route(2, None)),
        (net("10.211.55.0/24"), route(3, None)),
        (net("10.211.55.200/32"), route(4, None)),
        (net("172.17.0.0/16"), route(4, None)),
        (net("192.0.2.0/24"), route(5, None)),
    ]
}

#[test]
fn a_table_has_the_devices_routes_and_what_is_behind_the_host() {
    let pins = BTreeMap::from([(net("10.211.55.13/32"), 2), (net("10.211.55.14/32"), 3)]);
    let routing = wanted(&pins, &host(), &main_table()).unwrap();
    assert_eq!(
        routing.rules.into_iter().collect::<Vec<_>>(),
        [
            (net("10.211.55.13/32"), 2_054_000_002),
            (net("10.211.55.14/32"), 2_054_000_003)
        ]
    );
    let routing = wanted(&pins, &host(), &main_table()).unwrap();
    assert_eq!(
        told(&routing),
        [
            "2054000002: 0.0.0.0/0 via 10.211.55.1 dev 2",
            "2054000002: 10.9.0.0/16 via 10.211.55.2 dev 2",
            "2054000002: 10.211.55.0/24 dev 2",
            "2054000002: 10.211.55.200/32 dev 4",
            "2054000002: 172.17.0.0/16 dev 4",
            "2054000002: 192.0.2.0/24 dev 5",
            "2054000003: 0.0.0.0/0 via 10.211.55.1 dev 3",
            "2054000003: 10.211.55.0/24 dev 3",
            "2054000003: 10.211.55.200/32 dev 4",
            "2054000003: 172.17.0.0/16 dev 4",
            "2054000003: 192.0.2.0/24 dev 5",
        ]
    );
}

#[test]
fn a_device_out_of_reach_of_the_gateway_has_no_default_route() {
    let pins = BTreeMap::from([(net("192.0.2.9/32"), 5)]);
    let routing = wanted(&pins, &host(), &main_table()).unwrap();
    assert_eq!(
        told(&routing),
        [
            "2054000005: 10.211.55.0/24 dev 2",
            "2054000005: 10.211.55.200/32 dev 4",
            "2054000005: 172.17.0.0/16 dev 4",
            "2054000005: 192.0.2.0/24 dev 5",
        ]
    );
    // Its own comes first, with the metric that it has.
    let own = Route {
        metric: 100,
        ..route(5, Some("192.0.2.1"))
    };
    let mut main = main_table();
    main.push((net("0.0.0.0/0"), own));
    let routing = wanted(&pins, &host(), &main).unwrap();
    assert_eq!(
        told(&routing)[0],
        "2054000005: 0.0.0.0/0 via 192.0.2.1 dev 5"
    );
}

#[test]
fn a_device_that_is_down_or_gone_leaves_all_to_the_main_table() {
    let mut host = host();
    host.devices[1].link = Link::Down;
    let pins = BTreeMap::from([(net("10.211.55.14/32"), 3), (net("10.211.55.15/32"), 9)]);
    let routing = wanted(&pins, &host, &main_table()).unwrap();
    assert_eq!(told(&routing), [""; 0]);
    assert_eq!(routing.rules.len(), 1);
}

#[test]
fn many_rules_are_refused() {
    let pin = |number: u32| (Ipv4Net::from(Ipv4Addr::from(0x0a00_0001 + number)), 2);
    let pins: BTreeMap<_, _> = (0..1025).map(pin).collect();
    let error = wanted(&pins, &host(), &[]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "route: 10.0.4.1/32: the kernel tries the rules of addresses one after another, and more \
         than 1024 would be slow; pin prefixes instead"
    );
}
