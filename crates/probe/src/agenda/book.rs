//! What is wanted when, who stands in line, who runs. Pure state: every moment comes from outside.

mod slot;

use std::collections::VecDeque;
use std::time::Duration;

use peermark_core::{MonotonicNs, Seed};

use super::handle::{Counts, RunRefused};
use super::moment::{Now, nanoseconds};
use super::{AgendaOptions, Classes, Ending, Job, Plan, Trigger};

use slot::{Running, Slot, Wanted};

/// By how much the wall clock may move against the monotonic one between two looks before that is a step, ms. Clocks that are slewed
/// move by half a millisecond a second.
const STEP_MS: i128 = 2_000;

const MINUTE_NS: u64 = 60_000_000_000;

pub(super) struct Book {
    slots: Vec<Slot>,
    /// Plans that are due, in the order in which they became so.
    line: VecDeque<usize>,
    /// When something was asked for during the last minute.
    requests: VecDeque<MonotonicNs>,
    requests_per_minute: usize,
    paused_until_ms: Option<u64>,
    looked: Now,
    seed: Seed,
    traces: u64,
    chosen: Option<Job>,
    /// Classes that somebody outside of the agenda uses, each with its number.
    held: Vec<(u64, Classes)>,
    holds: u64,
    /// When the execution began: nothing was wanted of it before.
    began_ns: MonotonicNs,
}

impl Book {
    pub(super) fn new(plans: Vec<Plan>, options: &AgendaOptions) -> Self {
        let now = Now { ns: options.clock.now_ns(), wall_ms: options.clock.wall_ms() };
        let mut book = Self {
            slots: plans.into_iter().map(|plan| Slot::new(plan, options, now)).collect(),
            line: VecDeque::new(),
            requests: VecDeque::new(),
            requests_per_minute: usize::try_from(options.requests_per_minute).unwrap_or(usize::MAX),
            paused_until_ms: None,
            looked: now,
            seed: options.seed,
            traces: 0,
            chosen: None,
            held: Vec::new(),
            holds: 0,
            began_ns: 0,
        };
        for plan in 0..book.slots.len() {
            if let Some(wanted) = book.slots[plan].wanted_at_start(now) {
                book.want(plan, wanted);
            }
        }
        book
    }

    /// The execution begins.
    pub(super) fn set_began(&mut self, began_ns: MonotonicNs) {
        self.began_ns = began_ns;
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.slots.iter().map(|slot| slot.plan.name.clone()).collect()
    }

    pub(super) fn plan(&self, name: &str) -> Option<usize> {
        self.slots.iter().position(|slot| slot.plan.name == name)
    }

    /// Puts in line what has become due.
    pub(super) fn look(&mut self, now: Now) {
        let wall_ms = i128::from(now.wall_ms) - i128::from(self.looked.wall_ms);
        let passed_ms = i128::from(now.ns.saturating_sub(self.looked.ns) / 1_000_000);
        self.looked = now;
        let step_ms = wall_ms - passed_ms;
        let was_paused = self.paused_until_ms.is_some();
        let is_paused = self.paused_until(now.wall_ms).is_some();
        if !is_paused {
            self.paused_until_ms = None;
        }
        for plan in 0..self.slots.len() {
            let slot = &mut self.slots[plan];
            let mut wanted = None;
            if step_ms < -STEP_MS {
                slot.clock_was_stepped_back(now, u64::try_from(-step_ms).unwrap_or(u64::MAX));
            }
            if !is_paused {
                wanted = if step_ms > STEP_MS || was_paused { slot.catch_up(now) } else { slot.due(now) };
            }
            let wanted = wanted.or_else(|| slot.due_retry(now, is_paused));
            if let Some(wanted) = wanted {
                self.want(plan, wanted);
            }
        }
    }

    fn want(&mut self, plan: usize, wanted: Wanted) {
        if self.slots[plan].stand_in_line(wanted) {
            self.line.push_back(plan);
        }
    }

    /// The first in line whose classes are free, to be started now. It counts as running from here on.
    pub(super) fn choose(&mut self, now: Now) -> Option<Job> {
        let is_paused = self.paused_until(now.wall_ms).is_some();
        let running = self.slots.iter().filter(|slot| slot.running.is_some());
        // What those before it in line wait for is taken too: nobody is passed for ever.
        let mut taken = running.fold(self.held(), |taken, slot| taken | slot.plan.needs);
        let mut place = None;
        for (at, plan) in self.line.iter().enumerate() {
            let slot = &self.slots[*plan];
            if is_paused && slot.waiting.is_none_or(|wanted| !wanted.on_request) {
                continue;
            }
            if !slot.plan.needs.overlaps(taken) {
                place = Some(at);
                break;
            }
            taken = taken | slot.plan.needs;
        }
        let plan = self.line.remove(place?)?;
        let slot = &mut self.slots[plan];
        let wanted = slot.waiting.take()?;
        let job = Job {
            plan,
            trace: self.traces,
            attempt: wanted.attempt,
            trigger: wanted.trigger,
            intended_ns: wanted.ns.max(self.began_ns),
            intended_wall_ms: wanted.wall_ms,
            deadline_ns: now.ns.saturating_add(nanoseconds(slot.plan.timeout)),
        };
        self.traces += 1;
        slot.running = Some(Running {
            job,
            on_request: wanted.on_request,
            since_ns: now.ns,
            since_ms: now.wall_ms,
            has_begun: false,
        });
        self.chosen = Some(job);
        Some(job)
    }

    fn held(&self) -> Classes {
        self.held.iter().fold(Classes::NONE, |held, (_, classes)| held | *classes)
    }

    /// Takes classes for somebody outside, unless a plan has one of them or stands in line for it. Returns the hold's number.
    pub(super) fn hold(&mut self, classes: Classes, now: Now) -> Option<u64> {
        let is_paused = self.paused_until(now.wall_ms).is_some();
        let is_next = |slot: &&Slot| slot.waiting.is_some_and(|wanted| !is_paused || wanted.on_request);
        let wanted = self.slots.iter().filter(|slot| slot.running.is_some() || is_next(slot));
        let taken = wanted.fold(self.held(), |taken, slot| taken | slot.plan.needs);
        if classes.overlaps(taken) {
            return None;
        }
        self.holds += 1;
        self.held.push((self.holds, classes));
        Some(self.holds)
    }

    /// Gives back what a hold took.
    pub(super) fn release(&mut self, hold: u64) {
        self.held.retain(|(number, _)| *number != hold);
    }

    /// The job that was chosen last, once, and its timeout counted from the moment at which it was wanted.
    pub(super) fn take_chosen(&mut self) -> Option<(Job, Duration)> {
        let job = self.chosen.take()?;
        Some((job, Duration::from_nanos(job.deadline_ns.saturating_sub(job.intended_ns))))
    }

    /// A chosen job starts.
    pub(super) fn begin(&mut self, plan: usize) {
        let slot = &mut self.slots[plan];
        slot.counts.started += 1;
        if let Some(running) = &mut slot.running {
            running.has_begun = true;
        }
    }

    /// The job of a plan that has begun, and when it did.
    pub(super) fn begun(&self, plan: usize) -> Option<(Job, MonotonicNs)> {
        self.slots[plan].running.filter(|running| running.has_begun).map(|running| (running.job, running.since_ns))
    }

    /// A plan's job has ended.
    pub(super) fn ended(&mut self, plan: usize, ending: Ending, now: Now) {
        let seed = self.seed;
        self.slots[plan].ended(ending, now, seed);
    }

    /// When to look again, though nothing happens until then.
    pub(super) fn look_again_ns(&self, now: Now, look_every: Duration) -> MonotonicNs {
        let latest_ns = now.ns.saturating_add(nanoseconds(look_every));
        let is_paused = self.paused_until(now.wall_ms);
        let moments = self.slots.iter().filter_map(|slot| slot.next_ns(now, is_paused.is_some()));
        moments.chain(is_paused.map(|until_ms| now.ns_at(until_ms))).fold(latest_ns, MonotonicNs::min)
    }

    pub(super) fn request(&mut self, name: &str, now: Now) -> Result<(), RunRefused> {
        let plan = self.plan(name).ok_or(RunRefused::Unknown)?;
        let slot = &self.slots[plan];
        let is_paused = self.paused_until(now.wall_ms).is_some();
        let is_held_back = is_paused && slot.waiting.is_some_and(|wanted| !wanted.on_request);
        if slot.running.is_some() || (slot.waiting.is_some() && !is_held_back) {
            return Err(RunRefused::Running);
        }
        while self.requests.front().is_some_and(|at_ns| at_ns.saturating_add(MINUTE_NS) <= now.ns) {
            self.requests.pop_front();
        }
        let by_plan = slot.requested_ns.map(|at_ns| at_ns.saturating_add(nanoseconds(slot.plan.request_gap)));
        let by_all = match self.requests.front() {
            _ if self.requests_per_minute == 0 => Some(now.ns.saturating_add(MINUTE_NS)),
            Some(at_ns) if self.requests.len() >= self.requests_per_minute => Some(at_ns.saturating_add(MINUTE_NS)),
            _ => None,
        };
        if let Some(free_ns) = by_plan.max(by_all).filter(|free_ns| *free_ns > now.ns) {
            return Err(RunRefused::TooOften { wait: Duration::from_nanos(free_ns - now.ns) });
        }
        self.requests.push_back(now.ns);
        self.slots[plan].requested_ns = Some(now.ns);
        // What the pause holds back keeps its place in line and is let go.
        match &mut self.slots[plan].waiting {
            Some(waiting) => *waiting = Wanted::now(Trigger::Request, now),
            None => self.want(plan, Wanted::now(Trigger::Request, now)),
        }
        Ok(())
    }

    pub(super) fn pause_until(&mut self, wall_ms: u64) {
        self.paused_until_ms = Some(wall_ms);
    }

    pub(super) fn resume(&mut self) {
        // In the past instead of none: the next look sees a pause that has ended, and catches up.
        self.paused_until_ms = self.paused_until_ms.map(|_| 0);
    }

    pub(super) fn paused_until(&self, wall_ms: u64) -> Option<u64> {
        self.paused_until_ms.filter(|until_ms| *until_ms > wall_ms)
    }

    pub(super) fn next_ms(&self, plan: usize, now: Now) -> Option<u64> {
        self.slots.get(plan)?.next_ms(now, self.paused_until(now.wall_ms))
    }

    pub(super) fn running_since_ms(&self, plan: usize) -> Option<u64> {
        Some(self.slots.get(plan)?.running?.since_ms)
    }

    pub(super) fn is_waiting(&self, plan: usize) -> bool {
        self.slots.get(plan).is_some_and(|slot| slot.waiting.is_some())
    }

    pub(super) fn phase_ms(&self, plan: usize) -> u64 {
        self.slots.get(plan).map_or(0, |slot| slot.phase_ms)
    }

    pub(super) fn counts(&self, plan: usize) -> Counts {
        self.slots.get(plan).map_or_else(Counts::default, |slot| slot.counts)
    }
}
