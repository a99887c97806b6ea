//! What the LAN has to be asked for, before it is answered for.

use std::collections::BTreeMap;

use arpguard_common::{abi::Rule, verdict::Policy};

use super::Rules;
use crate::{datapath::Place, vacancy};

/// What `wanted` answers for by rules that `known` does not have at their places, by the interface index
/// of the device. What is forced nobody is asked for.
pub fn unasked(
    wanted: &Rules,
    known: impl Fn(Place) -> Option<Rule>,
) -> BTreeMap<u32, vacancy::Wanted> {
    let mut unasked = BTreeMap::<u32, vacancy::Wanted>::new();
    for (place, rule) in wanted.iter().filter(|(_, rule)| is_asked(**rule)) {
        if known(*place) != Some(*rule) {
            let on_device = unasked.entry(place.device).or_default();
            on_device.insert(place.prefix, rule.mac());
        }
    }
    unasked
}

/// Whether a rule is one that the LAN is asked about.
fn is_asked(rule: Rule) -> bool {
    rule.policy() == Policy::Answer && !rule.is_forced()
}

#[cfg(test)]
mod tests {
    use arpguard_common::{verdict::Mode, wire::Mac};

    use super::*;

    #[test]
    fn what_is_new_or_another_is_asked_for_unless_it_is_forced() {
        let mac = Some(Mac([2; 6]));
        let answer = |mac, force| Rule::answer(32, mac, Mode::Enforce, false, force);
        let hide = Rule::hide(32, None, Mode::Enforce, false);
        let mut rules = Rules::default();
        let mut at = |policy, device, ip: &str, rule| {
            let place = Place::new(policy, device, ip.parse().unwrap());
            rules.insert(place, rule);
            place
        };
        let (old, new) = (answer(None, false), answer(mac, false));
        let same = at(Policy::Answer, 2, "10.0.0.1/32", old);
        let changed = at(Policy::Answer, 2, "10.0.0.2/32", new);
        let on_another = at(Policy::Answer, 3, "10.0.0.1/32", old);
        at(Policy::Answer, 2, "10.0.0.3/32", answer(None, true));
        at(Policy::Hide, 2, "10.0.0.4/32", hide);
        let known = |place: Place| [same, changed].contains(&place).then_some(old);
        let expected = BTreeMap::from([
            (2, vacancy::Wanted::from([(changed.prefix, mac)])),
            (3, vacancy::Wanted::from([(on_another.prefix, None)])),
        ]);
        assert_eq!(unasked(&rules, known), expected);
    }
}
