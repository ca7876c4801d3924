//! Runs tasks for the agenda: gives each what it needs, charges the budget, and makes an attempt of whatever came of it.

use std::collections::HashMap;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use peermark_core::{Clock, Culprit, FailureClass, MonotonicNs, Seed};
use peermark_probe::agenda::{Ending, Job, Work};
use peermark_probe::driver::Done;
use peermark_probe::recorder::Finished;
use tokio_util::sync::CancellationToken;

use crate::attempt::{Said, Status, Trigger};
use crate::budget::{Budget, Cost};
use crate::entry::Entry;
use crate::history::{MAX_RESULT_BYTES, NewAttempt};
use crate::journal::Journal;
use crate::task::{
    Context, Failure, Finding, NodeFacts, PANICKED, Past, RESULT_TOO_LARGE, Report, STOPPED, Stop, TIMEOUT,
};

/// What every run shares.
pub(crate) struct Runner {
    shared: Arc<Shared>,
}

/// What a runner is made of.
pub(crate) struct Shared {
    /// The tasks that are scheduled, in the order of the agenda's plans.
    pub(crate) entries: Vec<Arc<Entry>>,
    pub(crate) budget: Budget,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) seed: Seed,
    pub(crate) scratch: PathBuf,
    pub(crate) node: Arc<NodeFacts>,
    pub(crate) past: Arc<dyn Past>,
    pub(crate) journal: Arc<Journal>,
    pub(crate) stop: CancellationToken,
    /// What runs came to that the engine has not yet seen end, by trace. At most one per plan.
    pub(crate) came_to: Mutex<HashMap<u64, Result<Report, Stop>>>,
}

impl Runner {
    pub(crate) fn new(shared: Shared) -> Self {
        Self { shared: Arc::new(shared) }
    }
}

impl Work for Runner {
    fn run(&self, job: Job) -> impl Future<Output = Done> + Send + 'static {
        let shared = Arc::clone(&self.shared);
        async move {
            let came_to = shared.attempt(job).await;
            let done = done(&came_to);
            shared.came_to.lock().insert(job.trace, came_to);
            done
        }
    }

    fn ended(&self, job: &Job, end: &Finished) -> Ending {
        let shared = &self.shared;
        let came_to = shared.came_to.lock().remove(&job.trace);
        let came_to = match (came_to, end.outcome.class()) {
            // It came to something, but after its deadline.
            (Some(Ok(_)), Some(FailureClass::Timeout)) => Err(TIMEOUT_REF.stop("ended after its deadline")),
            (Some(came_to), _) => came_to,
            (None, class) => Err(cut_off(class)),
        };
        let ending = match &came_to {
            Ok(_) => Ending::Success,
            Err(Stop::Failed(finding)) if finding.failure.may_pass => Ending::MayPass,
            Err(_) => Ending::Final,
        };
        let attempt = shared.new_attempt(job, end, came_to);
        shared.entries[job.plan].count(attempt.status);
        shared.journal.push(attempt);
        ending
    }
}

static TIMEOUT_REF: Failure = TIMEOUT;
static PANICKED_REF: Failure = PANICKED;
static STOPPED_REF: Failure = STOPPED;
static RESULT_TOO_LARGE_REF: Failure = RESULT_TOO_LARGE;

/// Why a run came to nothing.
fn cut_off(class: Option<FailureClass>) -> Stop {
    match class {
        Some(FailureClass::Timeout) => TIMEOUT_REF.stop("no end by its deadline"),
        Some(FailureClass::Abandoned) => STOPPED_REF.stop("the monitor was stopped"),
        _ => PANICKED_REF.stop("its code panicked; the log has where"),
    }
}

/// How the engine sees it.
fn done(came_to: &Result<Report, Stop>) -> Done {
    match came_to {
        Ok(report) => Done::ok(report.bytes),
        Err(Stop::Failed(finding)) => Done::failed(finding.failure.class, finding.failure.culprit),
        Err(Stop::Skipped(_)) => Done::failed(FailureClass::NotSent, Culprit::Observer),
    }
}

impl Shared {
    async fn attempt(&self, job: Job) -> Result<Report, Stop> {
        let entry = &self.entries[job.plan];
        let expected = Cost { bytes: entry.about.bytes, cpu: entry.about.cpu };
        self.budget.take(expected, self.clock.wall_ms()).map_err(Stop::Skipped)?;
        let cancel = self.stop.child_token();
        // Cancels when this future is dropped, whether it ended or not: threads of the task do not outlive it.
        let _guard = cancel.clone().drop_guard();
        let context = Context {
            clock: Arc::clone(&self.clock),
            deadline_ns: job.deadline_ns,
            cancel,
            seed: Seed(rand::Rng::next_u64(&mut self.seed.stream_at(&entry.about.name, job.trace))),
            attempt: job.attempt,
            scratch: self.scratch.clone(),
            node: Arc::clone(&self.node),
            past: Arc::clone(&self.past),
        };
        let came_to = entry.task.run(context).await;
        let report = match came_to {
            Ok(report) => report,
            Err(stop) => {
                // What a failed run moved is not known. A target that was busy or absent took nothing; what broke later is charged
                // with its CPU time, and the next one that comes to an end is charged with its bytes.
                let used = match stop {
                    Stop::Skipped(_) => Cost { bytes: 0, cpu: Duration::ZERO },
                    Stop::Failed(_) => Cost { bytes: 0, ..expected },
                };
                self.budget.settle(expected, used, self.clock.wall_ms());
                return Err(stop);
            }
        };
        self.budget.settle(expected, Cost { bytes: report.bytes, cpu: report.cpu }, self.clock.wall_ms());
        let length = serde_json::to_vec(&report.result).map_or(usize::MAX, |text| text.len());
        if length > MAX_RESULT_BYTES {
            return Err(RESULT_TOO_LARGE_REF.stop(format!("{length} bytes of at most {MAX_RESULT_BYTES}")));
        }
        Ok(report)
    }

    fn new_attempt(&self, job: &Job, end: &Finished, came_to: Result<Report, Stop>) -> NewAttempt {
        let entry = &self.entries[job.plan];
        let (now_ns, now_ms) = (self.clock.now_ns(), self.clock.wall_ms());
        // The engine puts the end of a time-out at the deadline, also where the task gave up before it.
        let ended_ns = end.ended_ns.min(now_ns).max(end.started_ns);
        let wall = |at_ns: MonotonicNs| now_ms.saturating_sub(now_ns.saturating_sub(at_ns) / 1_000_000);
        let mut attempt = NewAttempt {
            task: entry.about.name.clone(),
            unit: entry.about.unit,
            trigger: trigger(job.trigger),
            attempt: job.attempt,
            intended_ms: job.intended_wall_ms,
            started_ms: wall(end.started_ns),
            ended_ms: wall(ended_ns),
            duration_ns: ended_ns - end.started_ns,
            status: Status::Ok,
            failure: None,
            skipped: None,
            findings: Vec::new(),
            value: None,
            bytes: 0,
            result: None,
        };
        match came_to {
            Ok(report) => {
                attempt.findings = findings(&report.findings);
                attempt.value = Some(report.value);
                attempt.bytes = report.bytes;
                attempt.result = Some(report.result);
            }
            Err(Stop::Failed(finding)) => {
                attempt.status = Status::Failed;
                attempt.failure = Some(said(&finding));
            }
            Err(Stop::Skipped(reason)) => {
                attempt.status = Status::Skipped;
                attempt.skipped = Some(cut(&reason));
            }
        }
        attempt
    }
}

/// Longest particulars that are kept.
const MAX_DETAIL_BYTES: usize = 2_000;

/// Most bytes that all findings of one attempt take in its record: with the longest result they still fit into one.
const MAX_FINDINGS_BYTES: usize = 12 * 1024;

/// What a finding takes beside its code and detail: names of members, class, culprit, lengths.
const FINDING_BYTES: usize = 96;

/// As many findings as there is room for; the last one says how many more there were.
fn findings(found: &[Finding]) -> Vec<Said> {
    let mut bytes = 0;
    let fits = |said: &Said| {
        bytes += FINDING_BYTES + said.code.len() + said.detail.len();
        bytes <= MAX_FINDINGS_BYTES
    };
    let mut kept: Vec<Said> = found.iter().map(said).take_while(fits).collect();
    let more = found.len() - kept.len();
    if let Some(last) = kept.last_mut().filter(|_| more > 0) {
        last.detail = format!("{}; and {more} more", last.detail);
    }
    kept
}

fn said(finding: &Finding) -> Said {
    let Failure { code, class, culprit, .. } = *finding.failure;
    Said { code: code.to_owned(), class, culprit, detail: cut(&finding.detail) }
}

fn cut(text: &str) -> String {
    if text.len() <= MAX_DETAIL_BYTES {
        return text.to_owned();
    }
    let end = (0..=MAX_DETAIL_BYTES).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    format!("{}… ({} bytes)", &text[..end], text.len())
}

fn trigger(trigger: peermark_probe::agenda::Trigger) -> Trigger {
    use peermark_probe::agenda::Trigger as From;
    match trigger {
        From::Schedule => Trigger::Schedule,
        From::Start => Trigger::Start,
        From::CatchUp => Trigger::CatchUp,
        From::Request => Trigger::Request,
        From::Retry => Trigger::Retry,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_many_findings_there_are_they_stay_short() {
        let found: Vec<Finding> = (0..500).map(|_| TIMEOUT_REF.with("x".repeat(3_000))).collect();
        let kept = findings(&found);
        let bytes: usize = kept.iter().map(|said| FINDING_BYTES + said.code.len() + said.detail.len()).sum();
        assert!(kept.len() > 3 && bytes < MAX_FINDINGS_BYTES + 40, "{} of {bytes} bytes", kept.len());
        assert!(kept.last().is_some_and(|last| last.detail.ends_with(&format!("; and {} more", 500 - kept.len()))));
        let few: Vec<Finding> = (0..40).map(|at| TIMEOUT_REF.with(format!("{at}"))).collect();
        assert_eq!(findings(&few), few.iter().map(said).collect::<Vec<_>>());
    }
}
