//! Answering for addresses while their checks hold.
//!
//! The programs leave such requests in a ring. A check is made when somebody asks, and holds for a
//! second; while it is made, who asks is remembered, and answered when it has succeeded. So nothing
//! is checked that nobody asks for, and no answer relies on what was true long ago.

use std::{collections::BTreeMap, net::Ipv4Addr, time::Duration};

use arpguard_common::{abi::Request, policy::View, verdict::Mode};
use ipnet::Ipv4Net;
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep_until},
};
use tracing::{debug, warn};

use super::checking::holds;
use crate::{
    arp::Replier,
    check::Check,
    datapath::{Maps, Place, Reader, Requests, Store},
    device::Device,
    error::{Error, Result},
    host::Host,
    netlink::Netlink,
};

/// For how long a check that has succeeded holds, and one that has failed is not made again.
const HOLDS: Duration = Duration::from_secs(1);
/// How many requests are taken at a time, and the pause after each time: so a flood costs little.
const AT_ONCE: usize = 256;
const PAUSE: Duration = Duration::from_millis(10);
/// How many checks are made at a time, how many are begun in a second, and for how many addresses
/// outcomes are kept: who asks for all addresses of a prefix starts no more processes than that.
const MOST: usize = 64;
const MOST_BEGUN: usize = 128;
const MOST_KNOWN: usize = 4096;
/// For how long no more is told of what goes wrong, which it may with each request.
const SILENCE: Duration = Duration::from_secs(60);

/// An address on a device.
type Subject = (u32, Ipv4Addr);

/// What is known of a check.
struct Known {
    check: Check,
    /// Whether it has succeeded; `None` while it is made.
    holds: Option<bool>,
    since: Instant,
    /// Who waits for it.
    waiting: Vec<Request>,
}

/// Who answers.
pub(super) struct Answers<'a> {
    store: &'a Store,
    netlink: &'a Netlink,
    known: BTreeMap<Subject, Known>,
    checking: JoinSet<(Subject, bool)>,
    host: Option<(Instant, Host)>,
    repliers: BTreeMap<u32, Replier>,
    /// Since when checks are counted, and how many were begun.
    begun: (Instant, usize),
    /// Until when nothing is told of what goes wrong.
    silent: Option<Instant>,
    /// Before it nothing more is taken from the ring.
    not_before: Instant,
}

impl<'a> Answers<'a> {
    pub(super) fn new(store: &'a Store, netlink: &'a Netlink) -> Self {
        Self {
            store,
            netlink,
            known: BTreeMap::new(),
            checking: JoinSet::new(),
            host: None,
            repliers: BTreeMap::new(),
            begun: (Instant::now(), 0),
            silent: None,
            not_before: Instant::now(),
        }
    }

    /// Answers for as long as the agent lives. `turns` tells that what is loaded may be another now.
    pub(super) async fn serve(&mut self, mut turns: watch::Receiver<()>) {
        let mut ring: Option<Requests> = None;
        loop {
            tokio::select! {
                changed = turns.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    match Requests::open(self.store, ring.take()).await {
                        Ok(opened) => ring = opened,
                        Err(error) => self.tell(&error),
                    }
                }
                Some(done) = self.checking.join_next() => {
                    if let Ok((subject, holds)) = done {
                        self.checked(subject, holds).await;
                    }
                }
                taken = next(&mut ring, self.not_before) => {
                    self.not_before = Instant::now() + PAUSE;
                    if let Err(error) = self.take(taken).await {
                        self.tell(&error);
                        self.not_before = Instant::now() + HOLDS;
                    }
                }
            }
        }
    }

    async fn take(&mut self, taken: Result<Vec<Request>>) -> Result<()> {
        let taken = taken?;
        let reader = Reader::open_as_it_is(self.store).await?;
        if let Some(datapath) = reader.datapath() {
            for request in taken {
                if let Some(check) = due(&datapath.maps, &request) {
                    self.asked(request, check).await;
                }
            }
        }
        Ok(())
    }

    /// Somebody asks for what is under a check.
    async fn asked(&mut self, request: Request, check: Check) {
        let subject = (request.device, request.arp().tpa);
        let now = Instant::now();
        if self.known.len() >= MOST_KNOWN {
            self.known
                .retain(|_, known| known.holds.is_none() || now - known.since < HOLDS);
        }
        if let Some(known) = self.known.get_mut(&subject) {
            match known.holds {
                // Once it is made, what it was made for is found to be under another.
                None => {
                    if known.waiting.len() < AT_ONCE {
                        known.waiting.push(request);
                    }
                    return;
                }
                Some(holds) if now - known.since < HOLDS && known.check == check => {
                    if holds {
                        self.answer(&[request]).await;
                    }
                    return;
                }
                Some(_) => {}
            }
        }
        // Who finds no room asks again.
        if self.checking.len() >= MOST || !self.may_begin(now) {
            return;
        }
        let Some(device) = self
            .device(request.device)
            .await
            .map(|one| one.name.clone())
        else {
            return;
        };
        self.known.insert(
            subject,
            Known {
                check: check.clone(),
                holds: None,
                since: now,
                waiting: vec![request],
            },
        );
        self.checking
            .spawn(async move { (subject, holds(check, subject.1, device).await) });
    }

    /// Whether one more check may be begun now.
    fn may_begin(&mut self, now: Instant) -> bool {
        if now - self.begun.0 >= HOLDS {
            self.begun = (now, 0);
        }
        self.begun.1 += 1;
        self.begun.1 <= MOST_BEGUN
    }

    /// Tells what has gone wrong, unless something was told lately.
    fn tell(&mut self, error: &Error) {
        let now = Instant::now();
        if self.silent.is_none_or(|until| until <= now) {
            self.silent = Some(now + SILENCE);
            warn!("{error}");
        }
    }

    /// A check has come to its end.
    async fn checked(&mut self, subject: Subject, holds: bool) {
        let Some(known) = self.known.get_mut(&subject) else {
            return;
        };
        known.holds = Some(holds);
        known.since = Instant::now();
        let waiting = std::mem::take(&mut known.waiting);
        debug!(
            "the check of {} {}",
            subject.1,
            if holds { "holds" } else { "fails" }
        );
        if !holds || waiting.is_empty() {
            return;
        }
        let check = known.check.clone();
        match self.still_due(waiting, &check).await {
            Ok(waiting) => self.answer(&waiting).await,
            Err(error) => self.tell(&error),
        }
    }

    /// Those of requests that are still to be answered by a check that has been made for them. In the
    /// meantime the rule may have gone, or another machine have been heard to have the address.
    async fn still_due(&self, mut waiting: Vec<Request>, check: &Check) -> Result<Vec<Request>> {
        let reader = Reader::open_as_it_is(self.store).await?;
        waiting.retain(|request| {
            let check_now = reader
                .datapath()
                .and_then(|datapath| due(&datapath.maps, request));
            check_now.as_ref() == Some(check)
        });
        Ok(waiting)
    }

    async fn answer(&mut self, requests: &[Request]) {
        for request in requests {
            let answered = match self.replier(request.device).await {
                Ok(Some(replier)) => replier.answer(&request.arp(), request.mac),
                Ok(None) => continue,
                Err(error) => Err(error),
            };
            match answered {
                Ok(true) => {}
                Ok(false) => {
                    let address = request.arp().tpa;
                    self.tell(
                        &Error::new("answer", address, "the device has no room to send").advise(
                            "look for a full queue, or a program on its egress hook that drops ARP",
                        ),
                    );
                }
                Err(error) => self.tell(&error),
            }
        }
    }

    /// Who answers on a device, if it is there.
    async fn replier(&mut self, index: u32) -> Result<Option<&Replier>> {
        if !self.repliers.contains_key(&index) {
            let Some(device) = self.device(index).await else {
                return Ok(None);
            };
            let replier = Replier::open(device)?;
            self.repliers.insert(index, replier);
        }
        Ok(self.repliers.get(&index))
    }

    /// The device, as it was within the last second.
    async fn device(&mut self, index: u32) -> Option<&Device> {
        let now = Instant::now();
        let is_old = |(seen, _): &(Instant, Host)| now - *seen >= HOLDS;
        if self.host.as_ref().is_none_or(is_old) {
            match Host::observe(self.netlink).await {
                Ok(host) => {
                    self.repliers
                        .retain(|index, _| host.by_index(*index).is_some());
                    self.host = Some((now, host));
                }
                Err(error) => self.tell(&error),
            }
        }
        self.host.as_ref()?.1.by_index(index)
    }
}

/// The check that a request is to be answered by, as the kernel has it now: by a rule that leaves it to
/// user space, in the same words, and that nobody contests. `None` where it is not to be answered.
fn due(maps: &Maps, request: &Request) -> Option<Check> {
    let address = request.arp().tpa;
    let view = View::new(maps, request.device);
    let rule = view.found(address).filter(|rule| rule.is_deferred())?;
    let mac = rule.mac().or_else(|| view.mac())?;
    let contested = !rule.is_forced() && view.is_contested(address, mac);
    if contested || mac != request.mac || rule.mode() != Mode::Enforce {
        return None;
    }
    let prefix = Ipv4Net::new(address, rule.prefix_len()).ok()?.trunc();
    maps.check(Place::new(rule.policy(), request.device, prefix))
}

async fn next(ring: &mut Option<Requests>, not_before: Instant) -> Result<Vec<Request>> {
    match ring {
        Some(ring) => {
            sleep_until(not_before).await;
            ring.next(AT_ONCE).await
        }
        None => std::future::pending().await,
    }
}
