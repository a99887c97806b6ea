use super::*;
use crate::device::fixture::ranked;

fn told(device: &Device, hidden: &[&str]) -> Vec<String> {
    let hidden: Vec<Ipv4Addr> = hidden.iter().map(|text| text.parse().unwrap()).collect();
    local(device, |address| hidden.contains(&address))
        .iter()
        .map(|(prefix, entry)| {
            format!(
                "{prefix} {}{}",
                entry.primary(),
                if entry.is_own() { " own" } else { "" }
            )
        })
        .collect()
}

#[test]
fn each_subnet_has_its_first_address_and_the_rest_of_the_world_the_very_first() {
    let device = ranked(&[
        ("192.168.18.10/24", false),
        ("192.168.18.11/24", true),
        ("10.0.0.10/8", false),
    ]);
    assert_eq!(
        told(&device, &[]),
        [
            "192.168.18.10/32 192.168.18.10 own",
            "10.0.0.10/32 10.0.0.10 own",
            "192.168.18.11/32 192.168.18.10 own",
            "192.168.18.0/24 192.168.18.10",
            "10.0.0.0/8 10.0.0.10",
            "0.0.0.0/0 192.168.18.10",
        ]
    );
}

#[test]
fn a_hidden_primary_address_is_never_the_sender() {
    let device = ranked(&[("192.168.18.101/24", false), ("192.168.18.10/24", true)]);
    assert_eq!(
        told(&device, &["192.168.18.101"]),
        [
            "192.168.18.10/32 192.168.18.10 own",
            "192.168.18.0/24 192.168.18.10",
            "0.0.0.0/0 192.168.18.10",
        ]
    );
    assert_eq!(told(&device, &["192.168.18.101", "192.168.18.10"]), [""; 0]);
}

#[test]
fn an_address_without_a_subnet_is_its_own() {
    let device = ranked(&[("192.168.18.10/32", false)]);
    assert_eq!(
        told(&device, &[]),
        [
            "192.168.18.10/32 192.168.18.10 own",
            "0.0.0.0/0 192.168.18.10"
        ]
    );
}
