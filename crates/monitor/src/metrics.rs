//! Success, age, duration and value of every task, for Prometheus. Read from the status at each scrape: there is nothing to keep.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use crate::attempt::Status;
use crate::desk::{Desk, TaskStatus};
use crate::state::State;

/// The series of one monitor.
pub struct Series {
    state: Arc<State>,
}

/// Reads one gauge of a task; `None` leaves the series out, because 0 would be a measurement.
type Level = fn(&TaskStatus) -> Option<f64>;

const GAUGES: [(&str, &str, Level); 6] = [
    ("peermark_monitor_task_success", "Whether the latest attempt that was not skipped found nothing wrong", |task| {
        let attempt = task.attempt.as_ref().filter(|attempt| attempt.status != Status::Skipped);
        attempt.map(|attempt| f64::from(u8::from(attempt.status == Status::Ok && task.problems.is_empty())))
    }),
    ("peermark_monitor_task_age_seconds", "Time since the latest success ended", |task| {
        task.success.as_ref().map(|success| success.age_s as f64)
    }),
    ("peermark_monitor_task_stale", "Whether a newer success should be there by now", |task| {
        task.success.as_ref().map(|success| f64::from(u8::from(success.stale)))
    }),
    ("peermark_monitor_task_duration_seconds", "How long the latest success took", |task| {
        task.success.as_ref().map(|success| success.duration_ns as f64 / 1e9)
    }),
    ("peermark_monitor_task_value", "Value of the latest success, in the task's own unit", |task| {
        task.success.as_ref()?.value.map(|value| value as f64)
    }),
    (
        "peermark_monitor_task_findings",
        "Faults to mend: why the latest attempt failed, and what the latest success found",
        |task| task.attempt.as_ref().map(|_| task.problems.len() as f64),
    ),
];

impl Series {
    /// The series of this monitor.
    pub fn new(state: Arc<State>) -> Self {
        Self { state }
    }
}

impl fmt::Debug for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Series").finish_non_exhaustive()
    }
}

impl Collector for Series {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let status = self.state.status();
        for (name, help, level) in GAUGES {
            let kind = ConstGauge::new(0.0).metric_type();
            let mut family = encoder.encode_descriptor(name, help, None, kind)?;
            for task in &status.tasks {
                if let Some(value) = level(task) {
                    let labels = [("task", task.name.as_str())];
                    ConstGauge::new(value).encode(family.encode_family(&labels)?)?;
                }
            }
        }
        let attempts = self.state.attempts();
        let kind = ConstCounter::new(0u64).metric_type();
        let help = "Attempts since the monitor started, by how they ended";
        let mut family = encoder.encode_descriptor("peermark_monitor_attempts", help, None, kind)?;
        for (task, status, count) in attempts {
            let labels = [("task", task.as_str()), ("status", status)];
            ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
        }
        for (name, help, value) in self.state.gauges() {
            let kind = ConstGauge::new(0.0).metric_type();
            ConstGauge::new(value).encode(encoder.encode_descriptor(name, help, None, kind)?)?;
        }
        let mut family = encoder.encode_descriptor(
            "peermark_monitor_moments",
            "Moments of the schedule that no run was started for: the test still ran (dropped), or nobody could run it (missed)",
            None,
            kind,
        )?;
        for (task, fate, count) in self.state.moments() {
            let labels = [("task", task.as_str()), ("fate", fate)];
            ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
        }
        for (name, help, count) in self.state.counters() {
            let kind = ConstCounter::new(0u64).metric_type();
            ConstCounter::new(count).encode(encoder.encode_descriptor(name, help, None, kind)?)?;
        }
        Ok(())
    }
}

/// The page of a monitor alone, as OpenMetrics.
pub(crate) fn page(state: &Arc<State>) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Series::new(Arc::clone(state))));
    let mut page = String::with_capacity(4096);
    encode(&mut page, &registry).expect("a String takes everything");
    page
}
