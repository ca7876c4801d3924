//! Pure functions from evidence to statements: percentiles with intervals, error ratios, comparison of runs,
//! thresholds.
//!
//! Nothing here reads a clock, a file or the environment, and nothing is random but what a seed in the arguments decides: the
//! same evidence gives the same statement. Where the evidence does not allow a statement, the answer is an [`Absent`] that says
//! why in words, never a number.

pub mod absent;
pub mod adversary;
pub mod alert;
pub mod attribution;
pub mod baseline;
pub mod busyness;
pub mod capacity;
pub mod case;
pub mod change;
pub mod compare;
pub mod coordinates;
pub mod coverage;
mod dispersion;
pub mod fixed;
pub mod histogram;
pub mod import;
pub mod outcome;
pub mod pay;
pub mod places;
pub mod policy;
pub mod proportion;
pub mod qualification;
pub mod quantile;
mod ranked;
pub mod ranking;
pub mod robust;
pub mod self_report;
mod share;
pub mod slices;
mod special;
pub mod threshold;
pub mod verdict;
pub mod windows;

pub use absent::Absent;
pub use change::{Change, change};
pub use compare::{Finding, MetricRuns, Verdict, compare};
pub use fixed::Fixed;
pub use proportion::{Interval, Proportion};
pub use quantile::{Estimate, Latencies, Quantile};
pub use slices::{Slice, TimeSlices};
pub use threshold::Threshold;
