//! What to try next, and what it says about the knee.

use std::num::NonZeroU32;
use std::time::Duration;

use super::{Knee, KneeError, Limit, Step, StepFigures, TriedRate};
use crate::schedule::{Rate, Schedule};

/// Share of the offered operations that has to be completed.
const MIN_COMPLETED: f64 = 0.95;

/// Share of the operations that may fail: a network with rare faults has a knee too.
const MAX_FAILED: f64 = 0.01;

/// Latency under load over latency without queueing.
const MAX_SLOWDOWN: u64 = 8;

/// Latencies below this are fast whatever the baseline was; an eightfold microsecond is noise.
const NOTICED_NS: u64 = 20_000_000;

/// Rates that are tried upwards: 2^8 times the first one is far beyond what parallelism gives.
const MAX_RISES: u32 = 9;

/// Rates that are tried downwards where not even half the rate of one at a time is kept up with.
const MAX_FALLS: u32 = 3;

/// Rates that are tried between the last good and the first bad one.
const MAX_REFINEMENTS: u32 = 2;

/// Bracket that is narrow enough, bad over good.
const NARROW: f64 = 1.15;

/// Shortest window of a step.
const WINDOW: Duration = Duration::from_millis(350);

/// Longest window that few arrivals stretch a step to; slow operations may stretch it further.
const LONG_WINDOW: Duration = Duration::from_secs(2);

/// Operations after one another that fit into the window of a step.
const LATENCIES_PER_WINDOW: u32 = 4;

/// Longest window of any step.
const MAX_WINDOW: Duration = Duration::from_secs(10);

/// Shortest deadline of an operation in a step (or the phase's own): an overloaded queue is not waited for to its end.
const MIN_TIMEOUT: Duration = Duration::from_secs(2);

/// Arrivals below which a step says little.
const MIN_ARRIVALS: f64 = 50.0;

/// Time before the window in which the queue of a step forms.
const WARM_UP: Duration = Duration::from_millis(100);

/// The search.
#[derive(Clone, Debug)]
pub struct KneeSearch {
    timeout: Duration,
    /// Window of the step with one operation at a time.
    serial_window: Duration,
    baseline: Option<StepFigures>,
    next: Option<Rate>,
    good: Option<Rate>,
    bad: Option<TriedRate>,
    rises: u32,
    falls: u32,
    refinements: u32,
    tried: Vec<TriedRate>,
}

impl KneeSearch {
    /// A search over operations that have `timeout` each.
    pub fn new(timeout: Duration) -> Self {
        Self {
            timeout,
            serial_window: WINDOW,
            baseline: None,
            next: None,
            good: None,
            bad: None,
            rises: 0,
            falls: 0,
            refinements: 0,
            tried: Vec::new(),
        }
    }

    /// What to run next; `None` once the search is over.
    pub fn next_step(&self) -> Option<Step> {
        let Some(baseline) = self.baseline else {
            let schedule = Schedule::Closed { concurrency: NonZeroU32::MIN };
            return Some(Step { schedule, warm_up: WARM_UP, window: self.serial_window, timeout: self.timeout });
        };
        let rate = self.next?;
        let latency = Duration::from_nanos(baseline.p90_ns);
        let for_arrivals = Duration::from_secs_f64(MIN_ARRIVALS / rate.per_second()).min(LONG_WINDOW);
        let for_latency = latency.saturating_mul(LATENCIES_PER_WINDOW);
        Some(Step {
            schedule: Schedule::Poisson { rate },
            // Longer than an operation takes, so that the window begins with a queue in steady state.
            warm_up: WARM_UP.max(latency).min(MAX_WINDOW),
            window: for_arrivals.max(for_latency).clamp(WINDOW, MAX_WINDOW),
            timeout: self.timeout.min(MIN_TIMEOUT.max(latency.saturating_mul(10))),
        })
    }

    /// What came of the last step.
    ///
    /// # Errors
    /// [`KneeError`] where the search ends without a knee.
    pub fn report(&mut self, figures: StepFigures) -> Result<(), KneeError> {
        match self.next {
            _ if self.baseline.is_none() => self.begin(figures),
            Some(rate) => self.judge(rate, figures),
            None => Ok(()),
        }
    }

    /// The knee.
    ///
    /// # Errors
    /// [`KneeError::Unfinished`] before [`Self::next_step`] gives `None`.
    pub fn finish(self) -> Result<Knee, KneeError> {
        let (Some(baseline), Some(rate), None) = (self.baseline, self.good, self.next) else {
            return Err(KneeError::Unfinished);
        };
        let limit = self.bad.and_then(|bad| bad.limit).unwrap_or(Limit::Nothing);
        Ok(Knee { rate, limit, baseline_p90_ns: baseline.p90_ns, tried: self.tried })
    }

    fn begin(&mut self, figures: StepFigures) -> Result<(), KneeError> {
        if figures.failed as f64 > figures.offered as f64 * MAX_FAILED {
            return Err(KneeError::Broken { failed: figures.failed, offered: figures.offered });
        }
        if figures.completed == 0 {
            // Once more with all the time that there is.
            let tried = std::mem::replace(&mut self.serial_window, MAX_WINDOW);
            return if tried == MAX_WINDOW { Err(KneeError::TooSlow { window: MAX_WINDOW }) } else { Ok(()) };
        }
        self.baseline = Some(figures);
        self.next = Some(Rate::clamped(figures.completed as f64 / self.serial_window.as_secs_f64() / 2.0));
        Ok(())
    }

    fn judge(&mut self, rate: Rate, figures: StepFigures) -> Result<(), KneeError> {
        let limit = self.limit(&figures);
        let tried = TriedRate { rate, figures, limit };
        self.tried.push(tried);
        match limit {
            None => self.good = Some(rate),
            Some(_) => self.bad = Some(tried),
        }
        self.next = match (self.good, self.bad) {
            (Some(good), None) => {
                self.rises += 1;
                let higher = Rate::clamped(good.per_second() * 2.0);
                (self.rises < MAX_RISES && higher > good).then_some(higher)
            }
            (None, _) => {
                self.falls += 1;
                if self.falls > MAX_FALLS {
                    return Err(KneeError::Unstable { lowest: rate.per_second() });
                }
                Some(Rate::clamped(rate.per_second() / 2.0))
            }
            (Some(good), Some(bad)) => self.between(good.per_second(), bad),
        };
        Ok(())
    }

    /// A rate between one that is kept up with and one that is not: what was completed of the latter if that lies between, because
    /// an overloaded queue completes what it is able to; else the geometric middle.
    fn between(&mut self, good: f64, bad: TriedRate) -> Option<Rate> {
        let ratio = bad.rate.per_second() / good;
        if self.refinements >= MAX_REFINEMENTS || ratio <= NARROW {
            return None;
        }
        self.refinements += 1;
        let share = bad.figures.completed as f64 / bad.figures.offered.max(1) as f64;
        let completed = bad.rate.per_second() * share * MIN_COMPLETED;
        let is_between = completed > good * 1.05 && completed < bad.rate.per_second() * MIN_COMPLETED;
        let is_first = self.refinements == 1;
        Some(Rate::clamped(if is_first && is_between { completed } else { good * ratio.sqrt() }))
    }

    fn limit(&self, figures: &StepFigures) -> Option<Limit> {
        let baseline_p90_ns = self.baseline.map_or(0, |baseline| baseline.p90_ns);
        let quarter_ns = u64::try_from(self.timeout.as_nanos() / 4).unwrap_or(u64::MAX);
        let latency_bound_ns = baseline_p90_ns.saturating_mul(MAX_SLOWDOWN).max(NOTICED_NS).min(quarter_ns);
        let offered = figures.offered as f64;
        let limit = if figures.failed as f64 > offered * MAX_FAILED {
            Limit::Failures
        } else if (figures.completed as f64) < offered * MIN_COMPLETED - offered.sqrt() {
            Limit::Throughput
        } else if figures.p90_ns > latency_bound_ns {
            Limit::Latency
        } else {
            return None;
        };
        let late = figures.slip_p90_ns as f64 > figures.p90_ns as f64 * crate::lateness::MAX_SHARE;
        Some(if late { Limit::Generator } else { limit })
    }
}
