//! The capacity curve: what was offered, what was achieved, and at which latency.

use std::collections::BTreeMap;
use std::fmt;

use peermark_core::Seed;
use peermark_judge::{Latencies, Slice};
use peermark_probe::executor::Execution;
use peermark_probe::lateness::LatenessCheck;
use peermark_probe::recorder::{LaneRecord, TimeSlice};
use peermark_probe::schedule::Rate;
use serde::Serialize;

use super::CapacityOptions;

/// Names of the operations.
pub(super) const RETRIEVE: &str = "retrieve";
pub(super) const PROVIDE: &str = "provide";

/// Confidence of all intervals.
const CONFIDENCE: f64 = 0.95;

/// The result of an open loop.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CapacityCurve {
    /// `peermark.dht-capacity/1`.
    pub schema: &'static str,
    /// Reproduces arrivals and contents.
    pub seed: Seed,
    /// Fleets whose servers publish.
    pub publish_fleets: Vec<String>,
    /// Fleets whose servers look up.
    pub lookup_fleets: Vec<String>,
    /// Servers that took part.
    pub servers: usize,
    /// Share of provides that was asked for.
    pub provide_share: f64,
    /// Each operation's time from its intended start to its deadline, milliseconds.
    pub timeout_ms: u64,
    /// Whether a stop ended it early.
    pub stopped: bool,
    /// The steps, by rising rate.
    pub steps: Vec<CapacityStep>,
}

/// One rate.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CapacityStep {
    /// Arrivals per second that were planned, all operations together.
    pub rate: f64,
    /// Length of the window in seconds.
    pub seconds: f64,
    /// Operations that were turned away because too many were in flight: the generator's failures.
    pub refused: u64,
    /// Operations that a stop cut off; they are in no figure.
    pub cut_off: u64,
    /// By operation, those that occurred.
    pub operations: Vec<Figures>,
}

/// One operation at one rate.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figures {
    /// `retrieve` or `provide`.
    pub operation: String,
    /// Arrivals.
    pub n: u64,
    /// Arrivals per second.
    pub offered_per_s: f64,
    /// Operations per second that succeeded within the window.
    pub achieved_per_s: f64,
    /// Median of latency from the intended start, failures at their deadline.
    pub p50: Percentile,
    /// 90th percentile.
    pub p90: Percentile,
    /// 99th percentile.
    pub p99: Percentile,
    /// Failures by class.
    pub failed: BTreeMap<&'static str, u64>,
}

/// A percentile with its interval at 95 %, or why there is none. Nanoseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Percentile {
    /// The estimate; `None` where the operations do not support one.
    pub value_ns: Option<u64>,
    /// Lower end of its interval.
    pub low_ns: Option<u64>,
    /// Upper end of its interval.
    pub high_ns: Option<u64>,
    /// Whether it falls among failures: the true value is at least the deadline.
    pub censored: bool,
    /// Why the estimate, or an end of its interval, is missing.
    pub absent: Option<String>,
}

impl CapacityCurve {
    pub(super) fn new(options: &CapacityOptions, servers: usize, stopped: bool, steps: Vec<CapacityStep>) -> Self {
        Self {
            schema: "peermark.dht-capacity/1",
            seed: options.seed,
            publish_fleets: options.fleets.publish.clone(),
            lookup_fleets: options.fleets.lookup.clone(),
            servers,
            provide_share: options.provide_share,
            timeout_ms: u64::try_from(options.calls.timeout.as_millis()).unwrap_or(u64::MAX),
            stopped,
            steps,
        }
    }
}

impl CapacityStep {
    pub(super) fn new(rate: Rate, execution: &Execution, records: &[LaneRecord]) -> Self {
        let window = execution.window;
        let seconds = window.end_ns.saturating_sub(window.start_ns) as f64 / 1e9;
        let occurred = records.iter().filter(|record| record.count > 0);
        Self {
            rate: rate.per_second(),
            seconds,
            refused: execution.refused,
            cut_off: execution.cut_off,
            operations: occurred.map(|record| Figures::new(record, seconds)).collect(),
        }
    }
}

impl Figures {
    fn new(record: &LaneRecord, seconds: f64) -> Self {
        let slice = |slice: &TimeSlice| Slice {
            start_ns: slice.start_ns,
            histogram: slice.histogram.clone(),
            censored: slice.censored,
        };
        let slices: Vec<Slice> = record.slices.iter().map(slice).collect();
        let latencies = Latencies::new(&slices, record.timeout_ns);
        let percentile = |q| Percentile::new(record, &latencies, q);
        let per_second = |count: u64| if seconds > 0.0 { count as f64 / seconds } else { 0.0 };
        Self {
            operation: record.name.clone(),
            n: record.count,
            offered_per_s: per_second(record.count),
            achieved_per_s: per_second(record.completed_in_window),
            p50: percentile(0.5),
            p90: percentile(0.9),
            p99: percentile(0.99),
            failed: record.failed_by_class().into_iter().map(|(class, count)| (class.as_str(), count)).collect(),
        }
    }
}

impl Percentile {
    fn new(record: &LaneRecord, latencies: &Latencies, q: f64) -> Self {
        if let Some(check) = LatenessCheck::of(record, q).filter(LatenessCheck::is_withheld) {
            let (slip, value) = (check.slip_ns as f64 / 1e6, check.latency_ns as f64 / 1e6);
            let absent = Some(format!("withheld: slip of the generator is {slip:.2} ms of {value:.2} ms"));
            return Self { absent, ..Self::default() };
        }
        let estimate = latencies.quantile(q, CONFIDENCE);
        let absent = estimate.absent.map(|absent| absent.to_string());
        match estimate.quantile {
            None => Self { absent, ..Self::default() },
            Some(found) => Self {
                value_ns: Some(found.value),
                low_ns: found.low,
                high_ns: found.high,
                censored: found.censored,
                absent,
            },
        }
    }
}

impl fmt::Display for Percentile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |ns: u64| format!("{:.1}", ns as f64 / 1e6);
        let Some(value_ns) = self.value_ns else { return f.pad("n/a") };
        let least = if self.censored { ">=" } else { "" };
        let end = |end: Option<u64>| end.map_or_else(|| "n/a".to_owned(), ms);
        f.pad(&format!("{least}{} [{}, {}]", ms(value_ns), end(self.low_ns), end(self.high_ns)))
    }
}

/// One line, for whoever waits for the next step.
impl fmt::Display for CapacityStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let achieved: f64 = self.operations.iter().map(|figures| figures.achieved_per_s).sum();
        let failed: u64 = self.operations.iter().flat_map(|figures| figures.failed.values()).sum();
        write!(f, "{:.2}/s planned: {achieved:.2}/s achieved, {failed} failed, {} turned away", self.rate, self.refused)
    }
}

impl CapacityStep {
    /// A row of the table for each operation.
    fn rows(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for figures in &self.operations {
            let failed: Vec<String> = figures.failed.iter().map(|(class, count)| format!("{class} {count}")).collect();
            let failed = if failed.is_empty() { "-".to_owned() } else { failed.join(", ") };
            writeln!(
                f,
                "{:>9.2} {:<9} {:>7} {:>10.2} {:>11.2}  {:<24} {:<24} {:<24} {failed}",
                self.rate,
                figures.operation,
                figures.n,
                figures.offered_per_s,
                figures.achieved_per_s,
                figures.p50,
                figures.p90,
                figures.p99
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for CapacityCurve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:>9} {:<9} {:>7} {:>10} {:>11}  {:<24} {:<24} {:<24} failures",
            "planned/s", "operation", "n", "offered/s", "achieved/s", "p50 ms [95 %]", "p90 ms [95 %]", "p99 ms [95 %]"
        )?;
        for step in &self.steps {
            step.rows(f)?;
            if step.refused > 0 {
                writeln!(f, "{:>9.2} {} were turned away: too many in flight", step.rate, step.refused)?;
            }
        }
        if self.stopped { writeln!(f, "stopped early") } else { Ok(()) }
    }
}
