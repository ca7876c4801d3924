//! What the nodes' own tests said during a run. Read from the nodes before they stop.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::stream::{self, StreamExt};
use peermark_core::{Outcome, Sample, Unit};
use peermark_monitor::attempt::{Attempt, Status};
use peermark_monitor::client::{Access, MonitorClient, ServiceError};

use crate::launch::LiveNode;
use crate::result::{SelfTestProblem, SelfTestResult, SelfTestValues};

/// Nodes that are asked at the same time.
const PARALLEL: usize = 8;

/// Longest time for one answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Attempts of one test on one node that are taken into the report, the newest.
const MAX_ATTEMPTS: u32 = 1_000;

/// Problems of one task that are shown; all are counted.
const MAX_PROBLEMS: usize = 20;

/// The attempts of one task on one node.
pub(super) struct Attempts {
    pub(super) node: u32,
    pub(super) peer: String,
    pub(super) task: String,
    pub(super) unit: Unit,
    pub(super) attempts: Vec<Attempt>,
    value: String,
    advice: BTreeMap<String, String>,
}

/// Asks every node of ours that runs. One that does not answer is left out: that it is gone is told elsewhere.
pub(super) async fn collect(nodes: &[LiveNode]) -> Vec<Attempts> {
    let own = nodes.iter().filter(|node| node.kind.is_own());
    let answers = stream::iter(own.map(|node| async move {
        of_node(node).await.unwrap_or_else(|error| {
            tracing::debug!(node = node.index, %error, "self-tests are not told");
            Vec::new()
        })
    }));
    let mut all: Vec<Attempts> =
        answers.buffer_unordered(PARALLEL).collect::<Vec<_>>().await.into_iter().flatten().collect();
    all.sort_by(|a, b| (&a.task, a.node).cmp(&(&b.task, b.node)));
    all
}

async fn of_node(node: &LiveNode) -> Result<Vec<Attempts>, ServiceError> {
    let monitor = MonitorClient::new(&Access::anonymous(node.client.endpoint().to_string(), PATIENCE))?;
    let status = monitor.status().await?;
    let mut all = Vec::new();
    for task in status.tasks.into_iter().filter(|task| task.attempt.is_some()) {
        let attempts = monitor.history(&task.name, 0, MAX_ATTEMPTS).await?.attempts;
        let advice = task.problems.into_iter().map(|problem| (problem.said.code, problem.advice)).collect();
        let (unit, value, peer) = (task.unit, task.value, status.node.clone());
        all.push(Attempts { node: node.index, peer, task: task.name, unit, attempts, value, advice });
    }
    Ok(all)
}

/// One entry per task.
pub(super) fn results(all: &[Attempts]) -> Vec<SelfTestResult> {
    let mut results: Vec<SelfTestResult> = Vec::new();
    for one in all {
        if results.last().is_none_or(|last| last.task != one.task) {
            results.push(SelfTestResult::new(&one.task, one.unit, &one.value));
        }
        if let Some(result) = results.last_mut() {
            add(result, one);
        }
    }
    for result in &mut results {
        let of_task: Vec<&Attempts> = all.iter().filter(|one| one.task == result.task).collect();
        result.values = values(&of_task);
    }
    results
}

fn add(result: &mut SelfTestResult, one: &Attempts) {
    result.nodes += 1;
    for attempt in &one.attempts {
        match attempt.status {
            Status::Ok => result.ok += 1,
            Status::Failed => result.failed += 1,
            Status::Skipped => result.skipped += 1,
        }
        for said in attempt.failure.iter().chain(&attempt.findings) {
            *result.problems_by_code.entry(said.code.clone()).or_default() += 1;
            if result.problems.len() < MAX_PROBLEMS {
                result.problems.push(SelfTestProblem {
                    node: one.node,
                    code: said.code.clone(),
                    culprit: said.culprit,
                    detail: said.detail.clone(),
                    advice: one.advice.get(&said.code).cloned(),
                });
            }
        }
    }
}

/// Smallest, median and largest of all successes.
fn values(of_task: &[&Attempts]) -> Option<SelfTestValues> {
    let mut values: Vec<i64> =
        of_task.iter().flat_map(|one| &one.attempts).filter_map(|attempt| attempt.value).collect();
    values.sort_unstable();
    let (low, high) = (*values.first()?, *values.last()?);
    let median = values[(values.len() - 1) / 2];
    Some(SelfTestValues { n: values.len() as u64, low, median, high })
}

/// The attempts as samples of the run, whose epoch is at `epoch_ms` of the wall clock. Skipped ones measured nothing.
pub(super) fn samples(one: &Attempts, epoch_ms: u64) -> Vec<Sample> {
    let since = |wall_ms: u64| wall_ms.saturating_sub(epoch_ms).saturating_mul(1_000_000);
    let measured = one.attempts.iter().filter(|attempt| attempt.status != Status::Skipped);
    measured
        .map(|attempt| {
            let started_ns = since(attempt.started_ms);
            Sample {
                seq: attempt.seq,
                intended_ns: since(attempt.intended_ms).min(started_ns),
                started_ns,
                ended_ns: started_ns.saturating_add(attempt.duration_ns),
                bytes: attempt.bytes,
                value: attempt.value.unwrap_or_default(),
                outcome: match &attempt.failure {
                    Some(said) => Outcome::failed(said.class, said.culprit),
                    None => Outcome::Ok,
                },
                trace: attempt.seq,
            }
        })
        .collect()
}
