//! One plan and where it stands.

use peermark_core::{MonotonicNs, Seed};

use super::super::handle::Counts;
use super::super::moment::{Now, milliseconds, nanoseconds, pause, phase_ms, random_ms};
use super::super::{AgendaOptions, Ending, Job, Plan, Trigger};

/// A step back of at most this, and at most a tenth of a plan's period, only delays it, ms.
const DELAY_MS: u64 = 60_000;

pub(in crate::agenda) struct Slot {
    pub(super) plan: Plan,
    pub(super) phase_ms: u64,
    /// When it is wanted next by its schedule.
    next: Option<Next>,
    /// In line.
    pub(super) waiting: Option<Wanted>,
    pub(super) running: Option<Running>,
    retry: Option<Again>,
    pub(super) requested_ns: Option<MonotonicNs>,
    pub(super) counts: Counts,
    last_success_ms: Option<u64>,
    seed: Seed,
    /// How many random parts were drawn.
    drawn: u64,
}

#[derive(Clone, Copy)]
struct Next {
    at_ms: u64,
    trigger: Trigger,
}

/// A run that is due.
#[derive(Clone, Copy)]
pub(super) struct Wanted {
    pub(super) trigger: Trigger,
    pub(super) attempt: u32,
    pub(super) ns: MonotonicNs,
    pub(super) wall_ms: u64,
    /// Whether it, or the run that it is another attempt at, was asked for.
    pub(super) on_request: bool,
}

#[derive(Clone, Copy)]
pub(super) struct Running {
    pub(super) job: Job,
    pub(super) on_request: bool,
    pub(super) since_ns: MonotonicNs,
    pub(super) since_ms: u64,
    /// Chosen is not begun: a stop may come in between.
    pub(super) has_begun: bool,
}

/// Another attempt, once its pause is over.
#[derive(Clone, Copy)]
struct Again {
    at_ns: MonotonicNs,
    attempt: u32,
    on_request: bool,
}

impl Wanted {
    pub(super) fn now(trigger: Trigger, now: Now) -> Self {
        let on_request = trigger == Trigger::Request;
        Self { trigger, attempt: 1, ns: now.ns, wall_ms: now.wall_ms, on_request }
    }
}

impl Slot {
    pub(super) fn new(plan: Plan, options: &AgendaOptions, now: Now) -> Self {
        let phase_ms = phase_ms(&options.node_id, &plan.name, milliseconds(plan.jitter));
        // A success of the future is one of a clock that was wrong: nothing is known of its age.
        let last_success_ms = plan.last_success_ms.map(|at_ms| at_ms.min(now.wall_ms));
        let mut slot = Self {
            plan,
            phase_ms,
            next: None,
            waiting: None,
            running: None,
            retry: None,
            requested_ns: None,
            counts: Counts::default(),
            last_success_ms,
            seed: options.seed,
            drawn: 0,
        };
        slot.next = slot.regular(now.wall_ms);
        slot
    }

    /// What the start asks for at once.
    pub(super) fn wanted_at_start(&mut self, now: Now) -> Option<Wanted> {
        let Some(last_ms) = self.last_success_ms else { return Some(Wanted::now(Trigger::Start, now)) };
        let missed = self.plan.cron.next_ms(last_ms).is_some_and(|at_ms| at_ms <= now.wall_ms);
        if missed { self.make_up(now) } else { None }
    }

    /// The next moment of the schedule after `after_ms`.
    fn regular(&mut self, after_ms: u64) -> Option<Next> {
        let moment_ms = self.plan.cron.next_ms(after_ms)?;
        let random_ms = random_ms(self.seed, &self.plan.name, self.drawn, milliseconds(self.plan.jitter));
        self.drawn += 1;
        let at_ms = moment_ms.saturating_add(self.phase_ms).saturating_add(random_ms);
        Some(Next { at_ms, trigger: Trigger::Schedule })
    }

    /// The moment of the schedule that has come, if one has. Of several, which a runtime that stood still leaves behind, the first.
    pub(super) fn due(&mut self, now: Now) -> Option<Wanted> {
        let next = self.next.filter(|next| next.at_ms <= now.wall_ms)?;
        self.next = self.regular(now.wall_ms);
        Some(Wanted { ns: now.ns_at(next.at_ms), wall_ms: next.at_ms, ..Wanted::now(next.trigger, now) })
    }

    /// What has to be caught up with after a time in which nobody could run it.
    pub(super) fn catch_up(&mut self, now: Now) -> Option<Wanted> {
        self.next.filter(|next| next.at_ms <= now.wall_ms)?;
        self.next = self.regular(now.wall_ms);
        self.make_up(now)
    }

    /// Makes up for a moment that has passed: at once, or as soon as the latest success is one period old, unless the schedule wants it
    /// earlier anyway.
    fn make_up(&mut self, now: Now) -> Option<Wanted> {
        let Some(last_ms) = self.last_success_ms else { return Some(Wanted::now(Trigger::CatchUp, now)) };
        let old_ms = self.plan.cron.period_ms(last_ms).map(|period_ms| last_ms.saturating_add(period_ms));
        match old_ms {
            Some(at_ms) if at_ms <= now.wall_ms => return Some(Wanted::now(Trigger::CatchUp, now)),
            Some(at_ms) if self.next.is_none_or(|next| at_ms < next.at_ms) => {
                self.next = Some(Next { at_ms, trigger: Trigger::CatchUp });
            }
            _ => self.counts.missed += 1,
        }
        None
    }

    /// After a step back, what was wanted next lies too far off by as much: it is wanted when it would have been, in addition to what
    /// the schedule wants by the new time. Small steps only delay it, because the two would come one upon the other.
    pub(super) fn clock_was_stepped_back(&mut self, now: Now, back_ms: u64) {
        // Its age stays.
        self.last_success_ms = self.last_success_ms.map(|at_ms| at_ms.saturating_sub(back_ms));
        let tenth_ms = self.plan.cron.period_ms(now.wall_ms).map_or(u64::MAX, |period_ms| period_ms / 10);
        if back_ms <= tenth_ms.min(DELAY_MS) {
            return;
        }
        let kept = self.next.map(|next| Next { at_ms: next.at_ms.saturating_sub(back_ms), ..next });
        let anew = self.regular(now.wall_ms);
        self.next = [kept, anew].into_iter().flatten().min_by_key(|next| next.at_ms);
    }

    /// The retry whose pause is over, if there is one. During a pause of the agenda only what was asked for goes on.
    pub(super) fn due_retry(&mut self, now: Now, is_paused: bool) -> Option<Wanted> {
        let again = self.retry.filter(|again| again.at_ns <= now.ns && (again.on_request || !is_paused))?;
        let late_ms = (now.ns - again.at_ns) / 1_000_000;
        Some(Wanted {
            trigger: Trigger::Retry,
            attempt: again.attempt,
            ns: again.at_ns,
            wall_ms: now.wall_ms.saturating_sub(late_ms),
            on_request: again.on_request,
        })
    }

    /// Whether a wanted run gets into the line: not while it stands there already, or runs.
    pub(super) fn stand_in_line(&mut self, wanted: Wanted) -> bool {
        if self.running.is_some() || self.waiting.is_some() {
            self.counts.dropped += 1;
            return false;
        }
        self.retry = None;
        self.waiting = Some(wanted);
        true
    }

    pub(super) fn ended(&mut self, ending: Ending, now: Now, seed: Seed) {
        let Some(Running { job, on_request, .. }) = self.running.take() else { return };
        match ending {
            Ending::Success => self.last_success_ms = Some(now.wall_ms),
            Ending::MayPass if job.attempt < self.plan.retry.attempts => {
                let pause = pause(&self.plan.retry, job.attempt, seed, job.trace);
                let at_ns = now.ns.saturating_add(nanoseconds(pause));
                self.retry = Some(Again { at_ns, attempt: job.attempt + 1, on_request });
            }
            Ending::MayPass | Ending::Final => {}
        }
    }

    /// When it has to be looked at again.
    pub(super) fn next_ns(&self, now: Now, is_paused: bool) -> Option<MonotonicNs> {
        let next = self.next.filter(|_| !is_paused).map(|next| now.ns_at(next.at_ms));
        let retry = self.retry.filter(|again| again.on_request || !is_paused).map(|again| again.at_ns);
        [next, retry].into_iter().flatten().min()
    }

    pub(super) fn next_ms(&self, now: Now, paused_until_ms: Option<u64>) -> Option<u64> {
        if let Some(wanted) = self.waiting {
            let held_ms = paused_until_ms.filter(|_| !wanted.on_request);
            return Some(now.wall_ms.max(held_ms.unwrap_or(0)));
        }
        let next_ms = self.next.map(|next| next.at_ms.max(paused_until_ms.unwrap_or(0)));
        let retry_ms = self.retry.map(|again| {
            let at_ms = now.wall_ms + again.at_ns.saturating_sub(now.ns) / 1_000_000;
            at_ms.max(paused_until_ms.filter(|_| !again.on_request).unwrap_or(0))
        });
        [next_ms, retry_ms].into_iter().flatten().min()
    }
}
