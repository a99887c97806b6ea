//! What was heard of the addresses that were asked for.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
};

use arpguard_common::wire::{Arp, Kind, Mac};

use super::{Question, Sign, Signs};

/// How many pairs of an address and a station are kept: anybody can send frames that make more.
const MOST_PAIRS: usize = 1 << 18;
/// How many stations are kept to be asked by unicast.
const MOST_STATIONS: usize = 1 << 14;

/// A frame that was received.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heard {
    pub(super) arp: Arp,
    /// Source of the frame, which need not be the sender of the packet.
    pub(super) source: Mac,
}

/// What was heard of one address from one station.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    /// The frames that tell it.
    pub signs: Signs,
    /// The source address of the first of these frames: not always the one that it tells.
    pub source: Mac,
}

/// All that was heard.
#[derive(Debug, Default)]
pub struct Answers {
    /// Who claims which address.
    pub pairs: BTreeMap<(Ipv4Addr, Mac), Answer>,
    /// Whether more was claimed than is kept.
    pub overflowed: bool,
    /// Whether there were more stations and addresses than could be asked by unicast.
    pub narrowed: bool,
    /// The stations that were heard, whatever they said.
    pub(super) stations: BTreeSet<Mac>,
    /// The form in which was last asked in the name of each sender. A reply has the sender of its
    /// question as its target, so an answer that is late is not taken for one to a later question
    /// of another sender.
    asked: BTreeMap<Ipv4Addr, Question>,
    last: Option<Question>,
}

impl Answers {
    /// Who claims an address.
    pub fn claims(&self, address: Ipv4Addr) -> impl Iterator<Item = (Mac, Answer)> + Clone {
        let (first, last) = (Mac([0; 6]), Mac([0xff; 6]));
        let pairs = self.pairs.range((address, first)..=(address, last));
        pairs.map(|((_, mac), answer)| (*mac, *answer))
    }

    /// From now on, replies to `sender` are answers to `question`.
    pub(super) fn expect(&mut self, question: Question, sender: Ipv4Addr) {
        self.asked.insert(sender, question);
        self.last = Some(question);
    }

    /// Takes in what is heard of `targets`, which are sorted.
    pub(super) fn note(&mut self, heard: &Heard, targets: &[Ipv4Addr]) {
        let Heard { arp, source } = heard;
        for mac in [arp.sha, *source] {
            if mac.is_station() && self.stations.len() < MOST_STATIONS {
                self.stations.insert(mac);
            }
        }
        if targets.binary_search(&arp.spa).is_err() {
            return;
        }
        let Some(sign) = self.sign(arp) else {
            return;
        };
        let pair = (arp.spa, arp.sha);
        if !self.pairs.contains_key(&pair) && self.pairs.len() >= MOST_PAIRS {
            self.overflowed = true;
            return;
        }
        let answer = self.pairs.entry(pair).or_insert(Answer {
            signs: Signs::default(),
            source: *source,
        });
        answer.signs.insert(sign);
    }

    /// What a packet of a target is a sign of.
    fn sign(&self, arp: &Arp) -> Option<Sign> {
        match arp.kind {
            Kind::Probe => None,
            Kind::Announcement => Some(Sign::Announcement),
            Kind::Request => Some(Sign::Request),
            // The target of a reply may have been rewritten with the sender of the question.
            Kind::Reply => Some(match self.asked.get(&arp.tpa).copied().or(self.last) {
                Some(question) => Sign::Answer(question),
                None => Sign::Announcement,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VIP: Ipv4Addr = Ipv4Addr::new(192, 168, 18, 101);
    const OWN: Ipv4Addr = Ipv4Addr::new(192, 168, 18, 129);
    const SERVER: Mac = Mac([2, 0, 0, 0, 0, 0x10]);

    fn note(answers: &mut Answers, kind: Kind, spa: Ipv4Addr, tpa: Ipv4Addr) {
        let arp = Arp {
            kind,
            sha: SERVER,
            spa,
            tpa,
        };
        let source = SERVER;
        answers.note(&Heard { arp, source }, &[VIP]);
    }

    fn signs(answers: &Answers) -> Vec<&'static str> {
        let of = answers.pairs.get(&(VIP, SERVER));
        of.map_or_else(Vec::new, |of| of.signs.iter().map(Sign::name).collect())
    }

    #[test]
    fn a_late_answer_counts_for_the_question_of_its_sender() {
        let mut answers = Answers::default();
        answers.expect(Question::Broadcast, OWN);
        answers.expect(Question::Probe, Ipv4Addr::UNSPECIFIED);
        note(&mut answers, Kind::Reply, VIP, OWN);
        assert_eq!(signs(&answers), ["broadcast"]);
        note(&mut answers, Kind::Reply, VIP, Ipv4Addr::UNSPECIFIED);
        assert_eq!(signs(&answers), ["broadcast", "probe"]);
        // To an unknown target: the question that is being asked.
        answers.expect(Question::Hardware6, OWN);
        note(&mut answers, Kind::Reply, VIP, [9, 9, 9, 9].into());
        assert_eq!(signs(&answers), ["broadcast", "probe", "hardware-6"]);
    }

    #[test]
    fn claims_count_and_questions_and_other_addresses_do_not() {
        let mut answers = Answers::default();
        note(&mut answers, Kind::Probe, VIP, OWN);
        note(&mut answers, Kind::Announcement, OWN, OWN);
        note(&mut answers, Kind::Request, OWN, VIP);
        assert_eq!(signs(&answers), [""; 0]);
        assert_eq!(answers.stations, [SERVER].into());
        note(&mut answers, Kind::Announcement, VIP, VIP);
        note(&mut answers, Kind::Request, VIP, OWN);
        assert_eq!(signs(&answers), ["announcement", "request"]);
    }

    #[test]
    fn a_flood_of_claims_is_bounded() {
        let mut answers = Answers::default();
        for number in 0..MOST_PAIRS as u32 + 1 {
            let [a, b, c, d] = number.to_be_bytes();
            let sha = Mac([2, 1, a, b, c, d]);
            let arp = Arp {
                kind: Kind::Announcement,
                sha,
                spa: VIP,
                tpa: VIP,
            };
            answers.note(&Heard { arp, source: sha }, &[VIP]);
        }
        assert!(answers.overflowed);
        assert_eq!(answers.pairs.len(), MOST_PAIRS);
        assert_eq!(answers.stations.len(), MOST_STATIONS);
    }
}
