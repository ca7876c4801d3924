//! Changes against the period before, and what may be said about them.

use peermark_judge::compare::DEFAULT_MIN_EFFECT;
use peermark_judge::{Latencies, Verdict};

use super::document::{ChangeFigures, LatencyFigures};

/// Confidence of the intervals that are shown.
pub(super) const CONFIDENCE: f64 = 0.95;

/// The latencies behind one entry, now and before.
pub(super) struct Pair {
    pub(super) now: Latencies,
    pub(super) before: Latencies,
}

/// Fills in the changes of all entries. Many changes are looked at together, so a verdict needs an interval whose error is a
/// twentieth over all of them (Bonferroni); the interval that is shown is that of the one figure.
pub(super) fn fill(entries: &mut [LatencyFigures], pairs: &[Option<Pair>]) {
    let figures = |q: f64| -> Vec<Option<peermark_judge::Change>> {
        let change = |pair: &Pair| peermark_judge::change(&pair.now, &pair.before, q, CONFIDENCE);
        pairs.iter().map(|pair| pair.as_ref().and_then(change)).collect()
    };
    let (medians, tails) = (figures(0.5), figures(0.9));
    let looked_at = medians.iter().chain(&tails).flatten().count().max(1);
    let strict = 1.0 - (1.0 - CONFIDENCE) / looked_at as f64;
    let say = |pair: &Option<Pair>, q: f64, shown: Option<peermark_judge::Change>| {
        let (pair, shown) = (pair.as_ref()?, shown?);
        let verdict = peermark_judge::change(&pair.now, &pair.before, q, strict)
            .map_or(Verdict::NotEnoughData, |change| change.verdict(DEFAULT_MIN_EFFECT));
        let (ratio, low, high) = (shown.ratio, shown.low, shown.high);
        Some(ChangeFigures { ratio, low, high, verdict: word(verdict).to_owned() })
    };
    for (((entry, pair), median), tail) in entries.iter_mut().zip(pairs).zip(medians).zip(tails) {
        entry.change_p50 = say(pair, 0.5, median);
        entry.change_p90 = say(pair, 0.9, tail);
    }
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Better => "better",
        Verdict::Worse => "worse",
        Verdict::NoDifference => "no difference",
        Verdict::NotEnoughData => "cannot be told",
    }
}
