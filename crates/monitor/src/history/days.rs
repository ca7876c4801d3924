//! Rollups: what is left of attempts that are no longer kept one by one.
//!
//! Histograms count values from 0 on, and some values are negative (how far a clock is off). So a task has up to three series:
//! `monitor.<task>` with its successes from 0 on, `monitor.<task>.below-zero` with the distance from 0 of those below, and
//! `monitor.<task>.failed` with how long failures took, in nanoseconds, by their class. No number of one is in another.

use std::collections::BTreeMap;

use peermark_core::{FailureClass, Histogram, Outcome, Unit};
use peermark_store::{Hist, OldRecord, Rollup, SeriesId, StoredSeries};

use super::append::Writer;
use super::open::DAY_MS;
use super::{History, HistoryError, Shared, kind_of};
use crate::desk::DayRollup;

pub(super) const DAY_NS: u64 = DAY_MS * 1_000_000;

pub(super) const BELOW_ZERO: &str = ".below-zero";
pub(super) const FAILED: &str = ".failed";

impl History {
    /// The days of a task of which attempts were given up, oldest first. A day of which some are still kept has only the others here.
    /// Values are those of the task's present unit; they are within 1 % of what was measured.
    ///
    /// # Errors
    /// That the store cannot be read.
    pub async fn days(&self, task: &str) -> Result<Vec<DayRollup>, HistoryError> {
        let shared = &self.shared;
        let series = shared.store.series_of(&shared.run).await?;
        let kind = kind_of(task);
        let unit = series.iter().rev().find(|series| series.series.kind == kind).map(|series| series.series.unit);
        let mut days: BTreeMap<u64, Day> = BTreeMap::new();
        for one in &series {
            let suffix = one.series.kind.strip_prefix(&kind);
            let fits = suffix == Some(FAILED) || Some(one.series.unit) == unit;
            let Some(suffix) = suffix.filter(|suffix| ["", BELOW_ZERO, FAILED].contains(suffix) && fits) else {
                continue;
            };
            for hist in shared.store.hists(one.id, 0..u64::MAX).await? {
                days.entry(hist.t0_ns).or_default().add(suffix, &hist);
            }
        }
        let day_ms = |t0_ns: u64| shared.epoch_ms + t0_ns / 1_000_000;
        Ok(days.into_iter().map(|(t0_ns, day)| day.rollup(day_ms(t0_ns))).collect())
    }
}

/// What is known of one day.
#[derive(Default)]
struct Day {
    values: Histogram,
    below_zero: Histogram,
    failed: u64,
}

impl Day {
    fn add(&mut self, suffix: &str, hist: &Hist) {
        match suffix {
            "" => self.values.merge(&hist.histogram),
            BELOW_ZERO => self.below_zero.merge(&hist.histogram),
            _ => self.failed += hist.histogram.len(),
        }
    }

    fn rollup(&self, day_ms: u64) -> DayRollup {
        let ok = self.below_zero.len() + self.values.len();
        let at = |rank| self.value_at_rank(rank);
        let values = (ok > 0).then(|| [at(1), at(ok.div_ceil(2)), at(ok)].map(Option::unwrap_or_default));
        DayRollup { day_ms, ok, failed: self.failed, values }
    }

    /// The value at this rank of both histograms, from 1.
    fn value_at_rank(&self, rank: u64) -> Option<i64> {
        let below = self.below_zero.len();
        let signed = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        if rank <= below {
            // The farthest from 0 is the smallest.
            return Some(-signed(self.below_zero.value_at_rank(below - rank + 1)?));
        }
        Some(signed(self.values.value_at_rank(rank - below)?))
    }
}

/// What takes the place of old records: one histogram per series, day and outcome.
pub(super) async fn rollups(
    shared: &Shared,
    writer: &mut Writer,
    old: &[&OldRecord],
) -> Result<Vec<Rollup>, HistoryError> {
    let stored = shared.store.series_of(&shared.run).await?;
    let by_id: BTreeMap<SeriesId, &StoredSeries> = stored.iter().map(|series| (series.id, series)).collect();
    let mut sums: BTreeMap<(SeriesId, u64, Option<FailureClass>), Histogram> = BTreeMap::new();
    let unit = |series: &SeriesId| by_id.get(series).map_or(Unit::Count, |series| series.series.unit);
    for record in old {
        let Some((series, sample)) = &record.observed else { continue };
        let (series, class, value) = match sample.outcome {
            Outcome::Ok if sample.value >= 0 => (*series, None, sample.value.unsigned_abs()),
            Outcome::Ok => {
                let series = match beside(&stored, by_id.get(series), BELOW_ZERO) {
                    Some(known) => known,
                    None => shared.series(writer, &record.topic, unit(series)).await?.below_zero,
                };
                (series, None, sample.value.unsigned_abs())
            }
            Outcome::Failed { class, .. } => {
                let series = match beside(&stored, by_id.get(series), FAILED) {
                    Some(known) => known,
                    None => shared.series(writer, &record.topic, unit(series)).await?.failed,
                };
                (series, Some(class), sample.service_ns())
            }
        };
        let day = sample.ended_ns / DAY_NS * DAY_NS;
        sums.entry((series, day, class)).or_default().record(value);
    }
    let rollup = |((series, t0_ns, class), histogram): ((SeriesId, u64, Option<FailureClass>), Histogram)| Rollup {
        series,
        t0_ns,
        t1_ns: t0_ns + DAY_NS,
        class,
        histogram,
    };
    Ok(sums.into_iter().map(rollup).collect())
}

/// The series of this suffix that was made together with that of the attempts; files of before have none until it is needed.
fn beside(stored: &[StoredSeries], attempts: Option<&&StoredSeries>, suffix: &str) -> Option<SeriesId> {
    let attempts = &attempts?.series;
    let unit = if suffix == FAILED { Unit::Nanoseconds } else { attempts.unit };
    let is_beside = |one: &&StoredSeries| {
        let same = (one.series.unit, &one.series.environment) == (unit, &attempts.environment);
        same && one.series.kind.strip_prefix(&attempts.kind) == Some(suffix)
    };
    stored.iter().find(is_beside).map(|one| one.id)
}
