//! The arguments of `arpguard promote` and `arpguard demote`.

use std::time::Duration;

use clap::Args;

use super::{
    Targets,
    announce::{seconds, single},
    targets,
};
use crate::{error::Result, request};

#[derive(Debug, Args)]
#[command(after_help = "\
`arpguard demote` hides the VIPs again, as they were. Until then neither the agent nor `apply` does;
`arpguard hide` does.

As keepalived's notify_master, with `arpguard demote` as its notify_backup, notify_fault and
notify_stop:
  notify_master \"/usr/bin/arpguard promote 192.168.18.101\"

Examples:
  arpguard promote 192.168.18.101
  arpguard promote 192.168.18.101 --dev eth0 --count 10 --interval 1")]
pub(in crate::cli) struct Promote {
    /// Hidden addresses; - reads them from standard input
    #[arg(required = true, value_name = "VIP", value_parser = targets)]
    vips: Vec<Targets>,
    /// Only on this device; may be repeated [default: wherever they are hidden, and announced on the
    /// device whose subnet they are in]
    #[arg(long, value_name = "IF")]
    dev: Vec<String>,
    /// How many times to announce them; 0: not at all
    #[arg(long, value_name = "N", default_value = "5",
        value_parser = clap::value_parser!(u32).range(0..=100_000))]
    pub(in crate::cli) count: u32,
    /// Seconds between two times
    #[arg(long, value_name = "SECONDS", default_value = "0.2", value_parser = seconds)]
    pub(in crate::cli) interval: Duration,
    /// Promote even what this host does not have
    #[arg(long)]
    pub(in crate::cli) force: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Does nothing where they are not promoted, so that it can be told twice.

Examples:
  arpguard demote 192.168.18.101
  arpguard demote 192.168.18.101 --dev eth0")]
pub(in crate::cli) struct Demote {
    /// Hidden addresses; - reads them from standard input
    #[arg(required = true, value_name = "VIP", value_parser = targets)]
    vips: Vec<Targets>,
    /// Only on this device; may be repeated [default: wherever they are promoted]
    #[arg(long, value_name = "IF")]
    dev: Vec<String>,
}

impl Promote {
    pub(in crate::cli) fn request(&self) -> Result<request::Promote> {
        Ok(request::Promote {
            vips: single(&self.vips, "promote", "promoted")?,
            dev: self.dev.clone(),
        })
    }
}

impl Demote {
    pub(in crate::cli) fn request(self) -> Result<request::Demote> {
        Ok(request::Demote {
            vips: single(&self.vips, "demote", "demoted")?,
            dev: self.dev,
        })
    }
}
