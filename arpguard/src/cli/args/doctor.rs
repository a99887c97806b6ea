//! The arguments of `arpguard doctor`.

use clap::Args;

#[derive(Debug, Args)]
#[command(after_help = "\
It looks at addresses, net.ipv4.conf, devices, rules and processes of this network namespace, and
changes nothing. What it may not see without privileges it says. How serious a finding is:
  serious  an address is seen that is to be hidden, or nothing can be hidden
  warning  something leaks or breaks that may not have been meant to
  note     good to know
  device   what can be attached to it, and what --attach auto takes of that

Exit status: 0 nothing serious, 1 it failed, 2 wrong usage, 3 something serious was found.

Examples:
  arpguard doctor
  arpguard -o json doctor --dev eth0")]
pub(in crate::cli) struct Doctor {
    /// Only this device; may be repeated [default: every device that speaks ARP]
    #[arg(long, value_name = "IF")]
    pub(in crate::cli) dev: Vec<String>,
}
