//! The arguments of `arpguard explain`.

use std::{net::Ipv4Addr, path::PathBuf};

use clap::{Args, ValueEnum, ValueHint};

use crate::{
    error::{Error, Result},
    explain::{Form, Made},
};

#[derive(Debug, Args)]
#[command(after_help = "\
The frame is judged by the programs of the device, with the policy that is in force, as if it had
come or were about to go; then by what the kernel says of its settings and routes. Nothing is sent,
and nothing is counted.

A received frame asks for the address, or claims it; a sent one has it as its sender, or probes for
it. The other side is made up where it is not named, as a neighbour.

Exit status: 0 no leak, 1 it failed, 2 wrong usage, 3 a rule is to keep the address out of the
device's ARP, and the LAN would learn of it all the same: the rule only counts, or nothing is
attached.

Examples:
  arpguard explain 192.168.18.101
  arpguard explain 192.168.18.101 --dev eth0 --kind probe
  arpguard explain 192.168.18.101 --dev eth0 --sent --to 192.168.18.1
  arpguard explain 192.168.18.10 --from 192.168.18.101 --dev eth0
  tcpdump -i eth0 -Q in -w arp.pcap arp; arpguard explain --pcap arp.pcap --dev eth0")]
pub(in crate::cli) struct Explain {
    /// The address that the frame is about
    #[arg(value_name = "IP", required_unless_present = "pcap")]
    ip: Option<Ipv4Addr>,
    /// Who asks for it [default: a neighbour]
    #[arg(long, value_name = "IP", conflicts_with = "sent")]
    from: Option<Ipv4Addr>,
    /// Who is asked, or told, by what is sent [default: a neighbour]
    #[arg(long, value_name = "IP", requires = "sent")]
    to: Option<Ipv4Addr>,
    /// Where the frame comes or goes [default: each device that speaks ARP in turn; for a capture the
    /// only one]
    #[arg(long, value_name = "IF")]
    pub(in crate::cli) dev: Option<String>,
    /// This host sends it
    #[arg(long)]
    pub(in crate::cli) sent: bool,
    /// What it is
    #[arg(long, value_enum, default_value = "request")]
    kind: Kind,
    /// It goes to one station, not to all
    #[arg(long)]
    unicast: bool,
    /// Judge the frames of a capture, pcap or pcapng; - reads standard input
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath,
        conflicts_with_all = ["ip", "from", "to", "kind", "unicast"])]
    pub(in crate::cli) pcap: Option<PathBuf>,
}

/// What a frame is.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// Who has the address?
    Request,
    /// Does anybody use it? (RFC 5227)
    Probe,
    /// It is here: gratuitous ARP
    Announcement,
    /// It is here: in answer to a request
    Reply,
}

impl Explain {
    /// The frame that is described; `None` with a capture.
    ///
    /// # Errors
    /// Of usage: where it has no such part as is given.
    pub(in crate::cli) fn made(&self) -> Result<Option<Made>> {
        let Some(address) = self.ip else {
            return Ok(None);
        };
        let form = match self.kind {
            Kind::Request => Form::Request,
            Kind::Probe => Form::Probe,
            Kind::Announcement => Form::Announcement,
            Kind::Reply => Form::Reply,
        };
        let option = if self.sent { "--to" } else { "--from" };
        let other = self.from.or(self.to);
        let why = match form {
            Form::Request => None,
            Form::Probe => Some("a probe has no sender, and asks for the address itself"),
            Form::Announcement => Some("an announcement is about its sender alone"),
            Form::Reply if self.sent => None,
            Form::Reply => Some("a reply comes from the address itself"),
        };
        if let (Some(_), Some(why)) = (other, why) {
            return Err(Error::new("explain", option, why).usage());
        }
        Ok(Some(Made {
            address,
            form,
            other,
            is_sent: self.sent,
            is_unicast: self.unicast,
        }))
    }
}
