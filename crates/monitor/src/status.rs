//! How a task is doing, from what is known of it.

use std::sync::Arc;

use crate::attempt::{Attempt, Said, Status};
use crate::desk::{Brief, Problem, TaskState, TaskStatus};
use crate::entry::Entry;
use crate::history::TaskMemory;

/// How much later than it should be a result may come before it is stale, ms: what starting and storing take.
const SLACK_MS: u64 = 60_000;

/// What the agenda knows of a task.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Times {
    pub(crate) running_since_ms: Option<u64>,
    pub(crate) next_ms: Option<u64>,
    /// It is due and stands in line.
    pub(crate) is_waiting: bool,
}

/// Now, and since when the monitor runs, Unix ms.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) now_ms: u64,
    pub(crate) started_ms: u64,
}

/// The task at a moment.
pub(crate) fn of(entry: &Entry, memory: &TaskMemory, times: Times, moment: Moment) -> TaskStatus {
    let brief = |attempt: &Arc<Attempt>| brief(entry, attempt, times, moment.now_ms);
    let success = memory.success.as_ref().map(brief);
    let attempt = memory.attempt.as_ref().map(brief);
    TaskStatus {
        name: entry.about.name.clone(),
        description: entry.about.description.clone(),
        state: state(entry, memory, success.as_ref(), moment),
        not_configured: entry.idle.clone(),
        unit: entry.about.unit,
        value: entry.about.value.clone(),
        better: entry.about.better,
        running_since_ms: times.running_since_ms,
        next_ms: times.next_ms,
        problems: problems(entry, memory),
        trend: memory.trend.iter().copied().collect(),
        success,
        attempt,
    }
}

fn state(entry: &Entry, memory: &TaskMemory, success: Option<&Brief>, moment: Moment) -> TaskState {
    if entry.idle.is_some() {
        return TaskState::NotConfigured;
    }
    let Some(attempt) = &memory.attempt else {
        // As if the start had been an attempt: what never runs does not wait for ever.
        let is_late = moment.now_ms > stale_at_ms(entry, moment.started_ms);
        return if is_late { TaskState::Stale } else { TaskState::Waiting };
    };
    match attempt.status {
        Status::Failed => TaskState::Failed,
        // It looked and had a reason: whoever does not lead its site is well.
        Status::Skipped => TaskState::Skipped,
        Status::Ok if success.is_some_and(|success| success.stale) => TaskState::Stale,
        Status::Ok if !attempt.findings.is_empty() => TaskState::Findings,
        Status::Ok => TaskState::Ok,
    }
}

fn brief(entry: &Entry, attempt: &Arc<Attempt>, times: Times, now_ms: u64) -> Brief {
    let is_on_its_way = times.is_waiting || times.running_since_ms.is_some();
    // A clock that was set back: nobody knows how old it is.
    let is_from_the_future = attempt.ended_ms > now_ms.saturating_add(SLACK_MS);
    let is_late = now_ms > stale_at_ms(entry, attempt.ended_ms) && !is_on_its_way;
    Brief {
        seq: attempt.seq,
        trigger: attempt.trigger,
        status: attempt.status,
        ended_ms: attempt.ended_ms,
        age_s: now_ms.saturating_sub(attempt.ended_ms) / 1000,
        stale: entry.idle.is_none() && (is_late || is_from_the_future),
        duration_ns: attempt.duration_ns,
        value: attempt.value,
        skipped: attempt.skipped.clone(),
    }
}

/// From when on a newer result should be there: the next moment, as late as it may come, with every attempt that it may take.
fn stale_at_ms(entry: &Entry, ended_ms: u64) -> u64 {
    let Some(next_ms) = entry.cron.next_ms(ended_ms) else { return u64::MAX };
    let retry = entry.about.retry;
    let attempts = entry.about.timeout.saturating_mul(retry.attempts.max(1));
    // Half of a pause may be added to it.
    let pauses = retry.longest.saturating_mul(retry.attempts.saturating_sub(1)).mul_f64(1.5);
    let longest_ms = u64::try_from(attempts.saturating_add(pauses).as_millis()).unwrap_or(u64::MAX);
    next_ms.saturating_add(u64::from(entry.about.jitter_s) * 1000).saturating_add(longest_ms).saturating_add(SLACK_MS)
}

/// Why the latest attempt failed, and what the latest success found.
fn problems(entry: &Entry, memory: &TaskMemory) -> Vec<Problem> {
    let failed = memory.attempt.iter().filter_map(|attempt| attempt.failure.as_ref());
    let found = memory.success.iter().flat_map(|success| &success.findings);
    let problem = |said: &Said| Problem { said: said.clone(), advice: entry.advice(&said.code) };
    failed.chain(found).map(problem).collect()
}
