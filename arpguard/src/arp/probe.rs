//! Asking who has addresses, in every form, at a bounded rate.

use std::{
    collections::BTreeSet,
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use arpguard_common::wire::Mac;

use super::{
    Answers, Question, outsider,
    pace::Pace,
    packet::Packet,
    sender,
    socket::{Socket, Taken},
};
use crate::{
    device::Device,
    error::{Error, Result},
    interrupt,
    progress::Progress,
};

/// How many frames are taken at most before the next one goes out.
const AT_ONCE: u32 = 64;
/// How many pairs of an address and a station are asked by unicast. At more, only those stations are
/// asked for an address that have claimed it.
const MOST_UNICAST: usize = 1 << 14;

/// What is asked.
///
/// The forms are asked one after another, each for all addresses, and each is asked as often as is
/// wanted whatever is answered: a second station may answer too.
#[derive(Debug)]
pub struct Probe {
    /// The addresses, sorted.
    pub targets: Vec<Ipv4Addr>,
    /// The forms in which is asked.
    pub questions: Vec<Question>,
    /// In whose name; `None`: as the kernel would choose for each target.
    pub from: Option<Ipv4Addr>,
    /// The stations to ask by unicast, besides those that are heard meanwhile.
    pub stations: BTreeSet<Mac>,
    /// How often each question is asked.
    pub tries: u32,
    /// How long answers are waited for, after the last frame of a form.
    pub timeout: Duration,
    /// Frames a second.
    pub rate: u32,
    /// How many seconds to listen when all was asked.
    pub listen: u32,
}

/// A probe under way.
struct Probing<'a> {
    probe: &'a Probe,
    device: &'a Device,
    own: Mac,
    outsider: Option<Ipv4Addr>,
    socket: Socket,
    pace: Pace,
    progress: Progress,
    answers: &'a mut Answers,
    /// Which form is being asked.
    asking: &'static str,
}

impl Probe {
    /// Asks on `device`. `answers` gets what is heard, also where this fails in the middle.
    ///
    /// # Errors
    /// Where the device takes no frames or goes down, or a signal ends the asking. One that ends the
    /// listening is none.
    pub fn run(&self, device: &Device, answers: &mut Answers) -> Result<()> {
        let own = device
            .mac
            .ok_or_else(|| Error::new("probe on", &device.name, "it has no Ethernet address"))?;
        let mut probing = Probing {
            probe: self,
            device,
            own,
            outsider: outsider(device),
            socket: Socket::open(device)?,
            pace: Pace::new(self.rate, Instant::now()),
            progress: Progress::of_frames(),
            answers,
            asking: "",
        };
        for question in &self.questions {
            probing.ask(*question)?;
        }
        probing.listen()
    }
}

/// Why nothing more is heard.
#[must_use]
enum Ended {
    InTime,
    Interrupted,
}

impl Probing<'_> {
    fn ask(&mut self, question: Question) -> Result<()> {
        let Some(outsider) = self.outsider.or_else(|| self.stand_in(question)) else {
            return Ok(());
        };
        self.asking = question.name();
        let pairs = match question {
            Question::Unicast => self.unicast(),
            Question::Broadcast
            | Question::Probe
            | Question::Hardware6
            | Question::PriorityTag
            | Question::NestedTags
            | Question::Outside => self.broadcast(),
        };
        let tries = self.probe.tries;
        self.progress.grow(pairs.len() * tries as usize);
        for _ in 0..tries {
            for (target, station) in &pairs {
                self.hear_on(self.pace.due())?;
                let senders = (self.sender(*target), outsider);
                let packet = question.packet(self.own, senders, *target, *station);
                self.send(question, &packet)?;
            }
            self.hear_on(Instant::now() + self.probe.timeout)?;
        }
        Ok(())
    }

    /// Where every address is inside of a subnet of the device, nobody can ask from outside.
    fn stand_in(&self, question: Question) -> Option<Ipv4Addr> {
        (question != Question::Outside).then_some(Ipv4Addr::UNSPECIFIED)
    }

    fn send(&mut self, question: Question, packet: &Packet) -> Result<()> {
        self.answers.expect(question, packet.spa);
        self.socket.send(packet)?;
        self.pace.spend(Instant::now());
        self.progress.step();
        Ok(())
    }

    fn sender(&self, target: Ipv4Addr) -> Ipv4Addr {
        let chosen = self.probe.from.or_else(|| sender(self.device, target));
        chosen.unwrap_or(Ipv4Addr::UNSPECIFIED)
    }

    fn broadcast(&self) -> Vec<(Ipv4Addr, Mac)> {
        let targets = self.probe.targets.iter();
        targets.map(|target| (*target, Mac::BROADCAST)).collect()
    }

    fn unicast(&mut self) -> Vec<(Ipv4Addr, Mac)> {
        let mut stations = &self.answers.stations | &self.probe.stations;
        stations.remove(&self.own);
        match pairs(&self.probe.targets, &stations) {
            Some(pairs) => pairs,
            None => {
                self.answers.narrowed = true;
                self.answers.pairs.keys().copied().collect()
            }
        }
    }

    /// A signal ends it as time does: who listens has waited for as long as was of use.
    fn listen(&mut self) -> Result<()> {
        self.progress = Progress::of_seconds(self.probe.listen as usize);
        let start = Instant::now();
        for second in 1..=self.probe.listen {
            match self.hear(start + Duration::from_secs(second.into()))? {
                Ended::InTime => self.progress.step(),
                Ended::Interrupted => break,
            }
        }
        Ok(())
    }

    /// Hears until `deadline`, which a signal must not come before.
    fn hear_on(&mut self, deadline: Instant) -> Result<()> {
        match self.hear(deadline)? {
            Ended::InTime => Ok(()),
            Ended::Interrupted => Err(Error::new(
                "probe",
                &self.device.name,
                format!(
                    "a signal asked arpguard to end while it asked in the form {}, so not all was asked",
                    self.asking
                ),
            )),
        }
    }

    fn hear(&mut self, deadline: Instant) -> Result<Ended> {
        let mut taken = 0;
        while !interrupt::requested() {
            let late = Instant::now() >= deadline;
            match self.socket.take()? {
                Taken::Nothing if late => return Ok(Ended::InTime),
                Taken::Nothing => {
                    self.progress.tick();
                    self.socket.wait(deadline);
                }
                // In a flood, time goes on.
                Taken::Arp(_) | Taken::Other if late && taken > AT_ONCE => {
                    return Ok(Ended::InTime);
                }
                Taken::Arp(heard) => self.answers.note(&heard, &self.probe.targets),
                Taken::Other => {}
            }
            taken += 1;
        }
        Ok(Ended::Interrupted)
    }
}

/// Every address with every station, the stations in turn, so that none gets a burst; `None` where
/// they are too many.
fn pairs(targets: &[Ipv4Addr], stations: &BTreeSet<Mac>) -> Option<Vec<(Ipv4Addr, Mac)>> {
    if stations.len() * targets.len() > MOST_UNICAST {
        return None;
    }
    let of = |target: &Ipv4Addr| {
        let target = *target;
        stations.iter().map(move |station| (target, *station))
    };
    Some(targets.iter().flat_map(of).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_station_is_asked_for_every_address_unless_they_are_too_many() {
        let stations = |count: u8| (0..count).map(|last| Mac([2, 0, 0, 0, 0, last])).collect();
        let target = |number: u32| Ipv4Addr::from_bits(0x0a00_0000 + number);
        let targets: Vec<_> = (0..256).map(target).collect();
        assert_eq!(
            pairs(&targets[..2], &stations(2)),
            Some(vec![
                (target(0), Mac([2, 0, 0, 0, 0, 0])),
                (target(0), Mac([2, 0, 0, 0, 0, 1])),
                (target(1), Mac([2, 0, 0, 0, 0, 0])),
                (target(1), Mac([2, 0, 0, 0, 0, 1])),
            ])
        );
        assert_eq!(pairs(&targets, &stations(64)).unwrap().len(), 256 * 64);
        assert_eq!(pairs(&targets, &stations(65)), None);
    }
}
