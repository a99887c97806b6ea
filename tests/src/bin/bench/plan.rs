//! What is measured, how often, and in which order.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::report::Row;

/// Set by a signal: whoever sees it returns, so that the namespaces are removed.
pub(crate) static STOPPED: AtomicBool = AtomicBool::new(false);

/// What was asked for.
pub(crate) struct Plan {
    pub(crate) quick: bool,
    pub(crate) filters: Vec<String>,
}

impl Plan {
    /// Whether one of the filters, if there are any, lets this through: it is sought in `section/name`.
    pub(crate) fn wants(&self, section: &str, name: &str) -> bool {
        let place = format!("{section}/{name}");
        let lets = |filter: &String| place.contains(filter);
        !STOPPED.load(Ordering::Relaxed)
            && (self.filters.is_empty() || self.filters.iter().any(lets))
    }

    /// The first when it has to be quick, else the second.
    pub(crate) fn pick<T>(&self, quick: T, full: T) -> T {
        if self.quick { quick } else { full }
    }

    /// Measures all of them in turn, round after round, so that noise hits all alike. The first
    /// round is for warming up.
    pub(crate) fn measure(&self, subjects: Vec<Subject<'_>>) -> Vec<Row> {
        self.rounds(subjects, self.pick(3, 9))
    }

    /// As [`Self::measure`], with so many rounds.
    pub(crate) fn rounds(&self, mut subjects: Vec<Subject<'_>>, rounds: u32) -> Vec<Row> {
        let mut samples = vec![Vec::new(); subjects.len()];
        for round in 0..=rounds {
            for (subject, samples) in subjects.iter_mut().zip(&mut samples) {
                if STOPPED.load(Ordering::Relaxed) {
                    return Vec::new();
                }
                let sample = (subject.measure)();
                if round > 0 {
                    samples.push(sample);
                }
            }
        }
        let names = subjects.into_iter().map(|subject| subject.name);
        names
            .zip(samples)
            .map(|(name, samples)| Row { name, samples })
            .collect()
    }
}

/// One thing to measure.
pub(crate) struct Subject<'a> {
    name: String,
    measure: Box<dyn FnMut() -> f64 + 'a>,
}

impl<'a> Subject<'a> {
    pub(crate) fn new(name: String, measure: impl FnMut() -> f64 + 'a) -> Self {
        Self {
            name,
            measure: Box::new(measure),
        }
    }
}
