//! The arguments of `arpguard announce`.

use std::{net::Ipv4Addr, time::Duration};

use arpguard_common::wire::Mac;
use clap::Args;

use super::{Targets, read, targets};
use crate::{
    error::{Error, Result},
    policy::{parse_mac, prefix_text, unresolvable},
};

/// The longest interval, in seconds.
const LONGEST: f64 = 3600.0;

#[derive(Debug, Args)]
#[command(after_help = "\
Each time, a request and a reply are sent for each address, as `arping -U` and `arping -A` do. An
address that is hidden on the device is refused: its announcement would be dropped on the way out.

Examples:
  arpguard announce 192.168.18.101 --dev eth0
  arpguard announce 192.168.18.101 --dev eth0 --count 10 --interval 1
  arpguard announce 192.168.18.101 --dev eth0 --mac 02:00:00:00:00:02 --force")]
pub(in crate::cli) struct Announce {
    /// Addresses of this host; - reads them from standard input
    #[arg(required = true, value_name = "IP", value_parser = targets)]
    ips: Vec<Targets>,
    /// Where to announce them
    #[arg(long, value_name = "IF")]
    pub(in crate::cli) dev: String,
    /// How many times
    #[arg(long, value_name = "N", default_value = "5",
        value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(in crate::cli) count: u32,
    /// Seconds between two times
    #[arg(long, value_name = "SECONDS", default_value = "0.2", value_parser = seconds)]
    pub(in crate::cli) interval: Duration,
    /// Tell this hardware address as theirs [default: the device's]
    #[arg(long, value_name = "MAC", value_parser = parse_mac)]
    pub(in crate::cli) mac: Option<Mac>,
    /// Announce even what this host does not have
    #[arg(long)]
    pub(in crate::cli) force: bool,
}

impl Announce {
    pub(in crate::cli) fn addresses(&self) -> Result<Vec<Ipv4Addr>> {
        single(&self.ips, "announce", "announced")
    }
}

/// Single addresses that ARP can be about; `done` is what is to be done to them by `verb`.
pub(super) fn single(words: &[Targets], verb: &str, done: &str) -> Result<Vec<Ipv4Addr>> {
    let single = |prefix: ipnet::Ipv4Net| {
        let why = match unresolvable(prefix) {
            _ if prefix.prefix_len() < 32 => format!("only single addresses are {done}"),
            Some(why) => why.to_owned(),
            None => return Ok(prefix.addr()),
        };
        Err(Error::new(verb, prefix_text(prefix), why).usage())
    };
    read(words)?.into_iter().map(single).collect()
}

pub(super) fn seconds(word: &str) -> Result<Duration, String> {
    let number = word.parse().ok().filter(|number| *number <= LONGEST);
    number
        .and_then(|number| Duration::try_from_secs_f64(number).ok())
        .ok_or_else(|| format!("not a number of seconds from 0 to {LONGEST}"))
}
