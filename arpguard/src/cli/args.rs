//! The definitions that parsing, help, completions and man pages come from.

mod announce;
mod answer;
mod doctor;
mod explain;
mod probe;
mod promote;

use std::{
    io::{self, Read as _},
    net::SocketAddr,
    path::PathBuf,
};

use arpguard_common::verdict::Reason;
use clap::{
    Args, Parser, Subcommand, ValueEnum, ValueHint,
    builder::{PossibleValuesParser, TypedValueParser},
};
use clap_complete::Shell;
use ipnet::Ipv4Net;

use self::answer::{Answer, Bind, Unanswer, Unbind};
pub(super) use self::{
    announce::Announce,
    doctor::Doctor,
    explain::Explain,
    probe::Probe,
    promote::{Demote, Promote},
};
use super::listen::parse_listen;
use crate::{
    config::Source,
    datapath::Mode,
    error::{Error, Result},
    policy::{Rip, parse_prefix, parse_rip},
    render::Format,
    request::{self, Request},
    terms::{Fallback, HOLD, LONGEST_HOLD},
};

/// Where help shows the options that all commands have.
const GLOBAL: &str = "Options of all commands";

/// Keeps addresses of this host out of ARP, by IP, on a stock kernel.
///
/// A real server of LVS direct routing holds the virtual IP (VIP) but must not be seen to: arpguard
/// drops the requests for it and rewrites the sender of the host's own, with XDP and TC programs
/// that stay in the kernel when the command returns.
#[derive(Debug, Parser)]
#[command(
    version,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    max_term_width = 100
)]
#[command(after_help = "\
Exit status: 0 done, 1 it failed and nothing was changed, 2 wrong usage, 3 probe found a leak, flux
or another fault, doctor something serious, or explain a leak.")]
pub struct Arguments {
    /// Work in this network namespace: a name as `ip netns` knows it, or a path
    #[arg(long, global = true,
        help_heading = GLOBAL, value_name = "NAME|PATH", value_hint = ValueHint::AnyPath)]
    pub(super) netns: Option<String>,
    /// Pin to this BPF file system [default: /sys/fs/bpf, mounted where it is not]
    #[arg(long, global = true,
        help_heading = GLOBAL, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(super) bpffs: Option<PathBuf>,
    /// Where the agent is asked that holds the state, since nothing can be pinned [default:
    /// /run/arpguard/, by network namespace]
    #[arg(long, global = true,
        help_heading = GLOBAL, value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub(super) socket: Option<PathBuf>,
    /// How to print
    #[arg(
        short,
        long,
        global = true,
        help_heading = GLOBAL,
        value_enum,
        default_value = "table",
        value_name = "FORMAT"
    )]
    pub(super) output: Format,
    #[command(subcommand)]
    pub(super) verb: Verb,
}

/// What is done.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    #[command(flatten)]
    Policy(Policy),
    /// Make the policy that files declare true, and keep it so while devices and addresses change
    Run(Run),
    /// Show each frame that was dropped, rewritten or answered, as it happens
    Monitor(Monitor),
    /// Ask the LAN who has addresses, in every form that is known to leak
    Probe(Probe),
    /// Find what gives addresses of this host away, or stands in arpguard's way, and what mends it
    Doctor(Doctor),
    /// Tell what would become of a frame, or of those of a capture, and which rule decides
    Explain(Explain),
    /// Tell the LAN that addresses are here: gratuitous ARP
    Announce(Announce),
    /// Print the completions for a shell
    Completions(Completions),
    /// Print the man page, or write those of all commands to a directory
    Man(Man),
}

/// What is done with the policy.
#[derive(Debug, Subcommand)]
pub(super) enum Policy {
    /// Hide addresses: the LAN never learns from this host that it has them
    Hide(Hide),
    /// Hide addresses no longer
    Unhide(Unhide),
    /// Take over as the director of hidden addresses: answer for them, and announce them
    Promote(Promote),
    /// Be their director no longer: hide them again
    Demote(Demote),
    /// Leave addresses to one device: of this host's only it answers and speaks for them
    Pin(Pin),
    /// Leave addresses to every device again
    Unpin(Unpin),
    /// Hold devices to what they own (strong host model), or no longer
    #[command(subcommand)]
    Strict(Strict),
    /// Reply for addresses on a device, whoever has them
    Answer(Answer),
    /// Reply for addresses no longer
    Unanswer(Unanswer),
    /// Let only one hardware address claim addresses: ARP of any other is dropped
    Bind(Bind),
    /// Let everybody claim addresses again
    Unbind(Unbind),
    /// Show the rules: what is hidden, pinned, answered and bound, and which devices are strict
    List,
    /// Show the guarded devices, how they are guarded, and what was done to how many frames
    Status,
    /// Make the policy what files say: nothing else is hidden, no other device guarded
    Apply(Apply),
    /// Print the policy as a file that `apply` reads
    #[command(after_help = SAVE_EXAMPLES)]
    Save,
    /// Remove all policies; the programs stay attached
    Flush,
    /// Remove everything from the kernel
    Detach,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  arpguard hide 192.168.18.101 --rip 192.168.18.10
  arpguard hide 192.168.18.101 --rip auto --add-to lo
  arpguard hide 10.1.0.0/24 --dev eth0 --audit")]
pub(super) struct Hide {
    /// Addresses and prefixes; - reads them from standard input
    #[arg(required = true, value_name = "VIP", value_parser = targets)]
    vips: Vec<Targets>,
    /// The sender of this host's own requests in place of the VIP; auto: the outgoing device's
    /// primary address in the subnet of the target
    #[arg(long, value_name = "RIP|auto", default_value = "auto", value_parser = parse_rip)]
    rip: Rip,
    /// Only on this device; may be repeated [default: every device that speaks ARP]
    #[arg(long, value_name = "IF")]
    dev: Vec<String>,
    /// Once they are hidden, add the VIPs to this device
    #[arg(long, value_name = "DEV")]
    add_to: Option<String>,
    /// Keep other machines' claims of the VIPs from this host's address-conflict daemons
    #[arg(long)]
    shield: bool,
    /// Count what would be done, and let the frames go
    #[arg(long)]
    audit: bool,
    /// Hide even an address that the LAN knows this host by
    #[arg(long)]
    force: bool,
    /// Where received frames are judged [default: as it is, or the best that works]
    #[arg(
        long,
        value_enum,
        value_name = "MODE",
        default_value = "auto",
        hide_default_value = true
    )]
    attach: Attach,
}

#[derive(Debug, Args)]
pub(super) struct Unhide {
    /// Addresses and prefixes, as they were hidden; - reads them from standard input
    #[arg(required = true, value_name = "VIP", value_parser = targets)]
    vips: Vec<Targets>,
    /// Only on this device; may be repeated [default: wherever they are hidden]
    #[arg(long, value_name = "IF")]
    dev: Vec<String>,
    /// Before they are seen, remove the VIPs from this device
    #[arg(long, value_name = "DEV")]
    del_from: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  arpguard pin 192.168.18.102 --dev eth3
  arpguard pin 192.168.18.102 --dev eth3 --fallback eth4 --hold 30
  arpguard pin 10.211.55.14 --dev eth1 --route
  arpguard pin 192.168.18.96/28 --dev eth3 --audit")]
pub(super) struct Pin {
    /// Addresses and prefixes; - reads them from standard input
    #[arg(required = true, value_name = "IP", value_parser = targets)]
    ips: Vec<Targets>,
    /// The device that alone answers and speaks for them
    #[arg(long, value_name = "IF")]
    dev: String,
    /// Where `arpguard run` moves them, and announces them, while that device has no carrier
    #[arg(long, value_name = "IF")]
    fallback: Option<String>,
    /// For how many seconds the device has to hold its carrier before they move back
    #[arg(long, value_name = "SECONDS", default_value_t = HOLD, requires = "fallback",
        value_parser = clap::value_parser!(u32).range(..=i64::from(LONGEST_HOLD)))]
    hold: u32,
    /// Let replies from them leave by the device where they are: an `ip rule` and a table
    #[arg(long)]
    route: bool,
    /// Count what would be done, and let the frames go
    #[arg(long)]
    audit: bool,
    /// Pin even what leaves another device without an address to speak with
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Args)]
pub(super) struct Unpin {
    /// Addresses and prefixes, as they were pinned; - reads them from standard input
    #[arg(required = true, value_name = "IP", value_parser = targets)]
    ips: Vec<Targets>,
}

/// Whether devices are held to what they own.
#[derive(Debug, Subcommand)]
pub(super) enum Strict {
    /// Each device answers and speaks only for what it owns and what is pinned to it
    On(StrictOn),
    /// Each answers and speaks for every address of the host, as the kernel has it
    Off(StrictOff),
}

#[derive(Debug, Args)]
#[command(after_help = "\
What a device owns is what it had when a command last ran; `arpguard run` follows it. Name the devices
where some without addresses lead to containers, which would be silent, and see the README's limits
where there are VLANs or macvlan devices.

Examples:
  arpguard strict on
  arpguard strict on --dev eth3 --dev eth4 --same-subnet")]
pub(super) struct StrictOn {
    /// Only this device; may be repeated [default: every device that speaks ARP]
    #[arg(long, value_name = "IF")]
    dev: Vec<String>,
    /// Answer only who asks from a subnet of the device
    #[arg(long)]
    same_subnet: bool,
    /// Count what would be done, and let the frames go
    #[arg(long)]
    audit: bool,
}

#[derive(Debug, Args)]
pub(super) struct StrictOff {
    /// Only this device; may be repeated [default: wherever it is on]
    #[arg(long, value_name = "IF")]
    dev: Vec<String>,
}

const SAVE_EXAMPLES: &str = "\
Examples:
  arpguard save > /etc/arpguard/arpguard.toml
  arpguard --netns blue save | arpguard --netns green apply /dev/stdin";

#[derive(Debug, Args)]
#[command(after_help = "\
Rules are added or replaced before any is removed, so an address that both the old policy and the
new one hide is hidden throughout. A file with any error changes nothing.

Examples:
  arpguard apply /etc/arpguard/arpguard.toml
  arpguard apply /etc/arpguard/conf.d --dry-run
  arpguard -o json apply --dry-run /etc/arpguard/arpguard.toml

A file:
  devices = [\"eth0\", \"bond*\"]        # default: every device that speaks ARP
  attach  = \"auto\"                    # or native, generic, tc

  [[hide]]
  ip     = [\"192.168.18.101\", \"192.168.19.0/24\"]
  rip    = \"192.168.18.10\"            # default: auto
  dev    = \"eth0\"                     # default: all that are guarded
  shield = true                       # these three are false by default
  audit  = false
  force  = false

  [[pin]]
  ip       = \"192.168.18.96/28\"
  dev      = \"eth3\"
  fallback = \"eth4\"                 # default: none
  hold     = 10                     # seconds
  route    = false

  [[strict]]
  dev = \"eth*\"                       # default: all that are guarded

  [[answer]]
  ip  = \"192.168.18.110\"
  dev = \"eth3\"
  mac = \"02:00:00:00:00:02\"          # default: the device's

  [[bind]]
  ip  = \"192.168.18.1\"
  mac = \"vrrp:51\"")]
pub(super) struct Apply {
    /// Files, and directories whose *.toml are read in the order of their names
    #[arg(required = true, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    paths: Vec<PathBuf>,
    /// Print what would be done, and change nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
With neither a file nor --hide it follows what commands have said. SIGHUP, or a change of a file,
reads the policy again. SIGTERM ends the agent; what is in force stays.

Examples:
  arpguard run --config /etc/arpguard/arpguard.toml --config /etc/arpguard/conf.d
  arpguard run --hide 192.168.18.101 --rip auto
  arpguard run
  arpguard run --config /etc/arpguard/arpguard.toml --metrics 9817")]
pub(super) struct Run {
    /// A file with the policy, or a directory of *.toml; may be repeated [default: keep what is in
    /// force]
    #[arg(long, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub(super) config: Vec<PathBuf>,
    /// Hide these addresses and prefixes, in place of a file
    #[arg(long, value_name = "VIP", value_parser = parse_prefix, num_args = 1.., conflicts_with = "config")]
    pub(super) hide: Vec<Ipv4Net>,
    /// The sender in place of them
    #[arg(long, value_name = "RIP|auto", default_value = "auto", value_parser = parse_rip, requires = "hide")]
    pub(super) rip: Rip,
    /// At the end, remove everything from the kernel
    #[arg(long)]
    pub(super) detach_on_exit: bool,
    /// Serve /metrics and /healthz at IP:PORT, or on 127.0.0.1 at PORT [default: nowhere]
    #[arg(long, value_name = "ADDR", value_parser = parse_listen)]
    pub(super) metrics: Option<SocketAddr>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  arpguard monitor --dev eth0
  arpguard monitor --reason hidden_request --reason hidden_probe
  arpguard monitor --json --count 100")]
pub(super) struct Monitor {
    /// Only this device [default: every guarded one]
    #[arg(long, value_name = "IF")]
    pub(super) dev: Option<String>,
    /// Only what has this reason; may be repeated [default: all but permitted]
    #[arg(long, value_name = "NAME", value_parser = reasons())]
    pub(super) reason: Vec<Reason>,
    /// End after this many
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) count: Option<u64>,
    /// At most this many a second of one device and policy on each CPU; the rest is counted
    #[arg(
        long,
        value_name = "R",
        default_value = "1000",
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    pub(super) rate: u32,
    /// Short for --output json: one object a line
    #[arg(long)]
    pub(super) json: bool,
}

/// The reasons by name, without the one that there are no events for.
fn reasons() -> impl TypedValueParser<Value = Reason> {
    let names = Reason::ALL
        .iter()
        .filter(|reason| !matches!(reason, Reason::Permitted));
    PossibleValuesParser::new(names.map(|reason| reason.name())).try_map(|name| {
        let reason = Reason::ALL.iter().find(|reason| reason.name() == name);
        reason.copied().ok_or("there is no such reason")
    })
}

#[derive(Debug, Args)]
pub(super) struct Completions {
    /// The shell
    pub(super) shell: Shell,
}

#[derive(Debug, Args)]
pub(super) struct Man {
    /// Where to write the pages
    #[arg(value_hint = ValueHint::DirPath)]
    pub(super) directory: Option<PathBuf>,
}

/// Which ingress hook to take.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Attach {
    /// The best that works
    Auto,
    /// XDP in the driver
    Native,
    /// XDP behind the driver
    Generic,
    /// The TC ingress hook
    Tc,
}

impl From<Attach> for Mode {
    fn from(attach: Attach) -> Self {
        match attach {
            Attach::Auto => Self::Auto,
            Attach::Native => Self::Native,
            Attach::Generic => Self::Generic,
            Attach::Tc => Self::Tc,
        }
    }
}

/// One word that names addresses.
#[derive(Clone, Copy, Debug)]
enum Targets {
    One(Ipv4Net),
    StandardInput,
}

impl Policy {
    /// The request that it is, with all that there is to read.
    pub(super) fn request(self) -> Result<Request> {
        Ok(match self {
            Self::Hide(hide) => Request::Hide(request::Hide {
                prefixes: read(&hide.vips)?,
                rip: hide.rip,
                dev: hide.dev,
                add_to: hide.add_to,
                shield: hide.shield,
                audit: hide.audit,
                force: hide.force,
                attach: hide.attach.into(),
            }),
            Self::Unhide(unhide) => Request::Unhide(request::Unhide {
                prefixes: read(&unhide.vips)?,
                dev: unhide.dev,
                del_from: unhide.del_from,
            }),
            Self::Promote(promote) => Request::Promote(promote.request()?),
            Self::Demote(demote) => Request::Demote(demote.request()?),
            Self::Pin(pin) => Request::Pin(request::Pin {
                prefixes: read(&pin.ips)?,
                dev: pin.dev,
                fallback: pin.fallback.map(|dev| Fallback {
                    dev,
                    hold: pin.hold,
                }),
                route: pin.route,
                audit: pin.audit,
                force: pin.force,
            }),
            Self::Unpin(unpin) => Request::Unpin(request::Unpin {
                prefixes: read(&unpin.ips)?,
            }),
            Self::Strict(Strict::On(on)) => Request::StrictOn(request::StrictOn {
                dev: on.dev,
                same_subnet: on.same_subnet,
                audit: on.audit,
            }),
            Self::Strict(Strict::Off(off)) => {
                Request::StrictOff(request::StrictOff { dev: off.dev })
            }
            Self::Answer(answer) => answer.request()?,
            Self::Unanswer(unanswer) => unanswer.request()?,
            Self::Bind(bind) => bind.request()?,
            Self::Unbind(unbind) => unbind.request()?,
            Self::List => Request::List,
            Self::Status => Request::Status,
            Self::Apply(apply) => Request::Apply(request::Apply {
                sources: Source::read(&apply.paths)?,
                dry_run: apply.dry_run,
            }),
            Self::Save => Request::Save,
            Self::Flush => Request::Flush,
            Self::Detach => Request::Detach,
        })
    }
}

fn read(words: &[Targets]) -> Result<Vec<Ipv4Net>> {
    let mut prefixes = Vec::new();
    for word in words {
        match word {
            Targets::One(prefix) => prefixes.push(*prefix),
            Targets::StandardInput => {
                let mut text = String::new();
                io::stdin().read_to_string(&mut text).map_err(|cause| {
                    Error::from_cause("read addresses", "standard input", &cause)
                })?;
                parse_lines(&text, &mut prefixes)?;
            }
        }
    }
    prefixes.sort_unstable();
    prefixes.dedup();
    if prefixes.is_empty() {
        return Err(Error::new("read addresses", "standard input", "there are none").usage());
    }
    Ok(prefixes)
}

/// Addresses and prefixes, separated by white space; the rest of a line after `#` does not count.
fn parse_lines(text: &str, prefixes: &mut Vec<Ipv4Net>) -> Result<()> {
    for (number, line) in text.lines().enumerate() {
        let words = line.split('#').next().unwrap_or_default();
        for word in words.split_whitespace() {
            prefixes.push(parse_prefix(word).map_err(|why| {
                let place = format!("standard input, line {}", number + 1);
                Error::new("read addresses", place, format!("{word}: {why}")).usage()
            })?);
        }
    }
    Ok(())
}

fn targets(word: &str) -> Result<Targets, String> {
    if word == "-" {
        Ok(Targets::StandardInput)
    } else {
        parse_prefix(word).map(Targets::One)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_lines_with_comments_and_tells_where_one_is_wrong() {
        let mut prefixes = Vec::new();
        parse_lines(
            "10.0.0.1 10.0.0.2 # two\n\n#none\n10.1.0.0/16\n",
            &mut prefixes,
        )
        .unwrap();
        let text: Vec<_> = prefixes.iter().map(ToString::to_string).collect();
        assert_eq!(text, ["10.0.0.1/32", "10.0.0.2/32", "10.1.0.0/16"]);
        let error = parse_lines("10.0.0.1\n10.0.0\n", &mut prefixes).unwrap_err();
        assert_eq!(
            error.to_string(),
            "read addresses: standard input, line 2: 10.0.0: not an IPv4 address or prefix"
        );
        assert!(error.is_usage);
    }

    #[test]
    fn the_definitions_are_sound() {
        use clap::CommandFactory as _;
        Arguments::command().debug_assert();
    }
}
