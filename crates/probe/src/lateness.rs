//! Whether the generator's own lateness explains a figure.
//!
//! An operation that started late reads as slow although nothing slow was measured. Latency contains that lateness on purpose (to
//! subtract it would hide a stall of the generator), so where it is more than a fifth of a percentile, that percentile says more
//! about the generator than about the nodes and is withheld. The rest of the run stands.

use crate::recorder::LaneRecord;

/// Share of a percentile that lateness may explain.
pub const MAX_SHARE: f64 = 0.2;

/// One percentile held against the generator's lateness.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LatenessCheck {
    /// The percentile as a share, 0 to 1.
    pub quantile: f64,
    /// Latency at it, failures at their deadline; ns.
    pub latency_ns: u64,
    /// Lateness of the generator at it; ns.
    pub slip_ns: u64,
}

impl LatenessCheck {
    /// Compares one percentile of an operation; `None` without operations.
    pub fn of(record: &LaneRecord, quantile: f64) -> Option<Self> {
        let latency_ns = record.latency_quantile(quantile)?;
        let slip_ns = crate::recorder::quantile(&record.slip, 0, 0, quantile)?;
        Some(Self { quantile, latency_ns, slip_ns })
    }

    /// Whether the percentile has to be withheld.
    pub fn is_withheld(&self) -> bool {
        self.slip_ns as f64 > self.latency_ns as f64 * MAX_SHARE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fifth_is_the_limit() {
        let check = |slip_ns| LatenessCheck { quantile: 0.5, latency_ns: 1_000, slip_ns }.is_withheld();
        assert!(!check(0) && !check(200));
        assert!(check(201) && check(5_000));
    }
}
