//! What happened, kept while it happens: histograms, failures, slices of time, and every sample handed on.
//!
//! Memory is bounded whatever the duration: histograms and at most 64 slices per lane, and one batch of samples. Batches go to a
//! [`SampleSink`] on a thread of its own through a bounded channel; nothing is dropped. When the sink is too slow the recorder waits,
//! and so does the schedule behind it: that shows as lateness of the generator, which is what it is.
//!
//! Only operations whose intended start lies in the window count; what came before it was warm-up.

mod lane;
mod sink;
mod slices;

use std::sync::Arc;

use peermark_core::{Histogram, MonotonicNs, Outcome};

pub use lane::{LaneRecord, quantile};
pub use sink::{SampleBatch, SampleSender, SampleSink, SinkError, SinkFailure, SinkThread};
pub use slices::TimeSlice;

use lane::Lane;

/// One operation as the executor saw it end.
#[derive(Clone, Copy, Debug)]
pub struct Finished {
    /// Its lane.
    pub lane: usize,
    /// What it was about.
    pub trace: u64,
    /// When the schedule wanted it.
    pub intended_ns: MonotonicNs,
    /// When it started.
    pub started_ns: MonotonicNs,
    /// When it ended, or its deadline.
    pub ended_ns: MonotonicNs,
    /// When the first byte of the answer came.
    pub first_byte_ns: Option<MonotonicNs>,
    /// Payload bytes moved and verified.
    pub bytes: u64,
    /// How it ended.
    pub outcome: Outcome,
}

/// The part of a phase that counts: intended starts from `start_ns` up to, not including, `end_ns`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// First moment that counts.
    pub start_ns: MonotonicNs,
    /// First moment that no longer counts; `u64::MAX` where the number of operations ends the phase.
    pub end_ns: MonotonicNs,
}

/// The phase in numbers, so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Operations that were complete.
    pub ok: u64,
    /// Operations that failed.
    pub failed: u64,
    /// Payload bytes moved and verified.
    pub bytes: u64,
    /// Median latency; `None` without operations.
    pub p50_ns: Option<u64>,
    /// 90th percentile of latency.
    pub p90_ns: Option<u64>,
    /// 99th percentile of latency.
    pub p99_ns: Option<u64>,
}

/// Takes operations as they end.
pub trait Record: Send {
    /// Takes one operation. Called by the task that starts operations, so it has to return at once.
    ///
    /// # Errors
    /// [`SinkFailure`] where no more can be kept, which ends the execution.
    fn record(&mut self, finished: &Finished) -> Result<(), SinkFailure>;

    /// The execution so far.
    fn snapshot(&self) -> Snapshot;
}

/// Records one execution.
pub struct Recorder {
    window: Window,
    timeout_ns: u64,
    lanes: Vec<Lane>,
    sender: Option<SampleSender>,
}

impl Recorder {
    /// A recorder for operations of `lanes` in `window`, each with `timeout_ns` from its intended start. `sender` takes the samples
    /// of this phase; without it they are not kept.
    pub fn new(
        phase: &Arc<str>,
        lanes: &[String],
        window: Window,
        timeout_ns: u64,
        sender: Option<SampleSender>,
    ) -> Self {
        let lanes = lanes.iter().map(|name| Lane::new(Arc::clone(phase), name, window, timeout_ns)).collect();
        Self { window, timeout_ns, lanes, sender }
    }

    /// Counts one operation.
    ///
    /// # Errors
    /// [`SinkFailure`] once the sink takes no more samples.
    pub fn record(&mut self, finished: &Finished) -> Result<(), SinkFailure> {
        let lane = &mut self.lanes[finished.lane];
        lane.count_throughput(finished);
        if finished.intended_ns < self.window.start_ns || finished.intended_ns >= self.window.end_ns {
            return Ok(());
        }
        let sample = lane.count(finished);
        let Some(sender) = &mut self.sender else { return Ok(()) };
        lane.keep(sample, sender)
    }

    /// The phase so far. Costs about 10 us per lane.
    pub fn snapshot(&self) -> Snapshot {
        let mut merged;
        let latency = match self.lanes.as_slice() {
            [only] => &only.record.latency,
            lanes => {
                merged = Histogram::new();
                lanes.iter().for_each(|lane| merged.merge(&lane.record.latency));
                &merged
            }
        };
        let failed = self.lanes.iter().map(|lane| lane.record.censored).sum();
        let at = |q| quantile(latency, failed, self.timeout_ns, q);
        Snapshot {
            ok: self.lanes.iter().map(|lane| lane.record.ok).sum(),
            failed,
            bytes: self.lanes.iter().map(|lane| lane.record.bytes).sum(),
            p50_ns: at(0.5),
            p90_ns: at(0.9),
            p99_ns: at(0.99),
        }
    }

    /// Hands on what is left and returns the record of each lane, in the order of the lanes, for a window that ended at `end_ns`.
    ///
    /// # Errors
    /// [`SinkFailure`] once the sink takes no more samples.
    pub fn finish(mut self, end_ns: MonotonicNs) -> Result<Vec<LaneRecord>, SinkFailure> {
        if let Some(sender) = &mut self.sender {
            self.lanes.iter_mut().try_for_each(|lane| lane.flush(sender))?;
        }
        Ok(self.lanes.into_iter().map(|lane| lane.into_record(end_ns)).collect())
    }
}

impl Record for Recorder {
    #[inline]
    fn record(&mut self, finished: &Finished) -> Result<(), SinkFailure> {
        Self::record(self, finished)
    }

    fn snapshot(&self) -> Snapshot {
        Self::snapshot(self)
    }
}

#[cfg(test)]
mod tests;
