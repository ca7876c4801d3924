//! How a rule looks at a round.

use super::{Action, Aggregate, AlertEvent, Memory, Metric, Op, Round, Rule, RuleError, Severity, TaskKey};
use crate::windows::Window;

impl Rule {
    /// The rules of the usual policies.
    pub fn usual() -> Vec<Self> {
        let rule = |name: &str, metric, op, threshold, clear_threshold, severity, action| Self {
            name: name.to_owned(),
            metric,
            aggregate: Aggregate::Average,
            window: Window::Day,
            op,
            threshold,
            for_rounds: 3,
            clear_threshold,
            severity,
            action,
            observe_only: false,
        };
        use Action::{ExtraChallenge, Notify, RawBenchmark, Replacement};
        vec![
            rule(
                "availability-low",
                Metric::AvailabilityPpm,
                Op::Below,
                950_000,
                970_000,
                Severity::Warning,
                ExtraChallenge,
            ),
            rule(
                "availability-lost",
                Metric::AvailabilityPpm,
                Op::Below,
                800_000,
                900_000,
                Severity::Critical,
                Replacement,
            ),
            rule("budget-burns", Metric::BurnPpm, Op::Above, 6_000_000, 1_000_000, Severity::Warning, Notify),
            rule(
                "slower-than-registered",
                Metric::BaselineRatioPpm,
                Op::Below,
                700_000,
                800_000,
                Severity::Notice,
                RawBenchmark,
            ),
            rule("paid-above-rank", Metric::PayInversions, Op::Above, 0, 0, Severity::Warning, Notify),
        ]
    }

    /// Refuses rules that could never clear or hold.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn validate(&self) -> Result<(), RuleError> {
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if self.name.is_empty() || self.name.len() > 64 || !self.name.chars().all(is_allowed) {
            return Err(RuleError::BadName { name: self.name.clone() });
        }
        let clears = match self.op {
            Op::Below => self.clear_threshold >= self.threshold,
            Op::Above => self.clear_threshold <= self.threshold,
        };
        if !clears {
            let (clear, threshold) = (self.clear_threshold, self.threshold);
            return Err(RuleError::NeverClears { name: self.name.clone(), clear, threshold });
        }
        if self.for_rounds == 0 {
            return Err(RuleError::NoRounds { name: self.name.clone() });
        }
        Ok(())
    }

    /// The compared value of a window; `None` without values.
    pub fn value(&self, values: &[i64]) -> Option<i64> {
        match self.aggregate {
            Aggregate::Min => values.iter().min().copied(),
            Aggregate::Max => values.iter().max().copied(),
            Aggregate::Average => {
                let sum: i128 = values.iter().map(|value| i128::from(*value)).sum();
                let count = i128::try_from(values.len()).ok().filter(|count| *count > 0)?;
                i64::try_from(sum.div_euclid(count)).ok()
            }
        }
    }

    /// Looks at one round: the memory after it, and what happened. A task is made when the alert is raised, and again in every later
    /// window while it stays on; never twice for one window.
    pub fn look(&self, memory: &Memory, round: &Round<'_>) -> (Memory, Option<AlertEvent>) {
        let mut next = *memory;
        if memory.last_round.is_some_and(|last| round.number <= last) {
            return (next, None);
        }
        next.last_round = Some(round.number);
        let Some(value) = self.value(round.values) else { return (next, None) };
        let holds = self.holds(value);
        next.rounds = if holds { memory.rounds.saturating_add(1) } else { 0 };
        if memory.raised && self.clears(value) {
            next.raised = false;
            return (next, Some(AlertEvent::Cleared { rule: self.name.clone(), subject: round.subject, value }));
        }
        next.raised = memory.raised || next.rounds >= self.for_rounds;
        let number = round.at_s / self.window.seconds();
        if !next.raised || !(holds || memory.raised) || memory.last_window.is_some_and(|last| number <= last) {
            return (next, None);
        }
        next.last_window = Some(number);
        let key = TaskKey { rule: self.name.clone(), subject: round.subject, window: self.window, number };
        let Self { action, severity, observe_only, .. } = *self;
        (next, Some(AlertEvent::Raised { key, action, severity, value, observe_only }))
    }

    fn holds(&self, value: i64) -> bool {
        match self.op {
            Op::Below => value < self.threshold,
            Op::Above => value > self.threshold,
        }
    }

    /// On the clearing threshold itself it clears.
    fn clears(&self, value: i64) -> bool {
        match self.op {
            Op::Below => value >= self.clear_threshold,
            Op::Above => value <= self.clear_threshold,
        }
    }
}
