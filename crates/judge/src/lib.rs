//! Pure functions from evidence to statements: percentiles with intervals, error ratios, comparison of runs,
//! thresholds.
//!
//! Nothing here reads a clock, a file or the environment, and nothing is random but what a seed in the arguments decides: the
//! same evidence gives the same statement. Where the evidence does not allow a statement, the answer is an [`Absent`] that says
//! why in words, never a number.

pub mod absent;
pub mod change;
pub mod compare;
pub mod coverage;
mod dispersion;
pub mod proportion;
pub mod quantile;
mod ranked;
pub mod slices;
mod special;
pub mod threshold;

pub use absent::Absent;
pub use change::{Change, change};
pub use compare::{Finding, MetricRuns, Verdict, compare};
pub use proportion::{Interval, Proportion};
pub use quantile::{Estimate, Latencies, Quantile};
pub use slices::{Slice, TimeSlices};
pub use threshold::Threshold;
