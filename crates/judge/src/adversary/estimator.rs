//! What makes a statement out of reports.

use super::robust::{Basis, Robust};
use super::{Majority, Mean, Median, Observation, TrimmedMean};

/// The reports of one epoch.
#[derive(Clone, Copy, Debug)]
pub struct Round<'a> {
    /// Number of the epoch, from 0.
    pub epoch: u32,
    /// In no particular order.
    pub observations: &'a [Observation],
    /// Hosters there are.
    pub hosters: u32,
    /// Attesters there are.
    pub attesters: u32,
    /// Group of every attester: one vote.
    pub groups: &'a [u32],
    /// Promised rate that verdicts are about, Mbit/s.
    pub threshold_mbit: f64,
}

/// Whether a hoster keeps the promised rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It does.
    Meets,
    /// It does not.
    Fails,
    /// The evidence allows neither.
    Unproven,
    /// The attesters contradict one another so much that nobody can tell.
    Disputed,
}

/// What is stated about one hoster.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Statement {
    /// What hosters are ranked by, higher is better: the rate in Mbit/s, or a share where an estimator has no rate.
    pub score: f64,
    /// Estimated rate, Mbit/s; `None` where the estimator has none.
    pub rate_mbit: Option<f64>,
    /// 95 % interval of the rate, Mbit/s.
    pub interval_mbit: Option<(f64, f64)>,
    /// On the promised rate.
    pub verdict: Verdict,
}

/// What is stated after an epoch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Findings {
    /// Per hoster; `None` where nothing can be said.
    pub hosters: Vec<Option<Statement>>,
    /// Attesters called liars, ascending.
    pub flagged: Vec<u32>,
    /// Sanctions and qualification are frozen.
    pub disputed: bool,
}

/// Makes statements out of the reports of one epoch after the other. It does not know who lies.
pub trait Estimator {
    /// Takes the reports of the next epoch and states what is known now.
    fn round(&mut self, round: &Round<'_>) -> Findings;
}

/// The estimators of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Contender {
    /// The robust estimate of this crate from all epochs, the older the less: what verdicts are made of.
    Robust,
    /// The same from the reports of the last epoch alone, with what is remembered about attesters.
    RobustNow,
    /// Verdicts on the share of seconds at the promised rate, over all epochs and without those whom the robust estimate flags. It has no
    /// rate: hosters are ranked by the share.
    RobustShares,
    /// Arithmetic mean of the reports of the epoch.
    Mean,
    /// Mean of the logarithms without the lowest and the highest fifth.
    Trimmed,
    /// Median.
    Median,
    /// Majority of the attesters on kept or not kept.
    Majority,
}

impl Contender {
    /// Every estimator, in the order of reports.
    pub const ALL: [Self; 7] =
        [Self::Robust, Self::RobustNow, Self::RobustShares, Self::Mean, Self::Trimmed, Self::Median, Self::Majority];

    /// Name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Robust => "robust",
            Self::RobustNow => "robust-now",
            Self::RobustShares => "robust-shares",
            Self::Mean => "mean",
            Self::Trimmed => "trimmed",
            Self::Median => "median",
            Self::Majority => "majority",
        }
    }
    /// A new one that knows nothing yet.
    pub fn start(self) -> Box<dyn Estimator> {
        match self {
            Self::Robust => Box::new(Robust::new(Basis::AllEpochs)),
            Self::RobustNow => Box::new(Robust::new(Basis::LastEpoch)),
            Self::RobustShares => Box::new(Robust::new(Basis::Shares)),
            Self::Mean => Box::new(Mean),
            Self::Trimmed => Box::new(TrimmedMean),
            Self::Median => Box::new(Median),
            Self::Majority => Box::new(Majority),
        }
    }
}
