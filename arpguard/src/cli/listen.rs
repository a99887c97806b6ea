//! Where `arpguard run` is to serve metrics.

use std::net::{Ipv4Addr, SocketAddr};

/// `IP:PORT`; a port alone is one of the loopback address, so that nobody shows more than meant.
pub(super) fn parse_listen(word: &str) -> Result<SocketAddr, String> {
    let port = word.strip_prefix(':').unwrap_or(word);
    if let Ok(port) = port.parse::<u16>() {
        return Ok((Ipv4Addr::LOCALHOST, port).into());
    }
    word.parse()
        .map_err(|_| "neither IP:PORT nor a port".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_is_of_the_loopback_address() {
        for (word, address) in [
            ("9817", "127.0.0.1:9817"),
            (":9817", "127.0.0.1:9817"),
            ("0.0.0.0:9817", "0.0.0.0:9817"),
            ("[::1]:9817", "[::1]:9817"),
        ] {
            assert_eq!(parse_listen(word).unwrap().to_string(), address);
        }
        for word in ["", ":", "65536", "127.0.0.1", "localhost:9817", "::1:", "a"] {
            assert!(parse_listen(word).is_err(), "{word}");
        }
    }
}
