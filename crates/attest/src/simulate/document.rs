//! The document: schema `peermark.adversary/1`. Shares are of one, biases and errors relative to the truth; `null` means that there is
//! no such number, never zero.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The value of `schema` in every document of this version.
pub const SCHEMA: &str = "peermark.adversary/1";

/// What liars did to the estimates in simulated worlds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AdversaryReport {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// Version of peermark that simulated.
    pub version: String,
    /// Seed that gives the same document again.
    pub seed: u64,
    /// Trials per row of the gates; every row says how many stand behind it.
    pub trials: u32,
    /// Epochs per trial, except where a row says otherwise; figures are about the last.
    pub epochs: u32,
    /// What every row has in common.
    pub setup: Setup,
    /// Whether every gate holds and enough trials show it.
    pub held: bool,
    /// The gates of the robust estimate and of verdicts on shares.
    pub gates: Vec<GateLine>,
    /// Smallest share of liars that breaks a gate, per attack; empty where it was not asked for.
    pub breaking: Vec<BreakingPoint>,
    /// Every setting with every estimator that was measured in it.
    pub rows: Vec<RowLine>,
    /// What the figures cannot say, in plain words.
    pub warnings: Vec<String>,
}

/// What every row has in common.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Setup {
    /// Attesters in the pool.
    pub attesters: u32,
    /// Hosters.
    pub hosters: u32,
    /// Honest noise.
    pub noise: NoiseSetup,
}

/// Standard deviations of the honest noise, natural logarithm.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NoiseSetup {
    /// Of an attester's own link.
    pub attester: f64,
    /// Of the path between one attester and one hoster.
    pub pair: f64,
    /// Of one measurement.
    pub sample: f64,
}

/// How true rates are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum World {
    /// Log-uniform between 10 and 1000 Mbit/s.
    W1,
    /// Friends at 0.8 and victims at 1.25 of the promised rate, the others as in W1.
    W2,
}

/// What made the statements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Estimator {
    /// The robust estimate from all epochs, the older the less.
    Robust,
    /// The robust estimate from the last epoch's reports.
    RobustNow,
    /// Verdicts on the share of seconds at the promised rate, without those whom the robust estimate flags.
    RobustShares,
    /// Arithmetic mean.
    Mean,
    /// Mean of the logarithms without the lowest and the highest fifth.
    Trimmed,
    /// Median.
    Median,
    /// Majority of the attesters on kept or not kept.
    Majority,
}

/// The part of the suite that a row belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// What the gates are about.
    Gates,
    /// The other attacks, one third of liars.
    Zoo,
    /// Committees of different sizes.
    Sizes,
    /// Histories of different length.
    Histories,
    /// Shares of liars from none to 60 %.
    Shares,
}

/// One limit on one figure in one setting.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GateLine {
    /// World.
    pub world: World,
    /// Attack.
    pub attack: String,
    /// Share of the pool that lies.
    pub liar_share: f64,
    /// What is held against it: the estimate of rates, or verdicts on shares as a job's are made.
    pub estimator: Estimator,
    /// Name of the gate.
    pub gate: String,
    /// The limit.
    pub limit: Bound,
    /// What was measured; `null` does not hold.
    pub measured: Option<f64>,
    /// Decisions that the measured figure is a share of; `null` where it is no such share.
    pub decisions: Option<u64>,
    /// Independent trials behind it.
    pub trials: u32,
    /// Whether so many trials can show that it holds.
    pub enough: bool,
    /// Whether it holds: within the limit, and shown by enough trials.
    pub held: bool,
}

/// A limit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// At most this.
    AtMost(f64),
    /// At least this.
    AtLeast(f64),
}

/// Where an attack first breaks the robust estimate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BreakingPoint {
    /// The attack.
    pub attack: String,
    /// Smallest share of liars at which a gate breaks without a dispute; `null`: at none up to 60 %.
    pub share: Option<f64>,
    /// The gates that break there.
    pub gates: Vec<String>,
    /// Share of liars from which on most trials end disputed, up to 60 %; `null`: there is none.
    pub disputed_from: Option<f64>,
}

/// One setting and one estimator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RowLine {
    /// Part of the suite.
    pub part: Part,
    /// World.
    pub world: World,
    /// Attack.
    pub attack: String,
    /// Share of the pool that lies.
    pub liar_share: f64,
    /// Attesters per hoster and epoch.
    pub committee: u32,
    /// Epochs per trial.
    pub epochs: u32,
    /// Trials.
    pub trials: u32,
    /// Estimator.
    pub estimator: Estimator,
    /// What came out.
    pub figures: Figures,
}

/// What came out of the trials of one row.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Figures {
    /// Mean of estimate / truth - 1 over friends of the liars.
    pub friend_bias: Option<f64>,
    /// Over their victims.
    pub victim_bias: Option<f64>,
    /// Over everybody else.
    pub bystander_bias: Option<f64>,
    /// Median of |estimate / truth - 1|.
    pub median_error: Option<f64>,
    /// 95th percentile of the same.
    pub p95_error: Option<f64>,
    /// Mean Kendall's tau-b between scores and truth.
    pub tau: Option<f64>,
    /// Share of friends below the promised rate that were said to keep it.
    pub false_qualify: Option<f64>,
    /// Share of victims above the promised rate that were said to break it.
    pub wrong_fail: Option<f64>,
    /// Share of victims above the promised rate left unproven or disputed.
    pub victims_unproven: Option<f64>,
    /// Share of friends below the promised rate left unproven or disputed.
    pub friends_unproven: Option<f64>,
    /// Share of the flagged attesters that lie.
    pub flag_precision: Option<f64>,
    /// Share of the liars that are flagged.
    pub flag_recall: Option<f64>,
    /// Share of the honest attesters that are flagged.
    pub honest_flagged: Option<f64>,
    /// Median epochs until a liar is first flagged, of those that are.
    pub epochs_to_flag: Option<f64>,
    /// Share of the 95 % intervals that hold the truth.
    pub coverage: Option<f64>,
    /// Mean width of the intervals relative to the truth.
    pub interval_width: Option<f64>,
    /// Share of trials that end disputed.
    pub disputed: Option<f64>,
    /// Share of hosters without an estimate.
    pub absent: Option<f64>,
}
