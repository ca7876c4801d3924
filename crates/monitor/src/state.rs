//! What every front of a monitor shares, and the one place that answers them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use peermark_core::Clock;
use peermark_probe::agenda::{AgendaHandle, RunRefused};
use peermark_store::StoredRecord;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::attempt::Attempt;
use crate::bus::BusCounters;
use crate::desk::{
    Answer, Desk, DeskError, FailureDescription, HistoryDocument, MAX_HISTORY, Pause, RunTicket, ScheduleDocument,
    ScheduledTask, StatusDocument, TaskDescription, TaskResult, TasksDocument,
};
use crate::entry::Entry;
use crate::history::{History, Page};
use crate::journal::Journal;
use crate::pause::PauseFile;
use crate::status::{self, Moment, Times};
use crate::task::NodeFacts;

/// Longest pause.
const MAX_PAUSE_S: u64 = 30 * 86_400;

const DAY_MS: u64 = 86_400_000;

/// Longest reason of a pause.
const MAX_REASON_BYTES: usize = 500;

/// A monitor's parts, shared by its fronts.
pub struct State {
    pub(crate) entries: Vec<Arc<Entry>>,
    pub(crate) history: History,
    pub(crate) agenda: AgendaHandle,
    pub(crate) journal: Arc<Journal>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) node: Arc<NodeFacts>,
    pub(crate) zone: String,
    pub(crate) version: String,
    pub(crate) started_ms: u64,
    /// Kept over a restart.
    pub(crate) pause: PauseFile,
    /// Whether the agenda runs.
    pub(crate) scheduler_up: AtomicBool,
    /// Cancelled when the monitor stops: no order is taken then.
    pub(crate) stop: CancellationToken,
    /// Set where there is a bus.
    pub(crate) bus: OnceLock<Arc<BusCounters>>,
}

/// A page of sealed records.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RecordsDocument {
    /// `peermark.monitor-records/1`.
    pub schema: String,
    /// The records from the asked number on. Numbers that are missing at the beginning were pruned.
    pub records: Vec<SealedRecord>,
}

/// One sealed record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SealedRecord {
    /// Its number.
    pub seq: u64,
    /// Its canonical bytes, base64 (RFC 4648 with padding).
    pub sealed: String,
}

impl State {
    /// What tasks there are.
    pub fn tasks(&self) -> TasksDocument {
        let tasks = self.entries.iter().map(|entry| describe(entry)).collect();
        TasksDocument { schema: "peermark.monitor-tasks/1".into(), tasks }
    }

    /// The JSON Schema of a task's result.
    ///
    /// # Errors
    /// [`DeskError::UnknownTask`].
    pub fn result_schema(&self, name: &str) -> Result<Value, DeskError> {
        Ok((self.entry(name)?.about.schema)())
    }

    /// Sealed records from a number on.
    ///
    /// # Errors
    /// [`DeskError::History`].
    pub async fn records(&self, from: u64, limit: u32) -> Result<RecordsDocument, DeskError> {
        let page = self.history.records(from, limit).await.map_err(|error| DeskError::History(Box::new(error)))?;
        let record = |record: StoredRecord| SealedRecord { seq: record.seq, sealed: STANDARD.encode(record.sealed) };
        let records = page.into_iter().map(record).collect();
        Ok(RecordsDocument { schema: "peermark.monitor-records/1".into(), records })
    }

    /// Attempts since the start, by task and end.
    pub(crate) fn attempts(&self) -> Vec<(String, &'static str, u64)> {
        let counts = |entry: &Arc<Entry>| {
            let name = entry.about.name.clone();
            entry.counts().map(move |(status, count)| (name.clone(), status.as_str(), count)).collect::<Vec<_>>()
        };
        self.entries.iter().filter(|entry| entry.idle.is_none()).flat_map(counts).collect()
    }

    /// Moments that no run was started for, by task and why.
    pub(crate) fn moments(&self) -> Vec<(String, &'static str, u64)> {
        let of = |entry: &Arc<Entry>| {
            let counts = self.agenda.counts(self.agenda.plan(&entry.about.name)?);
            Some(
                [("dropped", counts.dropped), ("missed", counts.missed)]
                    .map(|(fate, n)| (entry.about.name.clone(), fate, n)),
            )
        };
        self.entries.iter().filter_map(of).flatten().collect()
    }

    /// How the monitor itself is.
    pub(crate) fn gauges(&self) -> [(&'static str, &'static str, f64); 2] {
        let up = u8::from(self.scheduler_up.load(Ordering::Relaxed));
        [
            ("peermark_monitor_scheduler_up", "Whether runs are scheduled: 0 is a fault of the monitor", f64::from(up)),
            ("peermark_monitor_waiting", "Attempts that the history could not yet take", self.journal.waiting() as f64),
        ]
    }

    /// What the monitor counts of itself.
    pub(crate) fn counters(&self) -> Vec<(&'static str, &'static str, u64)> {
        let mut counters = vec![
            ("peermark_monitor_store_retries", "Writes to the history that were tried again", self.journal.failures()),
            ("peermark_monitor_store_refused", "Attempts that the history refused", self.journal.refused()),
            ("peermark_monitor_store_lost", "Attempts that a broken history could not keep", self.journal.lost()),
        ];
        if let Some(bus) = self.bus.get() {
            let bus = bus.figures();
            counters.extend([
                ("peermark_monitor_bus_connections", "Connections opened to Redis", bus.connections),
                ("peermark_monitor_bus_requests", "Messages taken from the bus", bus.requests),
                ("peermark_monitor_bus_answered", "Requests answered over the bus", bus.answered),
                ("peermark_monitor_bus_errors", "Requests answered with an error", bus.errors),
                (
                    "peermark_monitor_bus_dropped",
                    "Messages that got no answer: no request, too long, expired, of another schema, for a key that is not the caller's",
                    bus.malformed + bus.oversized + bus.expired + bus.foreign_schema + bus.refused_return,
                ),
                ("peermark_monitor_bus_undelivered", "Answers that Redis did not take", bus.undelivered),
            ]);
        }
        counters
    }

    fn entry(&self, name: &str) -> Result<&Arc<Entry>, DeskError> {
        self.entries.iter().find(|entry| entry.about.name == name).ok_or_else(|| DeskError::UnknownTask {
            name: name.chars().take(100).collect(),
            nearest: nearest(name, self.entries.iter().map(|entry| entry.about.name.as_str())),
        })
    }

    fn result(&self, attempt: &Attempt) -> Option<TaskResult> {
        let entry = self.entries.iter().find(|entry| entry.about.name == attempt.task)?;
        Some(TaskResult {
            name: attempt.task.clone(),
            description: entry.about.description.clone(),
            timestamp: attempt.ended_ms / 1000,
            result: attempt.result.clone()?,
        })
    }

    fn paused(&self) -> Option<Pause> {
        let until_ms = self.agenda.paused_until_ms()?;
        Some(Pause { until_ms, reason: self.pause.reason() })
    }

    fn times(&self, name: &str) -> Times {
        let Some(plan) = self.agenda.plan(name) else { return Times::default() };
        Times {
            running_since_ms: self.agenda.running_since_ms(plan),
            next_ms: self.agenda.next_ms(plan),
            is_waiting: self.agenda.is_waiting(plan),
        }
    }

    fn scheduled(&self, entry: &Entry) -> Option<ScheduledTask> {
        let plan = self.agenda.plan(&entry.about.name)?;
        Some(ScheduledTask {
            name: entry.about.name.clone(),
            cron: entry.about.cron.clone(),
            jitter_s: entry.about.jitter_s,
            phase_ms: self.agenda.phase_ms(plan),
            timeout_s: entry.about.timeout.as_secs(),
            next_ms: self.agenda.next_ms(plan),
        })
    }
}

impl Desk for State {
    fn get(&self, name: &str) -> Result<TaskResult, DeskError> {
        let attempt = self.history.latest_success(name).ok_or(DeskError::ResultNotFound)?;
        self.result(&attempt).ok_or(DeskError::ResultNotFound)
    }

    fn get_all(&self) -> Vec<TaskResult> {
        self.history.latest_successes().iter().filter_map(|attempt| self.result(attempt)).collect()
    }

    fn history<'a>(&'a self, name: &'a str, since_ms: u64, limit: u32) -> Answer<'a, HistoryDocument> {
        Box::pin(async move {
            let entry = self.entry(name)?;
            let limit = limit.min(MAX_HISTORY);
            let failed = |error| DeskError::History(Box::new(error));
            let Page { attempts, truncated } = self.history.since(name, since_ms, limit).await.map_err(failed)?;
            let mut days = if truncated { Vec::new() } else { self.history.days(name).await.map_err(failed)? };
            days.retain(|day| day.day_ms.saturating_add(DAY_MS) > since_ms);
            Ok(HistoryDocument {
                schema: "peermark.monitor-history/1".into(),
                name: name.to_owned(),
                unit: entry.about.unit,
                attempts,
                truncated,
                days,
            })
        })
    }

    fn run_now(&self, name: &str) -> Result<RunTicket, DeskError> {
        let entry = self.entry(name)?;
        if let Some(reason) = &entry.idle {
            return Err(DeskError::NotConfigured { name: name.to_owned(), reason: reason.clone() });
        }
        if self.stop.is_cancelled() || !self.scheduler_up.load(Ordering::Relaxed) {
            return Err(DeskError::Refused("no tests are run any more: the monitor stops".into()));
        }
        let after_seq = *self.history.changes().borrow();
        self.agenda.run_now(name).map_err(|refused| match refused {
            RunRefused::TooOften { wait } => DeskError::TooOften { name: name.to_owned(), wait_s: wait.as_secs() + 1 },
            RunRefused::Running => DeskError::AlreadyRunning { name: name.to_owned() },
            RunRefused::Unknown => DeskError::UnknownTask { name: name.to_owned(), nearest: None },
        })?;
        Ok(RunTicket { schema: "peermark.monitor-run/1".into(), name: name.to_owned(), after_seq })
    }

    fn schedule(&self) -> ScheduleDocument {
        let tasks = self.entries.iter().filter_map(|entry| self.scheduled(entry)).collect();
        ScheduleDocument { schema: "peermark.monitor-schedule/1".into(), zone: self.zone.clone(), tasks }
    }

    fn status(&self) -> StatusDocument {
        let now_ms = self.clock.wall_ms();
        let moment = Moment { now_ms, started_ms: self.started_ms };
        let of = |entry: &Arc<Entry>| {
            let name = &entry.about.name;
            status::of(entry, &self.history.latest(name), self.times(name), moment)
        };
        StatusDocument {
            schema: "peermark.monitor-status/1".into(),
            node: self.node.id.clone(),
            version: self.version.clone(),
            started_ms: self.started_ms,
            now_ms,
            paused: self.paused(),
            chain: self.history.head(),
            tasks: self.entries.iter().map(of).collect(),
        }
    }

    fn pause(&self, for_s: u64, reason: &str) -> Result<Pause, DeskError> {
        let reason = reason.trim();
        if reason.is_empty() {
            return Err(DeskError::Refused("a pause needs a reason: the next one who looks will ask".into()));
        }
        if reason.len() > MAX_REASON_BYTES {
            return Err(DeskError::Refused(format!("a reason is at most {MAX_REASON_BYTES} bytes")));
        }
        if for_s == 0 || for_s > MAX_PAUSE_S {
            return Err(DeskError::Refused("a pause is 1 s to 30 days long".into()));
        }
        let until_ms = self.clock.wall_ms().saturating_add(for_s * 1000);
        let pause = Pause { until_ms, reason: reason.to_owned() };
        self.pause.keep(Some(&pause));
        self.agenda.pause_until(until_ms);
        Ok(pause)
    }

    fn resume(&self) {
        self.pause.keep(None);
        self.agenda.resume();
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.history.changes()
    }
}

fn describe(entry: &Entry) -> TaskDescription {
    let about = &entry.about;
    let failure = |failure: &crate::task::Failure| FailureDescription {
        code: failure.code.to_owned(),
        class: failure.class,
        culprit: failure.culprit,
        advice: failure.advice.to_owned(),
    };
    TaskDescription {
        name: about.name.clone(),
        description: about.description.clone(),
        unit: about.unit,
        value: about.value.clone(),
        better: about.better,
        light: about.light,
        cron: about.cron.clone(),
        jitter_s: about.jitter_s,
        timeout_s: about.timeout.as_secs(),
        bytes: about.bytes,
        cpu_ms: u64::try_from(about.cpu.as_millis()).unwrap_or(u64::MAX),
        failures: entry.failures().map(failure).collect(),
    }
}

/// The name that was most likely meant; `None` where none is near.
fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    let near = |known: &&str| strsim::jaro(known, name);
    let best = known.max_by(|a, b| near(a).total_cmp(&near(b)))?;
    (near(&best) > 0.7).then(|| best.to_owned())
}
