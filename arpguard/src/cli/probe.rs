//! `arpguard probe`

mod targets;

use std::{
    collections::BTreeSet,
    fmt::Display,
    io::{Write as _, stderr},
    net::Ipv4Addr,
    process::ExitCode,
    time::Duration,
};

use arpguard_common::{policy::View, verdict::Mode};

use self::targets::{addresses, check, singles, subnets};
use super::{Context, FOUND, args, print};
use crate::{
    arp::{self, Answers, Expectation, Outcome, Probe, findings},
    device::Device,
    doctor::Policy,
    error::{Error, Result},
    host::{self, Host},
    render::{
        Format, Page,
        probe::{Found, json, table},
    },
};

const PROBE: &str = "probe";
const ITSELF: &str = "this host has it, and no host hears itself";

pub(super) async fn run(context: &Context, arguments: args::Probe) -> Result<ExitCode> {
    let Context {
        netlink, format, ..
    } = context;
    let host = Host::observe(netlink).await?;
    let prefixes = arguments.prefixes()?;
    check(&prefixes)?;
    let device = arp::fit(&host, &arguments.dev, "probe on")?;
    let prefixes = match arguments.all_local {
        true => subnets(device)?,
        false => prefixes,
    };
    let targets = addresses(&prefixes).map_err(|error| match arguments.all_local {
        true => error.advise("name a part of them instead"),
        false => error.usage(),
    })?;
    check_sender(&host, arguments.from)?;
    let named = singles(&prefixes);
    let expected = arguments.expect;
    if let Some((address, why)) = unheard(context, &host, device, &targets, &named, expected).await
    {
        return Err(Error::new(PROBE, address, why).advise("probe from another host"));
    }
    let probe = Probe {
        targets: targets.into_iter().collect(),
        questions: arguments.questions(),
        from: arguments.from,
        stations: host::neighbours(netlink, device.index).await?,
        tries: arguments.retry,
        timeout: Duration::from_millis(arguments.timeout.into()),
        rate: arguments.rate,
        listen: arguments.listen,
    };
    remark_on_senders(&host, device, &probe, &named);
    let mut answers = Answers::default();
    let ended = probe.run(device, &mut answers);
    let expected = expected.unwrap_or(Expectation::One);
    let mut found = findings(&answers, &probe.targets, &named, expected);
    if arguments.all_local {
        found.retain(|finding| finding.outcome == Outcome::Flux);
    }
    if ended.is_err() {
        // What was heard is true. That somebody is silent is not known.
        found.retain(|finding| finding.claim.is_some());
    }
    if ended.is_ok() || !found.is_empty() {
        let found = Found::new(&found, &probe.questions, probe.targets.len());
        let Page { format, width } = Page::standard(*format);
        print(|out| match format {
            Format::Table => table(out, &found, arguments.all_local, width),
            Format::Json => json(out, &found),
        })?;
    }
    remark_on_answers(&answers);
    ended?;
    Ok(
        match found.iter().any(|finding| finding.outcome.is_fault()) {
            true => ExitCode::from(FOUND),
            false => ExitCode::SUCCESS,
        },
    )
}

/// Whoever is asked takes the sender of a question for this host.
fn check_sender(host: &Host, from: Option<Ipv4Addr>) -> Result<()> {
    match from {
        Some(from) if !from.is_unspecified() && host.owner(from).is_none() => Err(Error::new(
            "ask in the name of",
            from,
            "this host does not have the address, and whoever is asked would believe it has",
        )
        .advise("name one that it has, or 0.0.0.0")),
        _ => Ok(()),
    }
}

/// An address of which this host cannot know who answers for it, and why.
async fn unheard(
    context: &Context,
    host: &Host,
    device: &Device,
    targets: &BTreeSet<Ipv4Addr>,
    named: &BTreeSet<Ipv4Addr>,
    expected: Option<Expectation>,
) -> Option<(Ipv4Addr, &'static str)> {
    if let Some(shielded) = shielded(context, device, targets).await {
        let why = "this host shields it, and so does not hear who claims it";
        return Some((shielded, why));
    }
    expected?;
    let own = named
        .iter()
        .find(|address| host.owner(**address).is_some())?;
    Some((*own, ITSELF))
}

/// An address whose claims arpguard keeps from this host, as far as this process may know that.
async fn shielded(
    context: &Context,
    device: &Device,
    targets: &BTreeSet<Ipv4Addr>,
) -> Option<Ipv4Addr> {
    let mut targets = targets.iter().copied();
    if let Some(agent) = context.agent().await.ok()? {
        let policy = Policy::of(agent).await.ok()?;
        return targets.find(|address| {
            let rule = policy.rule(&device.name, *address);
            rule.is_some_and(|rule| rule.shield && !rule.audit)
        });
    }
    let reader = context.glimpse().await?;
    let view = View::new(&reader.datapath()?.maps, device.index);
    targets.find(|address| {
        let rule = view.rule(*address);
        rule.is_some_and(|rule| rule.shields() && rule.mode() == Mode::Enforce)
    })
}

fn remark_on_senders(host: &Host, device: &Device, probe: &Probe, named: &BTreeSet<Ipv4Addr>) {
    let target = probe.targets.first().copied();
    let sender = target.and_then(|target| arp::sender(device, target));
    if probe.from.is_none() && sender.is_none() {
        let what = "it has no address, so questions are asked in the name of 0.0.0.0";
        remark(&device.name, what);
    }
    for address in named {
        if host.owner(*address).is_some() {
            remark(address, ITSELF);
        }
    }
}

fn remark_on_answers(answers: &Answers) {
    if answers.narrowed {
        let what = "only those that claim an address were asked for it: of all addresses and \
                    stations there are too many pairs";
        remark("unicast", what);
    }
    if answers.overflowed {
        remark("answers", "more were heard than are kept");
    }
}

fn remark(subject: impl Display, what: &str) {
    // Standard error may be closed; there is nowhere else to say it.
    let _ = writeln!(stderr(), "arpguard: {PROBE}: {subject}: {what}");
}
