//! Rules that contradict each other.

use arpguard_common::{
    abi::{EVERY_DEVICE, Rule},
    verdict::Policy,
};
use ipnet::Ipv4Net;

use super::{participle, prefix_text};
use crate::{datapath::Place, host::Host};

/// The rule of another policy that the rule `new` at `place` contradicts; `at` tells the rules that
/// there are.
///
/// A place has one rule, and to replace that of another policy would undo what somebody has asked
/// for in other words. To hide an address where it is pinned to leaves it to nobody.
pub fn clash(place: Place, new: Rule, at: impl Fn(Place) -> Option<Rule>) -> Option<(Place, Rule)> {
    let Place { device, .. } = place;
    let on = |device| Place { device, ..place };
    let of = |place: Place, is_one: &dyn Fn(Rule) -> bool| {
        at(place).filter(|old| is_one(*old)).map(|old| (place, old))
    };
    of(place, &|old| old.policy() != new.policy()).or_else(|| match new.policy() {
        Policy::Hide => of(on(EVERY_DEVICE), &|old| {
            device != EVERY_DEVICE && old.home() == device
        }),
        Policy::Pin => of(on(new.home()), &|old| old.policy() == Policy::Hide),
        Policy::Strict | Policy::Answer | Policy::Bind => None,
    })
}

/// What to do first where this rule for this prefix is in the way.
pub fn undo_text(rule: Rule, prefix: Ipv4Net) -> String {
    let prefix = prefix_text(prefix);
    match rule.policy() {
        Policy::Hide if rule.is_lent() => format!("`arpguard demote {prefix}` first"),
        Policy::Hide => format!("`arpguard unhide {prefix}` first"),
        Policy::Pin => format!("`arpguard unpin {prefix}` first"),
        Policy::Strict => "`arpguard strict off` first".to_owned(),
        Policy::Answer => format!("`arpguard unanswer {prefix}` first"),
        Policy::Bind => format!("`arpguard unbind {prefix}` first"),
    }
}

/// What a rule makes of its address: `pinned to eth3`, `hidden on every device`.
pub fn state_text(place: Place, rule: Rule, host: &Host) -> String {
    let name = |index| host.name(index);
    let word = if rule.is_lent() {
        "promoted"
    } else {
        participle(rule.policy())
    };
    let word = match (rule.policy(), rule.mac()) {
        (Policy::Pin, _) => return format!("{word} to {}", name(rule.home())),
        (Policy::Bind, Some(mac)) => format!("{word} to {mac}"),
        _ => word.to_owned(),
    };
    match place.device {
        EVERY_DEVICE => format!("{word} on every device"),
        device => format!("{word} on {}", name(device)),
    }
}
