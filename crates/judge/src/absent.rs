//! Why there is no number.

use thiserror::Error;

/// Why a percentile, or an end of an interval, cannot be stated from the evidence. Displays as a sentence fragment.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum Absent {
    /// The sample is smaller than the percentile needs (see [`crate::quantile::needed_samples`]).
    #[error("too few values: n={n}, at least {needed} needed")]
    TooFewValues {
        /// Values there are, failures included.
        n: u64,
        /// Values the percentile needs.
        needed: u64,
    },
    /// Too few slices of time hold values, so nothing is known about autocorrelation.
    #[error("too few slices of time with values: {slices}, at least {needed} needed for an interval")]
    TooFewSlices {
        /// Slices with values.
        slices: usize,
        /// Slices an interval needs.
        needed: usize,
    },
    /// Slices still move together when as many neighbours are merged as the number of batches allows.
    #[error("too autocorrelated: slices move together even when merged into {batches} batches; measure for longer")]
    TooAutocorrelated {
        /// The last number of batches that was tried.
        batches: usize,
    },
    /// So few independent values lie beyond the percentile that its upper end is open.
    #[error(
        "tail too thin for an upper end: about {beyond:.1} independent values beyond the percentile; measure for longer"
    )]
    TailTooThin {
        /// Values beyond the percentile, counted as independent ones.
        beyond: f64,
    },
    /// The upper end lies among failures: at the deadline or anywhere above.
    #[error("upper end among failures: at or above the deadline")]
    AmongFailures,
    /// The percentile or the confidence asked for is outside what the method was shown to cover.
    #[error("not a supported question: percentiles from 0.5 up to below 1, confidence between 0.5 and 1")]
    Unsupported,
}
