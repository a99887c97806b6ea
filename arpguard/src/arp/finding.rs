//! What the answers come to.

use std::{collections::BTreeSet, net::Ipv4Addr, str::FromStr};

use arpguard_common::wire::Mac;

use super::{Answer, Answers};
use crate::policy::parse_mac;

/// Who is meant to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expectation {
    /// Whoever it is, but one alone.
    One,
    /// Nobody.
    Nobody,
    /// This one, and nobody else.
    Station(Mac),
}

impl FromStr for Expectation {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        if word == "none" {
            return Ok(Self::Nobody);
        }
        parse_mac(word)
            .map(Self::Station)
            .map_err(|_| "neither a MAC address nor none".to_owned())
    }
}

/// How what was found compares with what is meant to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing in particular was expected.
    Any,
    /// As it was expected.
    Expected,
    /// Somebody answers who must not.
    Leak,
    /// Several answer for one address.
    Flux,
    /// Who must answer does not.
    Missing,
}

impl Outcome {
    /// The one word for it, where there is something to say.
    pub const fn name(self) -> Option<&'static str> {
        match self {
            Self::Any => None,
            Self::Expected => Some("expected"),
            Self::Leak => Some("leak"),
            Self::Flux => Some("flux"),
            Self::Missing => Some("missing"),
        }
    }

    /// Whether it is not as it should be.
    pub const fn is_fault(self) -> bool {
        match self {
            Self::Any | Self::Expected => false,
            Self::Leak | Self::Flux | Self::Missing => true,
        }
    }
}

/// One address and one station that claims it, or none.
#[derive(Clone, Copy, Debug)]
pub struct Finding {
    /// The address.
    pub address: Ipv4Addr,
    /// Who claims it, and how; `None`: nobody does.
    pub claim: Option<(Mac, Answer)>,
    /// What to think of it.
    pub outcome: Outcome,
}

/// What was found, in the order of the addresses. An address that nobody claims is in it where
/// somebody was expected, or where it is one of `named`, those that were asked for by themselves.
pub fn findings(
    answers: &Answers,
    targets: &[Ipv4Addr],
    named: &BTreeSet<Ipv4Addr>,
    expected: Expectation,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for address in targets {
        let claims = answers.claims(*address);
        let finding = |claim, outcome| Finding {
            address: *address,
            claim,
            outcome,
        };
        let several = claims.clone().nth(1).is_some();
        for (mac, answer) in claims.clone() {
            let outcome = match expected {
                Expectation::One if several => Outcome::Flux,
                Expectation::One => Outcome::Any,
                Expectation::Station(meant) if meant == mac => Outcome::Expected,
                Expectation::Station(_) | Expectation::Nobody => Outcome::Leak,
            };
            findings.push(finding(Some((mac, answer)), outcome));
        }
        let silent = claims.clone().next().is_none() && named.contains(address);
        let absent = match expected {
            Expectation::Station(meant) => {
                let answers = claims.clone().any(|(mac, _)| mac == meant);
                (!answers).then_some(Outcome::Missing)
            }
            Expectation::Nobody => silent.then_some(Outcome::Expected),
            Expectation::One => silent.then_some(Outcome::Any),
        };
        findings.extend(absent.map(|outcome| finding(None, outcome)));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arp::{Question, Sign, Signs};

    const ONE: Mac = Mac([2, 0, 0, 0, 0, 1]);
    const TWO: Mac = Mac([2, 0, 0, 0, 0, 2]);

    /// Of four addresses, of which the last two are in a prefix: .1 and .3 are silent, .2 is claimed
    /// by one station, .4 by two.
    fn told(expected: Expectation) -> String {
        let address = |last| Ipv4Addr::new(10, 0, 0, last);
        let mut signs = Signs::default();
        signs.insert(Sign::Answer(Question::Broadcast));
        let mut answers = Answers::default();
        for (last, mac) in [(2, ONE), (4, ONE), (4, TWO)] {
            let answer = Answer { signs, source: mac };
            answers.pairs.insert((address(last), mac), answer);
        }
        let targets = [1, 2, 3, 4].map(address);
        let named = [1, 2].map(address).into();
        let lines = findings(&answers, &targets, &named, expected);
        let lines = lines.iter().map(|finding| {
            let last = finding.address.octets()[3];
            let station = finding.claim.map_or(0, |(mac, _)| mac.0[5]);
            format!("{last}:{station} {}", finding.outcome.name().unwrap_or("-"))
        });
        lines.collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn what_is_expected_makes_a_finding_a_fault() {
        let told_of = [
            (Expectation::One, "1:0 -, 2:1 -, 4:1 flux, 4:2 flux"),
            (
                Expectation::Nobody,
                "1:0 expected, 2:1 leak, 4:1 leak, 4:2 leak",
            ),
            (
                Expectation::Station(TWO),
                "1:0 missing, 2:1 leak, 2:0 missing, 3:0 missing, 4:1 leak, 4:2 expected",
            ),
        ];
        for (expected, lines) in told_of {
            assert_eq!(told(expected), lines, "{expected:?}");
        }
    }
}
