//! What is in force now, read from the kernel for whoever asks.
//!
//! It waits for no writer. Nothing is known from what the agent has done, so what somebody has
//! changed by hand is seen too.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use arpguard_common::abi::Shape;
use ipnet::Ipv4Net;
use tokio::{
    sync::Mutex,
    task::{spawn_blocking, spawn_local},
    time::Instant,
};

use super::declared::Declared;
use crate::{
    config::Config,
    datapath::{Attached, Datapath, Maps, Reader, Store},
    device::Device,
    error::{Error, Result},
    host::Host,
    netlink::Netlink,
    plan::{Keep, Mover, Rules, State, away, fault},
    policy::{EVERY_ADDRESS, prefix_text},
    render::{
        metrics::{self, Metrics},
        table::count,
    },
    terms::Numbered,
};

#[derive(Clone)]
pub(super) struct View {
    store: Store,
    netlink: Netlink,
    declared: Declared,
    last: Arc<Mutex<Option<Compared>>>,
}

/// What a comparison has found.
#[derive(Clone)]
struct Compared {
    since: Instant,
    took: Duration,
    found: Found,
}

/// What a look at all rules finds.
#[derive(Clone, Default)]
struct Found {
    /// Why what is declared is not in force; `None` where it is.
    fault: Option<String>,
    /// How many addresses are promoted.
    promoted: u64,
}

/// How old a result may be.
#[derive(Clone, Copy)]
enum Age {
    /// Begun after it was asked for.
    New,
    /// Ten times as old as it took: then who asks often costs no more than a tenth of a CPU.
    Cheap,
}

impl Compared {
    fn serves(&self, asked: Instant, age: Age) -> bool {
        match age {
            Age::New => self.since >= asked,
            Age::Cheap => asked.saturating_duration_since(self.since) <= 10 * self.took,
        }
    }
}

/// What the kernel has, beside the rules.
struct Now {
    host: Host,
    reader: Reader,
    /// The devices that something is attached to, and what.
    devices: Vec<(Device, Attached)>,
}

impl View {
    pub(super) fn new(store: &Store, netlink: Netlink, declared: &Declared) -> Self {
        Self {
            store: store.clone(),
            netlink,
            declared: declared.clone(),
            last: Arc::default(),
        }
    }

    /// Why not all is well; `None` where the files could be read and all that they declare is in
    /// force.
    pub(super) async fn fault(&self) -> Option<String> {
        match self.declared.reading().failure {
            Some(failure) => Some(failure),
            None => self.compared(Instant::now(), Age::New).await.fault,
        }
    }

    /// Everything that is measured.
    pub(super) async fn metrics(&self) -> Result<Metrics> {
        let Found { fault, promoted } = self.compared(Instant::now(), Age::Cheap).await;
        let Now {
            host,
            reader,
            devices,
        } = self.now().await?;
        let datapath = reader.datapath();
        let reading = self.declared.reading();
        let since = reading.at.duration_since(UNIX_EPOCH);
        let devices = devices.into_iter().zip(std::iter::repeat(datapath));
        Ok(Metrics {
            rules: datapath.map(Datapath::rules).unwrap_or_default(),
            moved: datapath
                .map_or_else(|| Ok(BTreeMap::new()), |datapath| moved(datapath, &host))?,
            devices: devices
                .filter_map(|((device, attached), datapath)| {
                    let maps = &datapath?.maps;
                    Some(metrics::Device {
                        ingress: attached.ingress,
                        egress: attached.egress,
                        frames: maps.totals(device.index),
                        untold: maps.untold(device.index),
                        name: device.name,
                    })
                })
                .collect(),
            promoted,
            is_in_force: fault.is_none(),
            is_reloaded: reading.failure.is_none(),
            // A clock that shows a time before 1970 shows nothing.
            reloaded_at: since.map_or(0, |since| since.as_secs()),
        })
    }

    /// What a comparison of the kernel with what is declared finds. There is one at a time: who asks
    /// while one is under way gets the result of the next, with all others who do.
    async fn compared(&self, asked: Instant, age: Age) -> Found {
        let mut last = Arc::clone(&self.last).lock_owned().await;
        if let Some(last) = &*last
            && last.serves(asked, age)
        {
            return last.found.clone();
        }
        // Goes on if who has asked goes away, since what is begun cannot be ended: the next one
        // waits for it, or there would be one for each who came and went.
        let view = self.clone();
        let compare = spawn_local(async move {
            let since = Instant::now();
            let found = view.compare().await;
            let found = found.unwrap_or_else(|error| Found::failed(&error));
            *last = Some(Compared {
                since,
                took: since.elapsed(),
                found: found.clone(),
            });
            found
        });
        compare.await.unwrap_or_else(|error| Found::failed(&error))
    }

    async fn compare(&self) -> Result<Found> {
        let config = self.declared.reading().config;
        let now = self.now().await?;
        // A million rules take a second, in which others are answered.
        let look = move || {
            Ok(Found {
                fault: now.lacks(&config)?,
                promoted: now.promoted()?,
            })
        };
        spawn_blocking(look)
            .await
            .map_err(|cause| Error::from_cause("compare", "the policy in force", &cause))?
    }

    async fn now(&self) -> Result<Now> {
        let host = Host::observe(&self.netlink).await?;
        let reader = Reader::open_as_it_is(&self.store).await?;
        let mut devices = Vec::new();
        if let Some(datapath) = reader.datapath() {
            for device in host.guardable() {
                let attached = datapath.attached(&self.netlink, device).await?;
                if attached.ingress.is_some() || attached.egress.is_some() {
                    devices.push((device.clone(), attached));
                }
            }
        }
        Ok(Now {
            host,
            reader,
            devices,
        })
    }
}

impl Found {
    fn failed(error: &dyn std::error::Error) -> Self {
        Self {
            fault: Some(error.to_string()),
            promoted: 0,
        }
    }
}

impl Now {
    /// How many addresses are promoted.
    fn promoted(&self) -> Result<u64> {
        let Some(datapath) = self.reader.datapath() else {
            return Ok(0);
        };
        Ok(datapath.maps.promoted_rules()?.len() as u64)
    }

    /// What it lacks of the declared policy, if anything.
    fn lacks(&self, config: &Config) -> Result<Option<String>> {
        let mut wanted = match config.on(&self.host) {
            Ok(wanted) => wanted,
            Err(error) => return Ok(Some(error.to_string())),
        };
        if let Some(device) = fault::unguarded(&wanted, &self.devices) {
            return Ok(Some(format!("{} is not guarded as declared", device.name)));
        }
        let maps = self.reader.datapath().map(|datapath| &datapath.maps);
        let terms = maps.map_or_else(|| Ok(Numbered::new()), Maps::terms)?;
        let by_hand = terms.values().any(|terms| terms.by_hand);
        if let Some(maps) = maps.filter(|_| by_hand || !wanted.terms.is_empty()) {
            // Where a pin is that has a fallback is no fault.
            let now = State {
                rules: Rules::read(maps.rules())?,
                terms,
                ..State::default()
            };
            wanted.keep(&now, Keep::ByHand);
            wanted.settle(&now, &self.host, Mover::Nobody)?;
        }
        let rule = |place| maps?.rule(place);
        if let Some((first, missing)) = fault::missing(&wanted.rules, rule) {
            let missing = count(missing as u64, "rule is", "rules are");
            let first = subject(first);
            return Ok(Some(format!("{missing} not as declared: first {first}")));
        }
        let Some(maps) = maps.filter(|maps| sum(maps.shape()) > wanted.rules.len() as u64) else {
            return Ok(None);
        };
        let overruled = fault::overruled(&wanted, &Rules::read(maps.rules())?);
        Ok(overruled.map(|prefix| {
            let prefix = subject(prefix);
            format!(
                "{prefix} is not treated as declared: a rule that is not declared says otherwise"
            )
        }))
    }
}

/// How many pins with a fallback are on it, by the names of their device and their fallback.
fn moved(datapath: &Datapath, host: &Host) -> Result<BTreeMap<(String, String), u64>> {
    let mut moved = BTreeMap::new();
    let mut terms = datapath.maps.terms()?;
    terms.retain(|_, terms| terms.fallback.is_some());
    if terms.is_empty() {
        return Ok(moved);
    }
    for rule in datapath.maps.rules() {
        let (.., rule) = rule?;
        let Some(terms) = terms.get(&rule.terms()) else {
            continue;
        };
        let fallback = terms.fallback.as_ref().map(|fallback| fallback.dev.clone());
        let pair = (terms.dev.clone(), fallback.unwrap_or_default());
        let count = moved.entry(pair).or_insert(0);
        *count += u64::from(away(terms, rule.home(), host).is_some());
    }
    Ok(moved)
}

/// What a rule is about.
fn subject(prefix: Ipv4Net) -> String {
    if prefix == EVERY_ADDRESS {
        "every address".to_owned()
    } else {
        prefix_text(prefix)
    }
}

/// How many rules there are.
fn sum(shape: Shape) -> u64 {
    shape.to_words().into_iter().map(u64::from).sum()
}
