//! `arpguard answer`, `arpguard unanswer`

use std::{collections::BTreeSet, net::Ipv4Addr, slice, time::Duration};

use arpguard_common::{verdict::Policy, wire::Mac};
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use super::{
    Context,
    set::{Beside, mode, set_with},
    unset::unset,
};
use crate::{
    arp::{Answers, Probe, Question},
    check::Check,
    datapath::Mode,
    device::Device,
    error::{Error, Result},
    host::Host,
    policy::{self, Block, Kind, Placed},
    session::Session,
};

const ANSWER: &str = "answer";
/// Of how many addresses the LAN is asked who has them.
const MOST: usize = 4096;
/// How often each is asked for, since one question may be lost.
const TRIES: u32 = 2;
/// How long answers are waited for, after each time.
const TIMEOUT: Duration = Duration::from_millis(300);
/// Questions a second.
const RATE: u32 = 2000;

/// What to answer for, and how.
#[derive(Debug, Deserialize, Serialize)]
pub struct Answer {
    /// The addresses (of length 32) and prefixes.
    pub prefixes: Vec<Ipv4Net>,
    /// The devices to answer on.
    pub dev: Vec<String>,
    /// What must hold; `None` for nothing.
    pub when: Option<Check>,
    /// The hardware address to answer with; `None` for the device's own.
    pub mac: Option<[u8; 6]>,
    /// Whether only to count what would be done.
    pub audit: bool,
    /// Whether to answer for what another machine has.
    pub force: bool,
}

/// What to answer for no longer.
#[derive(Debug, Deserialize, Serialize)]
pub struct Unanswer {
    /// The addresses (of length 32) and prefixes, as they were answered.
    pub prefixes: Vec<Ipv4Net>,
    /// The only devices; wherever they are answered where there are none.
    pub dev: Vec<String>,
}

impl Answer {
    pub(super) async fn perform(self, context: &Context<'_>) -> Result<()> {
        let block = Block {
            kind: Kind::Answer {
                mac: self.mac.map(Mac),
                deferred: self.when.is_some(),
            },
            prefixes: self.prefixes,
            mode: mode(self.audit),
            force: self.force,
        };
        policy::check(slice::from_ref(&block))?;
        if !self.force {
            // Before anybody has to wait for this: to ask takes a second.
            let host = Host::observe(context.netlink).await?;
            let placed = Placed::named(&block, &host, &self.dev)?;
            let targets = targets(&block.prefixes)?;
            for device in &placed.devices {
                check_free(&host, device, &targets, self.mac.map(Mac))?;
            }
        }
        let mut session = Session::begin(context.store, context.netlink).await?;
        let outcome = change(&mut session, &block, &self.dev, self.when).await;
        session.end(outcome).await
    }
}

impl Unanswer {
    pub(super) async fn perform(self, context: &Context<'_>) -> Result<()> {
        let mut session = Session::begin(context.store, context.netlink).await?;
        let Self { prefixes, dev } = &self;
        let outcome = unset(&mut session, "unanswer", Policy::Answer, prefixes, dev).await;
        session.end(outcome).await
    }
}

async fn change(
    session: &mut Session,
    block: &Block,
    dev: &[String],
    when: Option<Check>,
) -> Result<()> {
    let host = session.host.clone();
    let placed = Placed::named(block, &host, dev)?;
    let guard = placed.devices.iter().copied().cloned().collect();
    let beside = Beside {
        check: when.as_ref(),
        ..Beside::default()
    };
    set_with(session, &placed, beside, guard, Mode::Auto).await?;
    // Nobody has them now, as far as was asked.
    session.forget_claims(&placed.places(), &block.prefixes)
}

/// The addresses of prefixes, each once.
fn targets(prefixes: &[Ipv4Net]) -> Result<Vec<Ipv4Addr>> {
    let mut targets = BTreeSet::new();
    for prefix in prefixes {
        for address in prefix.hosts() {
            targets.insert(address);
            if targets.len() > MOST {
                let prefix = policy::prefix_text(*prefix);
                let why = format!("more than {MOST} addresses are too many to ask the LAN for");
                return Err(Error::new(ANSWER, prefix, why)
                    .advise("use --force if no other machine has one of them"));
            }
        }
    }
    Ok(targets.into_iter().collect())
}

/// Asks the LAN of a device whether another machine has one of the addresses.
fn check_free(host: &Host, device: &Device, targets: &[Ipv4Addr], mac: Option<Mac>) -> Result<()> {
    let probe = Probe {
        targets: targets.to_vec(),
        questions: vec![Question::Probe],
        from: None,
        stations: BTreeSet::new(),
        tries: TRIES,
        timeout: TIMEOUT,
        rate: RATE,
        listen: 0,
    };
    let mut answers = Answers::default();
    probe.run(device, &mut answers)?;
    // With several devices on one LAN, this host hears itself.
    let own: BTreeSet<_> = host
        .devices
        .iter()
        .filter_map(|device| device.mac)
        .collect();
    let is_another = |station: &Mac| !own.contains(station) && Some(*station) != mac;
    let mut claims = answers.pairs.keys();
    match claims.find(|(_, station)| is_another(station)) {
        None => Ok(()),
        Some((address, station)) => {
            let why = format!("{station} has it, on {}", device.name);
            Err(Error::new(ANSWER, address, why)
                .advise("use --force if arpguard is to answer all the same"))
        }
    }
}
