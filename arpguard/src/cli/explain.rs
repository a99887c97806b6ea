//! `arpguard explain`

use std::{net::Ipv4Addr, path::Path, process::ExitCode};

use super::{Context, FOUND, args, check_privileges, lines::Lines, print};
use crate::{
    datapath::{Pins, Store},
    device::Device,
    error::{Error, Result},
    explain::{Account, Capture, Facts, Form, Heard, Judgement, Made, Question, Subject, sender},
    interrupt, policy,
    progress::Progress,
    render::{
        Format, Page,
        explain::{Counts, json, line, paragraph},
    },
    request::Request,
};

const EXPLAIN: &str = "explain";
/// How many frames of a capture are judged at a time.
const BATCH: usize = 4096;

pub(super) async fn run(context: &Context, arguments: args::Explain) -> Result<ExitCode> {
    let mut facts = Facts::observe(&context.netlink).await?;
    let is_leak = match (arguments.made()?, &arguments.pcap) {
        (Some(made), _) => one(context, &mut facts, &made, arguments.dev.as_deref()).await?,
        (None, Some(path)) => capture(context, &mut facts, path, &arguments).await?,
        (None, None) => {
            return Err(Error::new(EXPLAIN, "-", "no address and no capture is named").usage());
        }
    };
    Ok(match is_leak {
        true => ExitCode::from(FOUND),
        false => ExitCode::SUCCESS,
    })
}

/// Has the programs judge: by the agent that holds them, or those that are pinned. Nothing is mounted
/// to find them.
async fn judge(context: &Context, question: Question) -> Result<Judgement> {
    if let Some(agent) = context.agent().await? {
        let page = Page {
            format: Format::Json,
            width: None,
        };
        let reply = agent.ask(page, Request::Judge(question)).await?;
        reply.outcome?;
        return serde_json::from_str(&reply.output)
            .map_err(|cause| Error::from_cause("read the answer of the agent", EXPLAIN, &cause));
    }
    check_privileges()?;
    match Pins::find(context.bpffs.as_deref(), &context.identity)? {
        Some(pins) => question.judge(&Store::Pinned(pins), &context.netlink).await,
        None => Ok(question.unguarded()),
    }
}

/// Gives account of one frame, on a device or on each.
async fn one(
    context: &Context,
    facts: &mut Facts,
    made: &Made,
    device: Option<&str>,
) -> Result<bool> {
    let names: Vec<_> = device.map(str::to_owned).into_iter().collect();
    let devices: Vec<_> = policy::devices(&facts.host, &names)?
        .into_iter()
        .cloned()
        .collect();
    let mut accounts = Vec::new();
    for device in devices {
        let frame = made.on(&facts.host, &device)?;
        let heard = Heard::read(&frame)
            .ok_or_else(|| Error::new(EXPLAIN, made.address, "no frame could be made about it"))?;
        let asks = made.is_sent && made.form == Form::Request;
        let target = heard.arp().map_or(Ipv4Addr::UNSPECIFIED, |arp| arp.tpa);
        let pair = (made.address, target);
        let subject = Subject {
            number: None,
            is_cut: false,
            frame,
            heard,
            sender: asks.then(|| sender(&facts.host, &device, &facts.sysctls, pair)),
        };
        let way = (&device, made.is_sent);
        let judged = async |question| judge(context, question).await;
        accounts.extend(facts.accounts(way, vec![subject], judged).await?);
    }
    let Page { format, width } = Page::standard(context.format);
    print(|out| {
        for (number, account) in accounts.iter().enumerate() {
            match format {
                Format::Json => json(out, account, &facts.host)?,
                Format::Table => {
                    if number > 0 {
                        writeln!(out)?;
                    }
                    paragraph(out, account, &facts.host, width)?;
                }
            }
        }
        Ok(())
    })?;
    Ok(accounts.iter().any(|account| account.leak().is_some()))
}

/// Gives account of the frames of a capture.
async fn capture(
    context: &Context,
    facts: &mut Facts,
    path: &Path,
    arguments: &args::Explain,
) -> Result<bool> {
    let device = captured_on(facts, arguments.dev.as_deref())?;
    let mut capture = Capture::open(path)?;
    let mut counts = Counts::default();
    let mut progress = Progress::of_frames();
    loop {
        interrupt::check()?;
        let (subjects, is_end) = batch(&mut capture, &mut counts)?;
        progress.grow(subjects.len());
        let way = (&device, arguments.sent);
        let judged = async |question| judge(context, question).await;
        let accounts = facts.accounts(way, subjects, judged).await?;
        for account in &accounts {
            counts.add(account);
            progress.step();
        }
        print_lines(context.format, &accounts, facts)?;
        // A reader that has gone away, as `head` does, needs no more.
        if is_end || Lines::new().is_closed() {
            break;
        }
    }
    drop(progress);
    if context.format == Format::Table {
        print(|out| writeln!(out, "{}", counts.line(&device.name)))?;
    }
    Ok(counts.leaks > 0)
}

fn print_lines(format: Format, accounts: &[Account], facts: &Facts) -> Result<()> {
    print(|out| {
        for account in accounts {
            match format {
                Format::Json => json(out, account, &facts.host)?,
                Format::Table => line(out, account)?,
            }
        }
        Ok(())
    })
}

/// As many frames as are judged at a time, and whether they are the last.
fn batch(capture: &mut Capture, counts: &mut Counts) -> Result<(Vec<Subject>, bool)> {
    let mut subjects = Vec::new();
    while subjects.len() < BATCH {
        let Some(captured) = capture.take()? else {
            return Ok((subjects, true));
        };
        match Heard::read(&captured.bytes) {
            Some(heard) => subjects.push(Subject {
                number: Some(captured.number),
                is_cut: captured.is_cut,
                frame: captured.bytes,
                heard,
                sender: None,
            }),
            None => counts.others += 1,
        }
    }
    Ok((subjects, false))
}

/// The device that a capture is taken to be of.
fn captured_on(facts: &Facts, name: Option<&str>) -> Result<Device> {
    if let Some(name) = name {
        return policy::guardable(&facts.host, name).cloned();
    }
    match policy::devices(&facts.host, &[])?.as_slice() {
        [device] => Ok((*device).clone()),
        devices => {
            let names: Vec<_> = devices.iter().map(|device| device.name.as_str()).collect();
            let why = "a capture does not tell which device it is of";
            Err(Error::new(EXPLAIN, "--pcap", why)
                .advise(format!("name one with --dev: {}", names.join(", ")))
                .usage())
        }
    }
}
