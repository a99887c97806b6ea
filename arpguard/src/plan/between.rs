//! From one policy to another.

use super::Rules;
use crate::datapath::Change;

/// The changes that make `wanted` of `now`: rules that are new or others in the order of their
/// places, then the removal of those that are wanted no longer. In which order they are written,
/// [`crate::datapath::script()`] says.
pub fn between(now: &Rules, wanted: &Rules) -> Vec<Change> {
    let written = wanted
        .iter()
        .filter(|(place, rule)| now.at(**place) != Some(**rule))
        .map(|(place, rule)| (place, Some(*rule)));
    let removed = now
        .iter()
        .filter(|(place, _)| wanted.at(**place).is_none())
        .map(|(place, _)| (place, None));
    written
        .chain(removed)
        .map(|(place, rule)| Change {
            place: *place,
            rule,
        })
        .collect()
}

#[cfg(test)]
mod tests;
