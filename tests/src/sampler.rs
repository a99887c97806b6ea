//! A client that asks for addresses all the time.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use arpguard_common::wire::Mac;

use crate::{
    arp::{self, Frame},
    lab::{Namespace, Port},
};

/// The time between two samples.
const PAUSE: Duration = Duration::from_millis(10);
/// How many samples there are until a question is asked once more in the same words.
const QUESTIONS: usize = 250;

/// For each sample and each address, who has answered.
type Samples = Vec<BTreeMap<Ipv4Addr, BTreeSet<Mac>>>;

/// A client that asks for some addresses in each sample, by broadcast. Each sample asks as another
/// sender, so that an answer says which one it is to.
#[derive(Debug)]
pub struct Sampler {
    samples: Arc<Mutex<Samples>>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Sampler {
    /// Begins to ask for `targets` on the `eth0` of `client`, which has this hardware address.
    pub fn start(client: &Namespace, mac: Mac, targets: &[Ipv4Addr]) -> Self {
        let port = Port::open(client, "eth0");
        let (samples, over) = (Arc::new(Mutex::new(Samples::new())), Arc::default());
        let (told, ends): (_, Arc<AtomicBool>) = (Arc::clone(&samples), Arc::clone(&over));
        let targets = targets.to_vec();
        let thread = thread::spawn(move || {
            while !ends.load(Ordering::Relaxed) {
                let number = {
                    let mut samples = told.lock().unwrap();
                    samples.push(BTreeMap::new());
                    samples.len() - 1
                };
                for target in &targets {
                    port.send(&arp::request(mac, asks_as(number), *target).bytes());
                }
                thread::sleep(PAUSE);
                let mut samples = told.lock().unwrap();
                for frame in port.drain() {
                    if let Some(frame) = Frame::read(&frame)
                        && frame.op == arp::REPLY
                        && let Some(number) = asked_in(frame.tpa, number)
                    {
                        let answers = samples[number].entry(frame.spa).or_default();
                        answers.insert(frame.sha);
                    }
                }
            }
        });
        Self {
            samples,
            over,
            thread: Some(thread),
        }
    }

    /// How many samples there are.
    pub fn len(&self) -> usize {
        self.samples.lock().unwrap().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Who has answered for an address in each of the samples from `from` on, but for the last few,
    /// whose answers may be under way.
    pub fn answers(&self, target: Ipv4Addr, from: usize) -> Vec<BTreeSet<Mac>> {
        const UNDER_WAY: usize = 20;
        let samples = self.samples.lock().unwrap();
        let sure = samples.len().saturating_sub(UNDER_WAY).max(from);
        let of = |sample: &BTreeMap<_, BTreeSet<_>>| sample.get(&target).cloned();
        let samples = samples[from..sure].iter();
        samples
            .map(|sample| of(sample).unwrap_or_default())
            .collect()
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It has ended, unless the test failed.
            let _ = thread.join();
        }
    }
}

/// The sender of a sample: an address beside the segment's subnet.
fn asks_as(number: usize) -> Ipv4Addr {
    Ipv4Addr::new(192, 168, 20, u8::try_from(1 + number % QUESTIONS).unwrap())
}

/// The last sample, of those up to `now`, that was asked as `spa`.
fn asked_in(spa: Ipv4Addr, now: usize) -> Option<usize> {
    let [a, b, c, last] = spa.octets();
    let question = usize::from(last).checked_sub(1)?;
    if [a, b, c] != [192, 168, 20] || question >= QUESTIONS {
        return None;
    }
    let since = (now + QUESTIONS - question) % QUESTIONS;
    now.checked_sub(since)
}
