//! The arguments of `arpguard probe`.

use std::net::Ipv4Addr;

use clap::{
    Args,
    builder::{PossibleValuesParser, TypedValueParser},
};
use ipnet::Ipv4Net;

use super::{Targets, read, targets};
use crate::{
    arp::{Expectation, Question},
    error::Result,
};

#[derive(Debug, Args)]
#[command(after_help = "\
A host that is silent to one form of question may answer another, so all are asked:
  broadcast     as a host asks that looks for a neighbour
  unicast       of each station that was heard or is a neighbour, as one asks that revalidates
  probe         without a sender (RFC 5227)
  hardware-6    of hardware type 6, which Linux takes on Ethernet
  priority-tag  behind an 802.1Q tag with VID 0
  nested-tags   behind an 802.1ad and an 802.1Q tag with VID 0
  outside       from an address outside of the subnet (192.0.2.1)
What is heard unasked counts too: announcements of an address, and requests in its name.

It needs CAP_NET_RAW and nothing else, and can be run on any machine of the LAN but the one that
has the address: no host hears itself.

Exit status: 0 done, and as expected; 1 it failed, or was interrupted; 2 wrong usage; 3 another
answer than the expected one, or several for one address.

Examples:
  arpguard probe 192.168.18.101 --dev eth0
  arpguard probe 192.168.18.101 --dev eth0 --expect 02:00:00:00:00:02 --listen 60
  arpguard probe 192.168.19.0/24 --dev eth0 --form broadcast --expect none
  arpguard probe --all-local --dev eth0")]
pub(in crate::cli) struct Probe {
    /// Addresses and prefixes; - reads them from standard input
    #[arg(
        required_unless_present = "all_local",
        conflicts_with = "all_local",
        value_name = "IP",
        value_parser = targets
    )]
    ips: Vec<Targets>,
    /// Where to ask
    #[arg(long, value_name = "IF")]
    pub(in crate::cli) dev: String,
    /// All addresses of the device's subnets, and show those that several stations answer for
    #[arg(long, conflicts_with = "expect")]
    pub(in crate::cli) all_local: bool,
    /// Who must answer, alone; none: nobody
    #[arg(long, value_name = "MAC|none")]
    pub(in crate::cli) expect: Option<Expectation>,
    /// Only in this form; may be repeated [default: all; with --all-local broadcast]
    #[arg(long, value_name = "NAME", value_parser = forms())]
    pub(in crate::cli) form: Vec<Question>,
    /// Then listen for announcements and requests
    #[arg(long, value_name = "SECONDS", default_value = "0", hide_default_value = true,
        value_parser = clap::value_parser!(u32).range(..=86_400))]
    pub(in crate::cli) listen: u32,
    /// The sender, an address of this host or 0.0.0.0 [default: as the kernel would choose]
    #[arg(long, value_name = "IP")]
    pub(in crate::cli) from: Option<Ipv4Addr>,
    /// How often each question is asked
    #[arg(long, value_name = "N", default_value = "2",
        value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(in crate::cli) retry: u32,
    /// Milliseconds that answers are waited for, after each time
    #[arg(long, value_name = "MS", default_value = "500",
        value_parser = clap::value_parser!(u32).range(1..=60_000))]
    pub(in crate::cli) timeout: u32,
    /// At most this many frames a second
    #[arg(long, value_name = "R", default_value = "1000",
        value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(in crate::cli) rate: u32,
}

impl Probe {
    /// What is named; nothing with `--all-local`.
    pub(in crate::cli) fn prefixes(&self) -> Result<Vec<Ipv4Net>> {
        match self.all_local {
            true => Ok(Vec::new()),
            false => read(&self.ips),
        }
    }

    /// The forms in which is asked, in their order.
    pub(in crate::cli) fn questions(&self) -> Vec<Question> {
        let asked = |question: &Question| match (self.form.is_empty(), self.all_local) {
            (true, true) => *question == Question::Broadcast,
            (true, false) => true,
            (false, _) => self.form.contains(question),
        };
        Question::ALL.iter().copied().filter(asked).collect()
    }
}

fn forms() -> impl TypedValueParser<Value = Question> {
    PossibleValuesParser::new(Question::ALL.iter().map(|form| form.name())).try_map(|name| {
        let form = Question::ALL.iter().find(|form| form.name() == name);
        form.copied().ok_or("there is no such form")
    })
}
