//! The record of one kind of operation.

use std::collections::BTreeMap;
use std::sync::Arc;

use peermark_core::{Culprit, FailureClass, Histogram, MonotonicNs, Outcome, Sample};

use super::sink::{BATCH_SAMPLES, SampleBatch, SampleSender, SinkFailure};
use super::slices::{Slices, TimeSlice};
use super::{Finished, Window};

/// What is known about one kind of operation after an execution. Nothing here is judged: no intervals, no withheld percentiles.
#[derive(Clone, Debug)]
pub struct LaneRecord {
    /// Name of the lane.
    pub name: String,
    /// Operations that the schedule called for in the window.
    pub count: u64,
    /// Complete and verified.
    pub ok: u64,
    /// Failures by class and culprit.
    pub failed: BTreeMap<(FailureClass, Culprit), u64>,
    /// Failures of any kind. In the distributions they are values at or above the deadline.
    pub censored: u64,
    /// Payload bytes of complete operations.
    pub bytes: u64,
    /// Intended start to end of complete operations, ns.
    pub latency: Histogram,
    /// Real start to end of complete operations, ns.
    pub service: Histogram,
    /// Intended to real start of all operations, ns.
    pub slip: Histogram,
    /// Real start to first byte of the answer, where the driver knows, ns.
    pub first_byte: Histogram,
    /// Each operation's time from intended start to deadline, ns.
    pub timeout_ns: u64,
    /// The window in 32 to 64 slices (fewer where it has fewer nanoseconds than that).
    pub slices: Vec<TimeSlice>,
    /// Operations that became complete inside the window, whenever they were intended: the numerator of the achieved rate.
    pub completed_in_window: u64,
    /// When the last counted operation ended.
    pub last_end_ns: u64,
}

/// The smallest value that at least a share `q` of all operations lies at or below, failures being `timeout_ns` each; `None`
/// without operations.
pub fn quantile(complete: &Histogram, failed: u64, timeout_ns: u64, q: f64) -> Option<u64> {
    let count = complete.len() + failed;
    if count == 0 {
        return None;
    }
    let rank = ((q * count as f64).ceil() as u64).clamp(1, count);
    Some(complete.value_at_rank(rank).unwrap_or(timeout_ns))
}

impl LaneRecord {
    /// A percentile of latency with failures counted at the deadline.
    pub fn latency_quantile(&self, q: f64) -> Option<u64> {
        quantile(&self.latency, self.censored, self.timeout_ns, q)
    }

    /// Failures by class, whoever has to mend them.
    pub fn failed_by_class(&self) -> BTreeMap<FailureClass, u64> {
        let mut by_class = BTreeMap::new();
        self.failed.iter().for_each(|((class, _), count)| *by_class.entry(*class).or_default() += count);
        by_class
    }

    /// Failures by who has to mend them, whatever they were.
    pub fn failed_by_culprit(&self) -> BTreeMap<Culprit, u64> {
        let mut by_culprit = BTreeMap::new();
        self.failed.iter().for_each(|((_, culprit), count)| *by_culprit.entry(*culprit).or_default() += count);
        by_culprit
    }
}

pub(super) struct Lane {
    pub(super) record: LaneRecord,
    window: Window,
    slices: Slices,
    phase: Arc<str>,
    op: Arc<str>,
    batch: Vec<Sample>,
}

impl Lane {
    pub(super) fn new(phase: Arc<str>, name: &str, window: Window, timeout_ns: u64) -> Self {
        let record = LaneRecord {
            name: name.to_owned(),
            count: 0,
            ok: 0,
            failed: BTreeMap::new(),
            censored: 0,
            bytes: 0,
            latency: Histogram::new(),
            service: Histogram::new(),
            slip: Histogram::new(),
            first_byte: Histogram::new(),
            timeout_ns,
            slices: Vec::new(),
            completed_in_window: 0,
            last_end_ns: window.start_ns,
        };
        Self { record, window, slices: Slices::new(window), phase, op: name.into(), batch: Vec::new() }
    }

    /// Throughput counts completions, not arrivals: an operation of the warm-up that ends in the window used its capacity.
    pub(super) fn count_throughput(&mut self, finished: &Finished) {
        let inside = finished.ended_ns >= self.window.start_ns && finished.ended_ns < self.window.end_ns;
        if finished.outcome.is_ok() && inside {
            self.record.completed_in_window += 1;
            let slice = self.slices.at(finished.ended_ns);
            slice.ok += 1;
            slice.bytes += finished.bytes;
        }
    }

    pub(super) fn count(&mut self, finished: &Finished) -> Sample {
        let mut sample = Sample {
            seq: self.record.count,
            intended_ns: finished.intended_ns,
            started_ns: finished.started_ns,
            ended_ns: finished.ended_ns,
            bytes: finished.bytes,
            value: 0,
            outcome: finished.outcome,
            trace: finished.trace,
        };
        sample.value = i64::try_from(sample.latency_ns()).unwrap_or(i64::MAX);
        let record = &mut self.record;
        record.count += 1;
        record.slip.record(sample.slip_ns());
        record.last_end_ns = record.last_end_ns.max(finished.ended_ns);
        let slice = self.slices.at(finished.intended_ns);
        match finished.outcome {
            Outcome::Ok => {
                record.ok += 1;
                record.bytes += finished.bytes;
                record.latency.record(sample.latency_ns());
                record.service.record(sample.service_ns());
                slice.histogram.record(sample.latency_ns());
                if let Some(first_ns) = finished.first_byte_ns {
                    record.first_byte.record(first_ns.saturating_sub(finished.started_ns));
                }
            }
            Outcome::Failed { class, culprit } => {
                record.censored += 1;
                *record.failed.entry((class, culprit)).or_default() += 1;
                slice.censored += 1;
            }
        }
        sample
    }

    pub(super) fn keep(&mut self, sample: Sample, sender: &mut SampleSender) -> Result<(), SinkFailure> {
        if self.batch.capacity() == 0 {
            self.batch.reserve_exact(BATCH_SAMPLES);
        }
        self.batch.push(sample);
        if self.batch.len() >= BATCH_SAMPLES { self.flush(sender) } else { Ok(()) }
    }

    pub(super) fn flush(&mut self, sender: &mut SampleSender) -> Result<(), SinkFailure> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let samples = std::mem::take(&mut self.batch);
        sender.send(SampleBatch { phase: Arc::clone(&self.phase), op: Arc::clone(&self.op), samples })
    }

    pub(super) fn into_record(self, end_ns: MonotonicNs) -> LaneRecord {
        LaneRecord { slices: self.slices.into_slices(end_ns), ..self.record }
    }
}
