//! Addresses as their users write them.

use std::net::{Ipv4Addr, Ipv6Addr};

use arpguard_common::{verdict::Policy, wire::Mac};
use ipnet::Ipv4Net;

use super::Rip;

/// An address or a prefix, as its user would write it.
pub fn prefix_text(prefix: Ipv4Net) -> String {
    if prefix.prefix_len() == 32 {
        prefix.addr().to_string()
    } else {
        prefix.to_string()
    }
}

/// What an address is that a policy is about.
pub const fn participle(policy: Policy) -> &'static str {
    match policy {
        Policy::Hide => "hidden",
        Policy::Pin => "pinned",
        Policy::Strict => "strict",
        Policy::Answer => "answered",
        Policy::Bind => "bound",
    }
}

/// Reads an address (of length 32) or a prefix.
///
/// # Errors
/// Where it is neither, with why.
pub fn parse_prefix(word: &str) -> Result<Ipv4Net, String> {
    if let Ok(address) = word.parse::<Ipv4Addr>() {
        return Ok(address.into());
    }
    if word.parse::<Ipv6Addr>().is_ok() {
        return Err("IPv6 has no ARP".to_owned());
    }
    let net: Ipv4Net = word
        .parse()
        .map_err(|_| "not an IPv4 address or prefix".to_owned())?;
    if net == net.trunc() {
        Ok(net)
    } else {
        Err(format!(
            "it has host bits set; {} or {}?",
            net.trunc(),
            net.addr()
        ))
    }
}

/// Reads a RIP: an address, or `auto`.
///
/// # Errors
/// Where it is neither.
pub fn parse_rip(word: &str) -> Result<Rip, String> {
    if word == "auto" {
        return Ok(Rip::Auto);
    }
    word.parse()
        .map(Rip::Address)
        .map_err(|_| "neither an IPv4 address nor auto".to_owned())
}

/// Reads the hardware address of a station, as `ip link` writes it, or with hyphens; or `vrrp:` and
/// the number of a virtual router (RFC 5798, section 7.3).
///
/// # Errors
/// Where it is not one.
pub fn parse_mac(word: &str) -> Result<Mac, String> {
    let why = || "not a MAC address".to_owned();
    if let Some(number) = word.strip_prefix("vrrp:") {
        return match number.parse() {
            Ok(router @ 1..) => Ok(Mac([0x00, 0x00, 0x5e, 0x00, 0x01, router])),
            Ok(0) | Err(_) => Err("virtual routers have numbers from 1 to 255".to_owned()),
        };
    }
    let mut mac = Mac::default();
    let mut digits = word.split([':', '-']);
    for byte in &mut mac.0 {
        let two = digits.next().ok_or_else(why)?;
        if two.len() != 2 || !two.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(why());
        }
        *byte = u8::from_str_radix(two, 16).map_err(|_| why())?;
    }
    if digits.next().is_some() {
        return Err(why());
    }
    if mac.is_station() {
        Ok(mac)
    } else {
        Err("it is no station's address".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_hardware_addresses_of_stations() {
        let mac = Mac([2, 0, 0, 0, 0xab, 0x10]);
        assert_eq!(parse_mac("02:00:00:00:ab:10"), Ok(mac));
        assert_eq!(parse_mac("02-00-00-00-AB-10"), Ok(mac));
        for word in [
            "",
            "02:00:00:00:ab",
            "02:00:00:00:ab:1",
            "02:00:00:00:ab:10:1",
            "+2:00:00:00:00:01",
            "0g:00:00:00:00:01",
        ] {
            assert_eq!(
                parse_mac(word),
                Err("not a MAC address".to_owned()),
                "{word}"
            );
        }
        assert_eq!(parse_mac("vrrp:51"), Ok(Mac([0, 0, 0x5e, 0, 1, 51])));
        for word in ["vrrp:", "vrrp:0", "vrrp:256", "vrrp:-1", "vrrp:0x33"] {
            let why = "virtual routers have numbers from 1 to 255".to_owned();
            assert_eq!(parse_mac(word), Err(why), "{word}");
        }
        for word in [
            "ff:ff:ff:ff:ff:ff",
            "01:00:5e:00:00:01",
            "00:00:00:00:00:00",
        ] {
            let why = "it is no station's address".to_owned();
            assert_eq!(parse_mac(word), Err(why), "{word}");
        }
    }

    #[test]
    fn reads_addresses_as_ip_and_nft_write_them() {
        assert_eq!(parse_prefix("10.0.0.1"), Ok("10.0.0.1/32".parse().unwrap()));
        assert_eq!(
            parse_prefix("10.0.0.0/24"),
            Ok("10.0.0.0/24".parse().unwrap())
        );
        for (word, why) in [
            ("10.0.0.256", "not an IPv4 address or prefix"),
            ("10.0.0.0/33", "not an IPv4 address or prefix"),
            ("eth0", "not an IPv4 address or prefix"),
            ("::1", "IPv6 has no ARP"),
            (
                "10.0.0.1/24",
                "it has host bits set; 10.0.0.0/24 or 10.0.0.1?",
            ),
        ] {
            assert_eq!(parse_prefix(word), Err(why.to_owned()), "{word}");
        }
    }
}
