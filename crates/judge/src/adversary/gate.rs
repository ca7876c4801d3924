//! The gates of the adversary suite: limits that the robust estimate has to hold.

use super::{Attack, Contender, Figures, Kind, Row};
use crate::proportion::wilson;

/// One limit on one figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// At most.
    Most(f64),
    /// At least.
    Least(f64),
}

/// What has to hold.
#[derive(Clone, Copy, Debug)]
pub struct Gate {
    /// Name in reports.
    pub name: &'static str,
    /// The figure it is about.
    pub figure: fn(&Figures) -> Option<f64>,
    /// Its limit.
    pub limit: Limit,
    /// How many decisions the figure is a share of, where so few are expected that chance alone could break the limit.
    decisions: Option<fn(&Figures) -> u64>,
}

/// A gate in one setting.
#[derive(Clone, Debug, PartialEq)]
pub struct GateResult {
    /// World.
    pub kind: Kind,
    /// Attack.
    pub attack: Attack,
    /// Share of the pool that lies.
    pub liar_share: f64,
    /// What was held against it: the estimate of rates, or verdicts on shares as a job's are made.
    pub contender: Contender,
    /// Name of the gate.
    pub gate: &'static str,
    /// Its limit.
    pub limit: Limit,
    /// What was measured; `None` where there was nothing to measure, which does not hold.
    pub measured: Option<f64>,
    /// How many decisions the measured figure is a share of, where it is one; else `None`.
    pub decisions: Option<u64>,
    /// Independent trials behind it.
    pub trials: u32,
    /// Whether so many trials can show that it holds. Too few show nothing, however well they went.
    pub enough: bool,
    /// Whether it holds: the figure is within the limit, and there were enough trials to show it.
    pub held: bool,
}

/// Fewest trials that show a mean: worlds differ, and the level that all attesters have in common is one draw per trial.
pub const ENOUGH_TRIALS: u32 = 20;

/// Gates of W1: what is published about rates.
pub(super) const RANGE: [Gate; 5] = [
    Gate::new("|bias of friends|", |f| f.friend_bias.map(f64::abs), Limit::Most(0.03)),
    Gate::new("|bias of victims|", |f| f.victim_bias.map(f64::abs), Limit::Most(0.03)),
    Gate::new("tau", |f| f.tau, Limit::Least(0.95)),
    Gate::new("flag precision", |f| f.flag_precision, Limit::Least(0.95)),
    Gate::new("coverage", |f| f.coverage, Limit::Least(0.94)),
];

/// Gates of W2: what is decided about promises.
pub(super) const PROMISE: [Gate; 3] =
    [FALSE_QUALIFY, WRONG_FAIL, Gate::new("victims unproven", |f| f.victims_unproven, Limit::Most(0.30))];

/// Gates of W2 where nobody lies.
pub(super) const PROMISE_HONEST: [Gate; 3] =
    [FALSE_QUALIFY, WRONG_FAIL, Gate::new("victims unproven", |f| f.victims_unproven, Limit::Most(0.10))];

/// The gate of a quiet lie for one hoster, which statistics cannot see.
pub(super) const SINGLE_QUIET: [Gate; 1] =
    [Gate::new("|bias of the one friend|", |f| f.friend_bias.map(f64::abs), Limit::Most(0.15))];

/// What must not go wrong in silence: the gates that breaking points are about. A verdict that stays unproven is no break; neither is
/// a flag, whose figures are printed beside.
pub(super) const SILENT_RANGE: [Gate; 3] = [
    Gate::new("bias", Figures::target_bias, Limit::Most(0.03)),
    Gate::new("tau", |f| f.tau, Limit::Least(0.95)),
    Gate::new("coverage", |f| f.coverage, Limit::Least(0.94)),
];

/// The same of W2.
pub(super) const SILENT_PROMISE: [Gate; 2] = [FALSE_QUALIFY, WRONG_FAIL];

const FALSE_QUALIFY: Gate =
    Gate { decisions: Some(|f| f.decisions.0), ..Gate::new("false-qualify", |f| f.false_qualify, Limit::Most(0.001)) };
const WRONG_FAIL: Gate =
    Gate { decisions: Some(|f| f.decisions.1), ..Gate::new("wrong-fail", |f| f.wrong_fail, Limit::Most(0.005)) };

impl Limit {
    /// Whether a value is within it.
    pub fn holds(self, value: f64) -> bool {
        match self {
            Self::Most(limit) => value <= limit,
            Self::Least(limit) => value >= limit,
        }
    }
}

impl Gate {
    const fn new(name: &'static str, figure: fn(&Figures) -> Option<f64>, limit: Limit) -> Self {
        Self { name, figure, limit, decisions: None }
    }

    /// Holds it against a row as it was measured.
    ///
    /// A limit on rare decisions can be shown by so many of them that, if none went wrong, the upper end of Wilson's one-sided 95 %
    /// interval would be within the limit; any other limit by twenty trials.
    pub fn check(&self, row: &Row) -> GateResult {
        let measured = (self.figure)(&row.figures);
        let decisions = self.decisions.map(|decisions| decisions(&row.figures));
        // Two-sided 90 % has the same upper end as one-sided 95 %.
        let flawless = |n| wilson(0, n, 0.90).is_some_and(|interval| self.limit.holds(interval.high));
        let enough = decisions.map_or(row.trials >= ENOUGH_TRIALS, flawless);
        GateResult {
            kind: row.setting.kind,
            attack: row.setting.attack,
            liar_share: row.setting.share(),
            contender: row.contender,
            gate: self.name,
            limit: self.limit,
            measured,
            decisions,
            trials: row.trials,
            enough,
            held: enough && measured.is_some_and(|value| self.limit.holds(value)),
        }
    }

    /// Whether a row shows that the gate breaks: for rare decisions the lower end of Wilson's 95 % interval has to be beyond the limit, for a
    /// mean there have to be [`ENOUGH_TRIALS`], or one unlucky trial would be a breaking point. A figure that is absent breaks nothing.
    pub(super) fn breaks(&self, row: &Row) -> bool {
        let Some(measured) = (self.figure)(&row.figures) else { return false };
        let Some(decisions) = self.decisions else {
            return row.trials >= ENOUGH_TRIALS && !self.limit.holds(measured);
        };
        let n = decisions(&row.figures);
        let hits = (measured * n as f64).round() as u64;
        wilson(hits, n, 0.95).is_some_and(|interval| !self.limit.holds(interval.low))
    }
}
