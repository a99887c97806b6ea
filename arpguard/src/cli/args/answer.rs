//! The arguments of `arpguard answer`, `bind` and their opposites.

use arpguard_common::wire::Mac;
use clap::Args;

use super::{Targets, read, targets};
use crate::{
    check::Check,
    error::Result,
    policy::parse_mac,
    request::{self, Request},
};

#[derive(Debug, Args)]
#[command(after_help = "\
The kernel's programs reply, whoever has the address: this host, a container behind it, or nobody. Before
it begins, the LAN is asked, and an address that another machine has is refused; if one is heard later to
have it, arpguard falls silent for it until `answer` is said again. With --force it never asks nor cares.

Examples:
  arpguard answer 192.168.18.101 --dev eth3
  arpguard answer 192.168.18.96/28 --dev eth3 --mac 02:00:00:00:00:02
  arpguard answer 192.168.18.1 --dev eth0 --mac vrrp:51
  arpguard answer 192.168.18.101 --dev eth0 --when tcp:80")]
pub(in crate::cli) struct Answer {
    /// Addresses and prefixes; - reads them from standard input
    #[arg(required = true, value_name = "IP", value_parser = targets)]
    ips: Vec<Targets>,
    /// The device to answer on; may be repeated
    #[arg(long, required = true, value_name = "IF")]
    dev: Vec<String>,
    /// Answer with this hardware address; vrrp:N for a virtual router's [default: the device's]
    #[arg(long, value_name = "MAC", value_parser = parse_mac)]
    mac: Option<Mac>,
    /// Answer only while this holds: tcp:PORT, the address takes connections; else a command of the
    /// shell, which gets ARPGUARD_ADDRESS and ARPGUARD_DEVICE. `arpguard run` makes it, and answers
    #[arg(long, value_name = "CHECK")]
    when: Option<Check>,
    /// Count what would be done, and let the frames go
    #[arg(long)]
    audit: bool,
    /// Answer even for what another machine is seen to have
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Unanswer {
    /// Addresses and prefixes, as they were answered; - reads them from standard input
    #[arg(required = true, value_name = "IP", value_parser = targets)]
    ips: Vec<Targets>,
    /// Only on this device; may be repeated [default: wherever they are answered]
    #[arg(long, value_name = "IF")]
    dev: Vec<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
ARP in which any other hardware address claims the address is dropped before the kernel hears it. It is
for those who ask for a VIP: routers, and clients in its subnet. When the director changes, so must this:
with VRRP name the virtual router's address, which stays.

Examples:
  arpguard bind 192.168.18.101 02:00:00:00:00:02
  arpguard bind 192.168.18.101 vrrp:51 --dev eth0
  arpguard bind 10.1.0.0/24 02:00:00:00:00:02 --audit")]
pub(in crate::cli) struct Bind {
    /// Addresses and prefixes; - reads them from standard input
    #[arg(required = true, value_name = "IP", value_parser = targets)]
    ips: Vec<Targets>,
    /// The hardware address that alone may claim them; vrrp:N for a virtual router's
    #[arg(required = true, value_name = "MAC", value_parser = parse_mac)]
    mac: Mac,
    /// Only on this device; may be repeated [default: every device that speaks ARP]
    #[arg(long, value_name = "IF")]
    dev: Vec<String>,
    /// Count what would be done, and let the frames go
    #[arg(long)]
    audit: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Unbind {
    /// Addresses and prefixes, as they were bound; - reads them from standard input
    #[arg(required = true, value_name = "IP", value_parser = targets)]
    ips: Vec<Targets>,
    /// Only on this device; may be repeated [default: wherever they are bound]
    #[arg(long, value_name = "IF")]
    dev: Vec<String>,
}

impl Answer {
    pub(super) fn request(self) -> Result<Request> {
        Ok(Request::Answer(request::Answer {
            prefixes: read(&self.ips)?,
            dev: self.dev,
            when: self.when,
            mac: self.mac.map(|mac| mac.0),
            audit: self.audit,
            force: self.force,
        }))
    }
}

impl Unanswer {
    pub(super) fn request(self) -> Result<Request> {
        Ok(Request::Unanswer(request::Unanswer {
            prefixes: read(&self.ips)?,
            dev: self.dev,
        }))
    }
}

impl Bind {
    pub(super) fn request(self) -> Result<Request> {
        Ok(Request::Bind(request::Bind {
            prefixes: read(&self.ips)?,
            mac: self.mac.0,
            dev: self.dev,
            audit: self.audit,
        }))
    }
}

impl Unbind {
    pub(super) fn request(self) -> Result<Request> {
        Ok(Request::Unbind(request::Unbind {
            prefixes: read(&self.ips)?,
            dev: self.dev,
        }))
    }
}
