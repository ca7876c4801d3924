//! What may be said of a window: availability, its budget, and why it was not better.

use serde::{Deserialize, Serialize};

use super::{Row, Window, Windows};
use crate::outcome::ProbeOutcome;
use crate::policy::{PPM, ServicePolicy};
use crate::share;

/// What was promised; absent where nothing was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Promise {
    /// Share of probes that are served.
    pub availability_ppm: Option<u32>,
    /// Microseconds within which the promised share of answers begins.
    pub latency_us: Option<u64>,
    /// Bits per second that the promised share of transfers reaches.
    pub throughput_bps: Option<u64>,
}

/// One reason why probes were not [`ProbeOutcome::Ok`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// The reason.
    pub outcome: ProbeOutcome,
    /// How often.
    pub count: u64,
    /// Share of all that was not well, in parts per million.
    pub share_ppm: u32,
}

/// How much of what may fail has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// The availability that is promised.
    pub promised_ppm: u32,
    /// Failed probes that the promise allows among those counted, rounded down.
    pub allowed: u64,
    /// Failed probes.
    pub failed: u64,
    /// Share of failures divided by the share that is allowed, in parts per million: at 1 000 000 the budget is used up exactly at the end of
    /// a window, at ten times that after a tenth of it.
    pub burn_ppm: u64,
}

/// How many probes kept a promised value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptTerm {
    /// The promised value.
    pub promised: u64,
    /// The value by which it was judged: an edge of the histogram that is no easier to keep.
    pub judged_at: Option<u64>,
    /// Share that surely kept it, in parts per million; failed probes keep nothing.
    pub kept_ppm: Option<u32>,
    /// Values, and failed probes where they keep nothing, that it is a share of.
    pub of: u64,
    /// Values too near to the promise to tell; they are not among the kept.
    pub unclear: u64,
}

/// What may be said of one window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowStatement {
    /// The window.
    pub window: Window,
    /// Where it begins, in seconds since the evidence's epoch.
    pub from_s: u64,
    /// Where it ends.
    pub to_s: u64,
    /// Probes that count for the hoster.
    pub counted: u64,
    /// Those that it failed.
    pub failed: u64,
    /// Probes that do not count: faults of attesters and of the path.
    pub excluded: u64,
    /// `1 - failed / counted`, rounded down; absent below the policy's fewest probes.
    pub availability_ppm: Option<u32>,
    /// Reasons, the most frequent first; outages and degradation alike, also those that do not count for the hoster.
    pub causes: Vec<Cause>,
    /// The error budget, where something counts.
    pub budget: Option<Budget>,
    /// Latency against its promise.
    pub latency: Option<KeptTerm>,
    /// Throughput against its promise.
    pub throughput: Option<KeptTerm>,
}

impl Windows {
    /// What may be said of a window that ends at second `now_s`.
    pub fn statement(&self, window: Window, now_s: u64, promise: &Promise, policy: &ServicePolicy) -> WindowStatement {
        let (from_s, row) = self.sum(window, now_s);
        let (counted, failed) = (row.outcomes.counted(), row.outcomes.failed());
        let enough = counted >= u64::from(policy.min_probes).max(1);
        let promised_ppm = promise.availability_ppm.unwrap_or(policy.availability_ppm);
        WindowStatement {
            window,
            from_s,
            to_s: now_s,
            counted,
            failed,
            excluded: row.outcomes.all().saturating_sub(counted),
            availability_ppm: row.outcomes.availability_ppm().filter(|_| enough),
            causes: causes(&row),
            budget: (counted > 0).then(|| budget(promised_ppm, counted, failed)),
            latency: promise.latency_us.map(|us| term(us, &row.latency, failed)),
            throughput: promise.throughput_bps.map(|bps| term(bps, &row.throughput, 0)),
        }
    }
}

fn causes(row: &Row) -> Vec<Cause> {
    let bad = ProbeOutcome::ALL.into_iter().filter(|outcome| *outcome != ProbeOutcome::Ok);
    let mut found: Vec<(ProbeOutcome, u64)> =
        bad.map(|outcome| (outcome, row.outcomes.get(outcome))).filter(|(_, count)| *count > 0).collect();
    found.sort_by_key(|(outcome, count)| (std::cmp::Reverse(*count), *outcome));
    let counts: Vec<u64> = found.iter().map(|(_, count)| *count).collect();
    let shares = share::apportion(PPM, &counts);
    let both = found.into_iter().zip(shares);
    both.map(|((outcome, count), share_ppm)| Cause { outcome, count, share_ppm }).collect()
}

fn budget(promised_ppm: u32, counted: u64, failed: u64) -> Budget {
    let allowed_ppm = u64::from(PPM.saturating_sub(promised_ppm));
    let millionths = u128::from(failed) * u128::from(PPM) * u128::from(PPM);
    // A promise of everything allows nothing: one failure burns without end.
    let burn = millionths.checked_div(u128::from(counted) * u128::from(allowed_ppm));
    let without_end = if failed == 0 { 0 } else { u128::from(u64::MAX) };
    Budget {
        promised_ppm,
        allowed: share::scaled(counted, allowed_ppm),
        failed,
        burn_ppm: u64::try_from(burn.unwrap_or(without_end)).unwrap_or(u64::MAX),
    }
}

/// Failed probes have no latency and keep no promise of one; of transfers only those that took place are judged.
fn term(promised: u64, values: &crate::histogram::SparseHistogram, failed: u64) -> KeptTerm {
    let kept = values.keeping(promised);
    let of = kept.all.saturating_add(failed);
    KeptTerm {
        promised,
        judged_at: values.scale().judged_at(promised),
        kept_ppm: share::ppm(kept.kept, of),
        of,
        unclear: kept.unclear,
    }
}
