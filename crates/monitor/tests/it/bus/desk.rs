//! A desk whose answers a test puts there.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use peermark_core::Unit;
use peermark_monitor::attempt::{Attempt, Status, Trigger};
use peermark_monitor::desk::{
    Answer, ChainHead, Desk, DeskError, HistoryDocument, Pause, RunTicket, ScheduleDocument, ScheduledTask,
    StatusDocument, TaskResult,
};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, watch};

pub(super) struct FakeDesk {
    results: Mutex<BTreeMap<String, TaskResult>>,
    changes: watch::Sender<u64>,
    /// Questions about history wait for one each.
    pub(super) gate: Semaphore,
    /// Bytes of padding in every attempt.
    pub(super) padding: Mutex<usize>,
}

impl FakeDesk {
    pub(super) fn new() -> Self {
        Self {
            results: Mutex::default(),
            changes: watch::Sender::new(0),
            gate: Semaphore::new(1_000),
            padding: Mutex::new(0),
        }
    }

    /// A task succeeds.
    pub(super) fn succeed(&self, name: &str, timestamp: u64, result: Value) {
        let description = format!("What {name} does.");
        let success = TaskResult { name: name.into(), description, timestamp, result };
        self.results.lock().insert(name.into(), success);
        self.changes.send_modify(|seq| *seq += 1);
    }

    /// An attempt is stored that is no success.
    pub(super) fn fail(&self) {
        self.changes.send_modify(|seq| *seq += 1);
    }
}

fn attempt(seq: u64, task: &str, padding: usize) -> Attempt {
    Attempt {
        seq,
        task: task.into(),
        trigger: Trigger::Schedule,
        attempt: 1,
        intended_ms: seq * 1_000,
        started_ms: seq * 1_000,
        ended_ms: seq * 1_000 + 5,
        duration_ns: 5_000_000,
        status: Status::Ok,
        failure: None,
        skipped: None,
        findings: Vec::new(),
        value: Some(7),
        bytes: 0,
        result: Some(json!("x".repeat(padding))),
    }
}

impl Desk for FakeDesk {
    fn get(&self, name: &str) -> Result<TaskResult, DeskError> {
        self.results.lock().get(name).cloned().ok_or(DeskError::ResultNotFound)
    }

    fn get_all(&self) -> Vec<TaskResult> {
        self.results.lock().values().cloned().collect()
    }

    fn history<'a>(&'a self, name: &'a str, since_ms: u64, limit: u32) -> Answer<'a, HistoryDocument> {
        Box::pin(async move {
            self.gate.acquire().await.unwrap().forget();
            let _ = self.get(name)?;
            let padding = *self.padding.lock();
            let newest = since_ms / 1_000 + 1_000;
            let attempts = (newest - u64::from(limit)..newest).map(|seq| attempt(seq, name, padding)).collect();
            let schema = "peermark.monitor-history/1".into();
            Ok(HistoryDocument {
                schema,
                name: name.into(),
                unit: Unit::Bytes,
                attempts,
                truncated: false,
                days: Vec::new(),
            })
        })
    }

    fn run_now(&self, name: &str) -> Result<RunTicket, DeskError> {
        match name {
            "iperf" => Ok(RunTicket { schema: "peermark.monitor-run/1".into(), name: name.into(), after_seq: 41 }),
            "disk" => Err(DeskError::AlreadyRunning { name: name.into() }),
            "clock" => Err(DeskError::NotConfigured { name: name.into(), reason: "no server".into() }),
            _ => Err(DeskError::UnknownTask { name: name.into(), nearest: None }),
        }
    }

    fn schedule(&self) -> ScheduleDocument {
        let task = ScheduledTask {
            name: "iperf".into(),
            cron: "0 0 */6 * * *".into(),
            jitter_s: 1_200,
            phase_ms: 17,
            timeout_s: 600,
            next_ms: Some(1_767_225_617_000),
        };
        ScheduleDocument { schema: "peermark.monitor-schedule/1".into(), zone: "UTC".into(), tasks: vec![task] }
    }

    fn status(&self) -> StatusDocument {
        StatusDocument {
            schema: "peermark.monitor-status/1".into(),
            node: "12D3".into(),
            version: "0.1.0".into(),
            started_ms: 1,
            now_ms: 2,
            paused: None,
            chain: ChainHead::default(),
            tasks: Vec::new(),
        }
    }

    fn pause(&self, _: u64, _: &str) -> Result<Pause, DeskError> {
        Err(DeskError::Refused("not over the bus".into()))
    }

    fn resume(&self) {}

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}
