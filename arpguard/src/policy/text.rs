//! Addresses as their users write them.

use std::net::{Ipv4Addr, Ipv6Addr};

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

#[cfg(test)]
mod tests {
    use super::*;

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
