//! What a hoster was worth in the last hour, day and month: counters in slots of which each window is a sum.
//!
//! A window is made of twelve full slots and the one that is being filled, so that it covers between one window and a twelfth more. Slots
//! are numbered from the epoch of the evidence and hold sums only: whatever order reports come in, the bytes are the same. Time is in
//! seconds since that epoch (of a ledger: height times seconds per block).

mod statement;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};

use peermark_core::EvidenceClass;
use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use statement::{Budget, Cause, KeptTerm, Promise, WindowStatement};

use crate::histogram::{HistogramError, Scale, SparseHistogram};
use crate::outcome::OutcomeCounts;

/// Slots that make one window.
pub const SLOTS: u64 = 12;

/// How far back one looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Window {
    /// One hour, in slots of five minutes.
    #[serde(rename = "1h")]
    Hour,
    /// One day, in slots of two hours.
    #[serde(rename = "24h")]
    Day,
    /// Thirty days, in slots of sixty hours.
    #[serde(rename = "30d")]
    Month,
}

/// Sums of one slot, or of several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// How probes ended.
    pub outcomes: OutcomeCounts,
    /// Time to the first byte of probes that were served.
    pub latency: SparseHistogram,
    /// Speed of transfers that were served.
    pub throughput: SparseHistogram,
    /// Verified bytes.
    pub bytes: u64,
    /// Reports in the sums.
    pub reports: u64,
}

/// The three windows of one hoster in one region.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Windows {
    /// Per window (hour, day, month) its slots, sorted by number.
    slots: [VecDeque<(u64, Row)>; 3],
}

/// What is kept of whom, from where and how: one hoster seen from one region in one class of evidence. None are ever added up.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RowKey {
    /// The hoster's id.
    pub hoster: u64,
    /// The attesters' region (geohash of the plan, or a name).
    pub region: String,
    /// The kind of evidence. Kinds are never added up either.
    pub class: EvidenceClass,
}

/// The windows of every (hoster, region, class).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WindowBook {
    rows: BTreeMap<RowKey, Windows>,
}

/// Why a report was not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum WindowError {
    /// Its histograms are not of latency and throughput.
    #[error("{field}: {source}")]
    Histogram {
        /// Which of the two.
        field: &'static str,
        /// What is wrong.
        source: HistogramError,
    },
    /// It is older than the longest window.
    #[error("at {at_s} s, before the slots that are kept (from {from_s} s)")]
    TooOld {
        /// When it was.
        at_s: u64,
        /// Where the kept slots begin.
        from_s: u64,
    },
}

impl Window {
    /// Every window, from the shortest.
    pub const ALL: [Self; 3] = [Self::Hour, Self::Day, Self::Month];

    /// Seconds.
    pub fn seconds(self) -> u64 {
        match self {
            Self::Hour => 3_600,
            Self::Day => 86_400,
            Self::Month => 30 * 86_400,
        }
    }

    /// Seconds of one of its slots.
    pub fn slot_s(self) -> u64 {
        self.seconds() / SLOTS
    }

    /// The name in rules and outputs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "1h",
            Self::Day => "24h",
            Self::Month => "30d",
        }
    }
}

impl Default for Row {
    fn default() -> Self {
        Self {
            outcomes: OutcomeCounts::default(),
            latency: SparseHistogram::new(Scale::LatencyUs),
            throughput: SparseHistogram::new(Scale::ThroughputBps),
            bytes: 0,
            reports: 0,
        }
    }
}

impl Row {
    /// Adds another row. Counters stay at the largest number.
    ///
    /// # Errors
    /// Histograms of the wrong scale; then nothing is added.
    pub fn merge(&mut self, other: &Self) -> Result<(), WindowError> {
        for (field, scale, histogram) in
            [("latency", Scale::LatencyUs, &other.latency), ("throughput", Scale::ThroughputBps, &other.throughput)]
        {
            if histogram.scale() != scale {
                return Err(WindowError::Histogram { field, source: HistogramError::OtherScale });
            }
        }
        let wrong = |field| move |source| WindowError::Histogram { field, source };
        self.latency.merge(&other.latency).map_err(wrong("latency"))?;
        self.throughput.merge(&other.throughput).map_err(wrong("throughput"))?;
        self.outcomes.merge(&other.outcomes);
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.reports = self.reports.saturating_add(other.reports);
        Ok(())
    }
}

impl Windows {
    /// Counts what a report says about second `at_s`, in every window that still reaches there.
    ///
    /// # Errors
    /// Histograms of the wrong scale, and reports from before the longest window; then nothing is counted.
    pub fn record(&mut self, at_s: u64, row: &Row) -> Result<(), WindowError> {
        Row::default().merge(row)?;
        let mut counted = false;
        for (window, slots) in Window::ALL.into_iter().zip(&mut self.slots) {
            let number = at_s / window.slot_s();
            let newest = slots.back().map_or(number, |(newest, _)| number.max(*newest));
            if number < newest.saturating_sub(SLOTS) {
                continue;
            }
            counted = true;
            match slots.binary_search_by_key(&number, |(number, _)| *number) {
                Ok(at) => slots[at].1.merge(row)?,
                Err(at) => slots.insert(at, (number, row.clone())),
            }
            while slots.front().is_some_and(|(oldest, _)| *oldest < newest.saturating_sub(SLOTS)) {
                slots.pop_front();
            }
        }
        if counted { Ok(()) } else { Err(WindowError::TooOld { at_s, from_s: self.kept_from_s() }) }
    }

    /// The sum of a window that ends at second `now_s`, and the second it begins with.
    pub fn sum(&self, window: Window, now_s: u64) -> (u64, Row) {
        let newest = now_s / window.slot_s();
        let oldest = newest.saturating_sub(SLOTS);
        let mut sum = Row::default();
        for (number, row) in &self.slots[window as usize] {
            if (oldest..=newest).contains(number) {
                // Every row was merged into an empty one before it was kept, so that this cannot fail.
                let _checked = sum.merge(row);
            }
        }
        (oldest.saturating_mul(window.slot_s()), sum)
    }

    fn kept_from_s(&self) -> u64 {
        let month = &self.slots[Window::Month as usize];
        let newest = month.back().map_or(0, |(number, _)| *number);
        newest.saturating_sub(SLOTS).saturating_mul(Window::Month.slot_s())
    }
}

impl WindowBook {
    /// Counts a report about a hoster from a region.
    ///
    /// # Errors
    /// As [`Windows::record`].
    pub fn record(&mut self, key: RowKey, at_s: u64, row: &Row) -> Result<(), WindowError> {
        self.rows.entry(key).or_default().record(at_s, row)
    }

    /// The windows of one hoster in one region.
    pub fn get(&self, key: &RowKey) -> Option<&Windows> {
        self.rows.get(key)
    }

    /// Everything, by hoster and region.
    pub fn iter(&self) -> impl Iterator<Item = (&RowKey, &Windows)> {
        self.rows.iter()
    }

    /// The windows of one hoster in one class of evidence, by region.
    pub fn of_hoster(&self, hoster: u64, class: EvidenceClass) -> impl Iterator<Item = (&str, &Windows)> {
        let from = RowKey { hoster, region: String::new(), class: EvidenceClass::Raw };
        let of_hoster = self.rows.range(from..).take_while(move |(key, _)| key.hoster == hoster);
        of_hoster.filter(move |(key, _)| key.class == class).map(|(key, windows)| (key.region.as_str(), windows))
    }
}
