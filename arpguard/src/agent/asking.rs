//! Asking the LAN who has what is to be answered for.
//!
//! The rules are in force by then: who asks first would let all other policy wait for each LAN. The
//! programs hear what is replied, and leave to another machine what it has.

use std::collections::BTreeMap;

use arpguard_common::{abi::Rule, verdict::Policy};
use tokio::sync::{mpsc, oneshot};
use tracing::warn;

use crate::{
    datapath::Place,
    device::Device,
    error::{Error, Result},
    host::Host,
    plan::{Rules, unasked},
    vacancy::{self, Wanted},
};

const FORCE: &str = "use --force, or `force = true` in a file, if it is to answer all the same";
/// How many addresses of one device are told of.
const MOST_TOLD: usize = 8;

/// What is to be asked for, on one device.
struct Question {
    host: Host,
    device: Device,
    wanted: Wanted,
}

/// What was asked for.
pub(super) struct Asked {
    /// The rules, and how often the carrier had come or gone by then: who was out of reach may have
    /// taken an address.
    known: BTreeMap<Place, (Rule, u32)>,
    queue: mpsc::UnboundedSender<Question>,
}

/// Who asks.
pub(super) struct Asking(mpsc::UnboundedReceiver<Question>);

pub(super) fn new() -> (Asked, Asking) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let asked = Asked {
        known: BTreeMap::new(),
        queue: sender,
    };
    (asked, Asking(receiver))
}

impl Asked {
    /// These rules are in force now: has the LAN asked for what is new. Where a device has no link, that
    /// waits for one.
    pub(super) fn look(&mut self, rules: &Rules, host: &Host) {
        let linked = |index| host.by_index(index).filter(|device| device.is_usable());
        self.known.retain(|place, (rule, carrier)| {
            rules.at(*place) == Some(*rule)
                && linked(place.device).is_some_and(|device| device.carrier_changes == *carrier)
        });
        let known = |place| self.known.get(&place).map(|(rule, _)| *rule);
        for (index, wanted) in unasked(rules, known) {
            let Some(device) = linked(index) else {
                continue;
            };
            for prefix in wanted.keys() {
                let place = Place::new(Policy::Answer, index, *prefix);
                if let Some(rule) = rules.at(place) {
                    self.known.insert(place, (rule, device.carrier_changes));
                }
            }
            // Who would take it from the queue is there for as long as the agent.
            let _ = self.queue.send(Question {
                host: host.clone(),
                device: device.clone(),
                wanted,
            });
        }
    }
}

impl Asking {
    /// Asks for as long as the agent lives.
    pub(super) async fn serve(&mut self) {
        while let Some(question) = self.0.recv().await {
            if let Err(error) = ask(question).await {
                warn!("{error}");
            }
        }
    }
}

async fn ask(question: Question) -> Result<()> {
    let Question {
        host,
        device,
        wanted,
    } = question;
    let (sender, receiver) = oneshot::channel();
    // A thread that nobody waits for at the end. It works in the network namespace of this one.
    std::thread::spawn(move || {
        let asked = vacancy::ask(&host, &device, &wanted);
        let _ = sender.send((device, asked));
    });
    let gone = |cause| Error::from_cause("ask", "the LAN", &cause);
    let (device, taken) = receiver.await.map_err(gone)?;
    let taken = taken?;
    for one in taken.iter().take(MOST_TOLD) {
        let error = one.error(&device);
        warn!("{error}: arpguard does not answer for it; {FORCE}");
    }
    if let Some(more) = taken.len().checked_sub(MOST_TOLD).filter(|more| *more > 0) {
        warn!("and other machines have {more} more on {}", device.name);
    }
    Ok(())
}
