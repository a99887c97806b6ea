//! `arpguard monitor`

use std::{
    io::{Write as _, stderr},
    time::Duration,
};

use arpguard_common::abi::Event;

use super::{
    Context, args,
    lines::{Lines, Written},
};
use crate::{
    datapath::{Events, Interest, Left, Store},
    error::{Error, Result},
    host::{Host, Names},
    interrupt, policy,
    render::{Format, events as render},
    session,
};

/// How often a signal, a closed pipe or a detached namespace is looked for.
const PAUSE: Duration = Duration::from_millis(100);

pub(super) async fn run(context: &Context, arguments: args::Monitor) -> Result<()> {
    let store = store(context).await?;
    let interest = Interest {
        device: device(context, &store, arguments.dev.as_deref()).await?,
        reasons: arguments.reason,
        rate: arguments.rate,
    };
    let mut events = Events::listen(&store, &interest)?;
    let mut shown = Shown {
        format: match arguments.json {
            true => Format::Json,
            false => context.format,
        },
        lines: Lines::new(),
        names: Names::default(),
        room: arguments.count.unwrap_or(u64::MAX),
        left: Left::default(),
    };
    let ended = follow(&mut events, &mut shown).await;
    shown.left.add(events.left()?);
    tell(shown.left, events.gap(), interest.rate);
    ended
}

/// The state, as far as it is pinned.
async fn store(context: &Context) -> Result<Store> {
    if context.agent().await?.is_some() {
        let why = "its agent holds the state, and nobody else can read its events";
        return Err(Error::new("monitor", "this network namespace", why)
            .advise("give the agent a BPF file system to pin to, with --bpffs"));
    }
    context.pins().map(Store::Pinned)
}

/// The interface index of the device that is meant, of those that are guarded.
async fn device(context: &Context, store: &Store, name: Option<&str>) -> Result<Option<u32>> {
    let reader = session::open(store, &context.netlink).await?;
    let Some(datapath) = reader.datapath() else {
        let why = "arpguard is not loaded there, so nothing is judged";
        return Err(Error::new("monitor", "this network namespace", why)
            .advise("hide an address first: arpguard hide VIP"));
    };
    let Some(name) = name else {
        return Ok(None);
    };
    let host = Host::observe(&context.netlink).await?;
    let device = policy::existing(&host, name)?;
    if datapath.maps.known_devices()?.contains(&device.index) {
        return Ok(Some(device.index));
    }
    Err(Error::new("monitor", name, "it is not guarded")
        .advise("`arpguard status` shows which devices are"))
}

/// Shows events until there is a reason to end.
async fn follow(events: &mut Events, shown: &mut Shown) -> Result<()> {
    while !interrupt::requested() {
        match events.next(PAUSE).await? {
            Some(event) => match shown.show(&event)? {
                Written::Yes if shown.room > 0 => {}
                Written::Yes | Written::Closed => {
                    events.stop();
                    return Ok(());
                }
                Written::Interrupted => break,
            },
            None if shown.lines.is_closed() => {
                events.stop();
                return Ok(());
            }
            None => events.check()?,
        }
    }
    // What was written before the end belongs to it.
    events.stop();
    while let Some(event) = events.take()? {
        if shown.show(&event)? != Written::Yes || shown.room == 0 {
            break;
        }
    }
    while events.take()?.is_some() {
        shown.left.lost += 1;
    }
    Ok(())
}

struct Shown {
    format: Format,
    lines: Lines,
    names: Names,
    /// How many events more are to be shown.
    room: u64,
    left: Left,
}

impl Shown {
    fn show(&mut self, event: &Event) -> Result<Written> {
        self.left.add(Left {
            suppressed: event.suppressed,
            lost: event.lost,
        });
        let name = self.names.of(event.device);
        let line = match self.format {
            Format::Table => render::line(event, name),
            Format::Json => render::json(event, name)
                .map_err(|cause| Error::from_cause("write", "an event", &cause))?,
        };
        let written = self.lines.write(&line)?;
        match written {
            Written::Yes => self.room -= 1,
            Written::Interrupted => self.left.lost += 1,
            Written::Closed => {}
        }
        Ok(written)
    }
}

/// Tells what was not shown, if anything.
fn tell(left: Left, gap: Duration, rate: u32) {
    let Left { suppressed, lost } = left;
    let mut parts = Vec::new();
    if suppressed > 0 {
        parts.push(format!(
            "{suppressed} suppressed (more than {rate} a second of one device and policy; --rate)"
        ));
    }
    if lost > 0 {
        parts.push(format!("{lost} lost (faster than they were read)"));
    }
    if !gap.is_zero() {
        let seconds = gap.as_secs_f32();
        parts.push(format!("none in {seconds:.1} s while this was stopped"));
    }
    if !parts.is_empty() {
        // Standard error may be closed; there is nowhere else to say it.
        let _ = writeln!(
            stderr(),
            "arpguard: monitor: events that were not shown: {}",
            parts.join(", ")
        );
    }
}
