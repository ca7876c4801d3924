//! What this machine can do at this moment, measured before and after every run so that figures can be read as ratios to it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One calibration of the host. Medians of a few rounds; see docs/METHODOLOGY.md for what each loop does.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Calibration {
    /// Median of appending 4 KiB and `fdatasync`, in the directory of the run.
    pub fdatasync: FdatasyncNs,
    /// SHA-256 over 64 KiB buffers on one thread, bytes per second.
    pub hash: BytesPerSecond,
    /// One plain TCP stream over loopback, 64 KiB writes, sender and receiver on threads of their own, bytes per second.
    pub plain_tcp: BytesPerSecond,
}

/// Nanoseconds that one append of 4 KiB with `fdatasync` took (median).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FdatasyncNs {
    /// The median, in nanoseconds.
    pub p50_ns: u64,
}

/// A throughput.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BytesPerSecond {
    /// Bytes per second (median of the rounds).
    pub bytes_per_second: u64,
}

impl Calibration {
    /// Largest relative difference between two calibrations over their three figures; 0.15 means that one figure moved by 15 %.
    pub fn drift(&self, later: &Self) -> f64 {
        let relative = |a: u64, b: u64| (a.abs_diff(b)) as f64 / (a.max(b).max(1)) as f64;
        [
            relative(self.fdatasync.p50_ns, later.fdatasync.p50_ns),
            relative(self.hash.bytes_per_second, later.hash.bytes_per_second),
            relative(self.plain_tcp.bytes_per_second, later.plain_tcp.bytes_per_second),
        ]
        .into_iter()
        .fold(0.0, f64::max)
    }
}
