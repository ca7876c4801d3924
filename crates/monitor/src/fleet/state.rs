//! What is known of every node, in memory. Only this module says how a node is doing.

use std::time::Duration;

use peermark_core::{MonotonicNs, Unit};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::config::FleetConfig;
use super::document::{FleetCell, FleetDocument, FleetNode, SCHEMA};
use crate::desk::{StatusDocument, TaskState, TaskStatus};

/// Longest text of an error that is kept.
const MAX_ERROR_CHARS: usize = 300;

/// How long a node is shown with what was seen of it once: long enough for somebody to come by.
const WARN_NS: u64 = 24 * 3600 * 1_000_000_000;

/// A node or one of its tasks in one word. The order is from worst to best.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CellState {
    /// The node has not answered for so many intervals that what it said no longer counts.
    Silent,
    /// The latest attempt failed.
    Failed,
    /// It ran and found something wrong with the node.
    Findings,
    /// The latest success is older than it should be.
    Stale,
    /// It did not run, or was not asked, yet.
    Waiting,
    /// The latest attempt was skipped.
    Skipped,
    /// All is well.
    Ok,
    /// It does not run with the node's configuration.
    NotConfigured,
}

impl CellState {
    /// Every state, from worst to best.
    pub const ALL: [Self; 8] = [
        Self::Silent,
        Self::Failed,
        Self::Findings,
        Self::Stale,
        Self::Waiting,
        Self::Skipped,
        Self::Ok,
        Self::NotConfigured,
    ];

    /// The name in documents.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Silent => "silent",
            Self::Failed => "failed",
            Self::Findings => "findings",
            Self::Stale => "stale",
            Self::Waiting => "waiting",
            Self::Skipped => "skipped",
            Self::Ok => "ok",
            Self::NotConfigured => "not_configured",
        }
    }

    /// Whether somebody has to look at it.
    pub fn is_bad(self) -> bool {
        self <= Self::Stale
    }
}

impl From<TaskState> for CellState {
    fn from(state: TaskState) -> Self {
        match state {
            TaskState::Failed => Self::Failed,
            TaskState::Findings => Self::Findings,
            TaskState::Stale => Self::Stale,
            TaskState::Waiting => Self::Waiting,
            TaskState::Skipped => Self::Skipped,
            TaskState::Ok => Self::Ok,
            TaskState::NotConfigured => Self::NotConfigured,
        }
    }
}

/// Everything that is known of the fleet.
#[derive(Debug)]
pub struct FleetState {
    nodes: Vec<NodeState>,
    every: Duration,
    /// `None`: one question decides.
    patience_ns: Option<u64>,
    /// Nobody has been silent for longer than somebody listened.
    began_ns: MonotonicNs,
    polls: u64,
    failed: u64,
}

#[derive(Debug)]
struct NodeState {
    name: String,
    url: String,
    region: String,
    /// What it said last and when, by this machine's clock.
    said: Option<(StatusDocument, MonotonicNs)>,
    /// Why the latest question had no answer; `None` where it had one.
    error: Option<String>,
    /// Something about the node itself that no task of its own can find, and when it was seen.
    warning: Option<(String, MonotonicNs)>,
    /// Why its attempts are not kept; `None` where they are.
    not_kept: Option<String>,
}

impl FleetState {
    /// Nobody was asked yet.
    pub fn new(config: &FleetConfig, now_ns: MonotonicNs) -> Self {
        let node = |target: &super::config::NodeTarget| NodeState {
            name: target.name.clone(),
            url: target.url.clone(),
            region: target.region.clone(),
            said: None,
            error: None,
            warning: None,
            not_kept: None,
        };
        Self {
            nodes: config.node.iter().map(node).collect(),
            every: config.every(),
            patience_ns: Some(u64::try_from(config.patience().as_nanos()).unwrap_or(u64::MAX)),
            began_ns: now_ns,
            polls: 0,
            failed: 0,
        }
    }

    /// Whoever does not answer the next question is silent: for a view that asks once.
    pub fn ask_once(&mut self) {
        self.patience_ns = None;
    }

    /// A node answered.
    pub fn answered(&mut self, node: usize, status: StatusDocument, now_ns: MonotonicNs) {
        self.polls += 1;
        let state = &mut self.nodes[node];
        let found = state.said.as_ref().and_then(|(before, _)| warning(before, &status));
        if let Some(found) = found {
            state.warning = Some((found, now_ns));
        }
        state.said = Some((status, now_ns));
        state.error = None;
    }

    /// Something about a node itself that was seen elsewhere than in its answers. Shown for a day.
    pub fn warn(&mut self, node: usize, what: String, now_ns: MonotonicNs) {
        self.nodes[node].warning = Some((what, now_ns));
    }

    /// Whether a node's attempts are kept, and why not. That is no silence: it did answer.
    pub fn kept(&mut self, node: usize, why_not: Option<&str>) {
        self.nodes[node].not_kept = why_not.map(|why| format!("its attempts are not kept: {}", shortened(why)));
    }

    /// Whether a node's scheduled runs are held back, by what it said last and the time since then.
    pub fn is_paused(&self, node: usize, now_ns: MonotonicNs) -> bool {
        let passed_ms = self.quiet_ns(node, now_ns) / 1_000_000;
        self.said(node).is_some_and(|said| {
            said.paused.as_ref().is_some_and(|pause| pause.until_ms > said.now_ms.saturating_add(passed_ms))
        })
    }

    /// A node did not answer.
    pub fn failed(&mut self, node: usize, why: &str) {
        self.polls += 1;
        self.failed += 1;
        self.nodes[node].error = Some(shortened(why));
    }

    /// What a node said last.
    pub fn said(&self, node: usize) -> Option<&StatusDocument> {
        self.nodes[node].said.as_ref().map(|(status, _)| status)
    }

    /// Whether the latest question had no answer.
    pub fn is_failing(&self, node: usize) -> bool {
        self.nodes[node].error.is_some()
    }

    /// Whether a node has said nothing for so long that it counts as silent.
    pub fn is_silent(&self, node: usize, now_ns: MonotonicNs) -> bool {
        match self.patience_ns {
            Some(patience_ns) => self.quiet_ns(node, now_ns) >= patience_ns,
            None => self.is_failing(node),
        }
    }

    /// Seconds since a node answered, or since somebody listened.
    pub fn quiet_s(&self, node: usize, now_ns: MonotonicNs) -> u64 {
        self.quiet_ns(node, now_ns) / 1_000_000_000
    }

    fn quiet_ns(&self, node: usize, now_ns: MonotonicNs) -> u64 {
        let heard_ns = self.nodes[node].said.as_ref().map_or(self.began_ns, |(_, at_ns)| *at_ns);
        now_ns.saturating_sub(heard_ns)
    }

    /// The grid, worst first. Alerts are added by whoever knows them.
    pub fn document(&self, now_ns: MonotonicNs, now_ms: u64) -> FleetDocument {
        let mut nodes: Vec<FleetNode> = (0..self.nodes.len()).map(|node| self.node(node, now_ns)).collect();
        // Stable: nodes that are doing equally badly stay in the order of the file.
        nodes.sort_by_key(|node| {
            let bad = node.tasks.iter().filter(|cell| cell.state.is_bad()).count();
            (node.state, std::cmp::Reverse(bad))
        });
        FleetDocument {
            schema: SCHEMA.to_owned(),
            now_ms,
            every_s: self.every.as_secs(),
            tasks: columns(&nodes),
            nodes,
            alerts: Vec::new(),
            polls: self.polls,
            failed_polls: self.failed,
        }
    }

    fn node(&self, index: usize, now_ns: MonotonicNs) -> FleetNode {
        let node = &self.nodes[index];
        let silent = self.is_silent(index, now_ns);
        let since_s = self.quiet_s(index, now_ns);
        let status = node.said.as_ref().map(|(status, _)| status);
        let tasks: Vec<FleetCell> =
            status.map_or_else(Vec::new, |said| said.tasks.iter().map(|task| cell(task, since_s, silent)).collect());
        let worst = tasks.iter().map(|cell| cell.state).min().unwrap_or(CellState::Waiting);
        FleetNode {
            name: node.name.clone(),
            url: node.url.clone(),
            region: node.region.clone(),
            node: status.map(|said| said.node.clone()),
            version: status.map(|said| said.version.clone()),
            state: if silent { CellState::Silent } else { worst },
            quiet_s: since_s,
            error: node.error.clone(),
            warning: node.warning(now_ns),
            paused: status.filter(|_| self.is_paused(index, now_ns)).and_then(|said| said.paused.clone()),
            tasks,
        }
    }
}

impl NodeState {
    fn warning(&self, now_ns: MonotonicNs) -> Option<String> {
        let seen = self.warning.as_ref().filter(|(_, at_ns)| now_ns.saturating_sub(*at_ns) < WARN_NS);
        let said: Vec<&str> =
            [seen.map(|(text, _)| text.as_str()), self.not_kept.as_deref()].into_iter().flatten().collect();
        (!said.is_empty()).then(|| said.join("; "))
    }
}

fn shortened(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_ERROR_CHARS).collect()
}

/// What two answers of one node say about it together.
fn warning(before: &StatusDocument, now: &StatusDocument) -> Option<String> {
    if before.node != now.node {
        return Some(format!("another node answers here than before: it was {}", before.node));
    }
    (now.chain.seq < before.chain.seq).then(|| {
        format!(
            "its chain of records went back from {} to {}: its history was lost or replaced",
            before.chain.seq, now.chain.seq
        )
    })
}

fn cell(task: &TaskStatus, since_s: u64, silent: bool) -> FleetCell {
    let state = CellState::from(task.state);
    let problem = task.problems.first();
    FleetCell {
        task: task.name.clone(),
        // A task that the node does not run is not missed when the node is silent.
        state: if silent && state != CellState::NotConfigured { CellState::Silent } else { state },
        last_state: state,
        age_s: task.success.as_ref().map(|success| success.age_s.saturating_add(since_s)),
        seq: task.attempt.as_ref().map(|attempt| attempt.seq),
        duration_ns: task.attempt.as_ref().map(|attempt| attempt.duration_ns),
        value: task.success.as_ref().and_then(|success| success.value),
        unit: task.unit,
        problem: problem.map(|problem| format!("{}: {}", problem.said.code, problem.said.detail)),
        advice: problem.map(|problem| problem.advice.clone()),
        trend: task.trend.clone(),
    }
}

/// The tasks that any node runs, the worst first, then in the order in which nodes list them.
fn columns(nodes: &[FleetNode]) -> Vec<String> {
    let mut columns: Vec<(String, CellState)> = Vec::new();
    for cell in nodes.iter().flat_map(|node| &node.tasks) {
        match columns.iter_mut().find(|(name, _)| *name == cell.task) {
            Some((_, worst)) => *worst = (*worst).min(cell.state),
            None => columns.push((cell.task.clone(), cell.state)),
        }
    }
    columns.retain(|(_, worst)| *worst != CellState::NotConfigured);
    columns.sort_by_key(|(_, worst)| *worst);
    columns.into_iter().map(|(name, _)| name).collect()
}

/// A value in its unit, as people read it.
pub fn value_in_words(value: i64, unit: Unit) -> String {
    use peermark_page::format;
    let sign = if value < 0 { "-" } else { "" };
    let size = value.unsigned_abs();
    let words = match unit {
        Unit::Nanoseconds => format::duration(size).to_string(),
        Unit::Bytes => format::bytes(size).to_string(),
        Unit::Count => format::count(size),
        Unit::PartsPerMillion => format::percent(size as f64 / 1e6),
        Unit::BitsPerSecond => bits_per_second(size),
    };
    format!("{sign}{words}")
}

/// Decimal, as links are sold.
fn bits_per_second(bits: u64) -> String {
    let (divisor, unit) = match bits {
        0..1_000 => (1.0, "bit/s"),
        1_000..1_000_000 => (1e3, "kbit/s"),
        1_000_000..1_000_000_000 => (1e6, "Mbit/s"),
        _ => (1e9, "Gbit/s"),
    };
    format!("{} {unit}", peermark_page::format::significant(bits as f64 / divisor))
}
