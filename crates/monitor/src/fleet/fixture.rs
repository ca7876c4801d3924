//! What the tests of the fleet share: documents of a monitor, and a server that gives them out.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use axum::extract::{Path, Query, State};
use axum::routing::get;
use axum::{Json, Router};
use parking_lot::Mutex;
use peermark_core::{Culprit, FailureClass, Unit};
use peermark_http::{Server, Tls};
use serde::Deserialize;

use super::config::{FleetConfig, NodeTarget};
use crate::attempt::{Attempt, Said, Status, Trigger};
use crate::desk::{Brief, ChainHead, HistoryDocument, Problem, StatusDocument, TaskState, TaskStatus};
use crate::task::Better;

pub(crate) const START_MS: u64 = 1_767_225_600_000;

pub(crate) fn task(name: &str, state: TaskState, seq: u64) -> TaskStatus {
    let status = if state == TaskState::Failed { Status::Failed } else { Status::Ok };
    let brief = |status, seq| Brief {
        seq,
        trigger: Trigger::Schedule,
        status,
        ended_ms: START_MS + seq * 1000,
        age_s: 5,
        stale: state == TaskState::Stale,
        duration_ns: 1_000_000,
        value: Some(40),
        skipped: None,
    };
    let problem = Problem { said: said(), advice: "replace it".into() };
    TaskStatus {
        name: name.into(),
        description: "looks at something".into(),
        state,
        not_configured: (state == TaskState::NotConfigured).then(|| "no target".into()),
        unit: Unit::Count,
        value: "things".into(),
        better: Better::Lower,
        running_since_ms: None,
        next_ms: Some(START_MS + 60_000),
        success: (seq > 0).then(|| brief(Status::Ok, seq)),
        attempt: (seq > 0).then(|| brief(status, seq)),
        problems: if state <= TaskState::Findings { vec![problem] } else { Vec::new() },
        trend: vec![1, 2, 3],
    }
}

pub(crate) fn said() -> Said {
    Said {
        code: "disk_failing".into(),
        class: FailureClass::Unfit,
        culprit: Culprit::Observer,
        detail: "SMART says <so>".into(),
    }
}

pub(crate) fn status(node: &str, tasks: Vec<TaskStatus>) -> StatusDocument {
    let seq = tasks.iter().filter_map(|task| Some(task.attempt.as_ref()?.seq)).max().unwrap_or(0);
    StatusDocument {
        schema: "peermark.monitor-status/1".into(),
        node: node.into(),
        version: "0.1.0".into(),
        started_ms: START_MS,
        now_ms: START_MS,
        paused: None,
        chain: ChainHead { seq, ..ChainHead::default() },
        tasks,
    }
}

pub(crate) fn attempt(task: &str, seq: u64) -> Attempt {
    Attempt {
        seq,
        task: task.into(),
        trigger: Trigger::Schedule,
        attempt: 1,
        intended_ms: START_MS + seq * 1000 - 10,
        started_ms: START_MS + seq * 1000 - 5,
        ended_ms: START_MS + seq * 1000,
        duration_ns: 5_000_000,
        status: if seq.is_multiple_of(5) { Status::Failed } else { Status::Ok },
        failure: seq.is_multiple_of(5).then(said),
        skipped: None,
        findings: Vec::new(),
        value: (!seq.is_multiple_of(5)).then_some(i64::try_from(seq).unwrap()),
        bytes: 0,
        result: None,
    }
}

pub(crate) fn config(urls: &[String]) -> FleetConfig {
    let node = |(index, url): (usize, &String)| NodeTarget {
        name: format!("n{index}"),
        url: url.clone(),
        token_file: None,
        ca: None,
        region: String::new(),
    };
    FleetConfig {
        every_s: 2,
        timeout_s: 1,
        silent_after: 3,
        node: urls.iter().enumerate().map(node).collect(),
        alert: Vec::new(),
    }
}

#[derive(Deserialize)]
struct Since {
    since_ms: u64,
}

/// A monitor whose answers the test decides. Its history of a task has every attempt up to the task's newest.
#[derive(Clone)]
pub(crate) struct Monitor {
    pub(crate) status: Arc<Mutex<StatusDocument>>,
    pub(crate) asked: Arc<AtomicU64>,
    pub(crate) histories: Arc<AtomicU64>,
    /// Whether its history cannot be read.
    pub(crate) broken: Arc<AtomicBool>,
    /// Attempts that an answer about its history holds: the oldest of those that were asked for.
    pub(crate) page: Arc<AtomicU64>,
}

impl Monitor {
    pub(crate) fn new(status: StatusDocument) -> Self {
        Self {
            status: Arc::new(Mutex::new(status)),
            asked: Arc::default(),
            histories: Arc::default(),
            broken: Arc::default(),
            page: Arc::new(AtomicU64::new(u64::MAX)),
        }
    }

    pub(crate) async fn serve(&self, token: Option<&str>, tls: Option<Tls>) -> Server {
        let bound = Server::bind("127.0.0.1:0".parse().unwrap(), token.map(Arc::from), false).await.unwrap();
        let bound = match tls {
            Some(tls) => bound.with_tls(tls),
            None => bound,
        };
        bound.serve(self.router())
    }

    fn router(&self) -> Router {
        let status = |State(monitor): State<Self>| async move {
            monitor.asked.fetch_add(1, Ordering::Relaxed);
            Json(monitor.status.lock().clone())
        };
        let history = |State(monitor): State<Self>, Path(name): Path<String>, Query(since): Query<Since>| async move {
            if monitor.broken.load(Ordering::Relaxed) {
                return Err(http::StatusCode::INTERNAL_SERVER_ERROR);
            }
            monitor.histories.fetch_add(1, Ordering::Relaxed);
            let newest = monitor.status.lock().tasks.iter().find(|task| task.name == name).unwrap().clone();
            let newest = newest.attempt.unwrap().seq;
            let asked: Vec<Attempt> = (1..=newest)
                .map(|seq| attempt(&name, seq))
                .filter(|attempt| attempt.ended_ms >= since.since_ms)
                .collect();
            let page = usize::try_from(monitor.page.load(Ordering::Relaxed)).unwrap_or(usize::MAX);
            Ok(Json(HistoryDocument {
                schema: "peermark.monitor-history/1".into(),
                truncated: asked.len() > page,
                attempts: asked.into_iter().take(page).collect(),
                name,
                unit: Unit::Count,
                days: Vec::new(),
            }))
        };
        Router::new()
            .route("/api/v1/monitor/status", get(status))
            .route("/api/v1/monitor/history/{name}", get(history))
            .with_state(self.clone())
    }
}
