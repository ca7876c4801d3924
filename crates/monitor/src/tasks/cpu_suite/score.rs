//! From rates to scores.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Mode;
use super::kernel::{Group, Kernel};
use super::reference::per_second;

/// One kernel in one mode. Rates are in `unit` per second, all threads together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct KernelResult {
    /// Its name.
    pub name: String,
    /// On one CPU or on all.
    pub mode: Mode,
    /// What is counted: `bytes`, `steps`, `flop`, `signatures`, `loads`.
    pub unit: String,
    /// Median of the rounds.
    pub median: f64,
    /// Median distance of the rounds from it.
    pub mad: f64,
    /// Slowest round.
    pub min: f64,
    /// Rounds.
    pub n: u32,
    /// 1000 times the ratio to the reference machine.
    pub score: f64,
}

/// Geometric means of the scores of kernels; the reference machine has 1000 in each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Scores {
    /// Integers, branches, floating point and checksums on one CPU.
    pub single: f64,
    /// The same on all CPUs, against two of the reference machine.
    pub multi: f64,
    /// Ciphers and signatures on one CPU.
    pub crypto_single: f64,
    /// The same on all CPUs.
    pub crypto_multi: f64,
    /// Bandwidth and latency on one CPU.
    pub memory_single: f64,
    /// Bandwidth on all CPUs.
    pub memory_multi: f64,
}

/// The figures of one kernel; `rates` has one entry per round and is not empty.
pub(super) fn summary(kernel: &Kernel, mode: Mode, mut rates: Vec<f64>) -> KernelResult {
    let middle = median(&mut rates);
    let mut distances: Vec<f64> = rates.iter().map(|rate| (rate - middle).abs()).collect();
    let score = per_second(kernel.name, mode).map_or(0.0, |reference| 1e3 * middle / reference);
    KernelResult {
        name: kernel.name.into(),
        mode,
        unit: kernel.unit.into(),
        median: middle.round(),
        mad: median(&mut distances).round(),
        min: rates.first().copied().unwrap_or(0.0).round(),
        n: rates.len() as u32,
        score: (score * 10.0).round() / 10.0,
    }
}

/// Sorts, and returns the value in the middle, or the mean of the two.
fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let half = values.len() / 2;
    match values {
        [] => 0.0,
        values if values.len() % 2 == 1 => values[half],
        values => f64::midpoint(values[half - 1], values[half]),
    }
}

impl Scores {
    /// Of all kernels.
    pub(super) fn of(kernels: &[KernelResult]) -> Self {
        let group = |group: Group, mode: Mode| {
            let of = super::kernel::ALL.iter().filter(|kernel| kernel.group == group);
            let scores =
                of.filter_map(|kernel| kernels.iter().find(|found| found.name == kernel.name && found.mode == mode));
            geometric_mean(scores.map(|found| found.score))
        };
        Self {
            single: group(Group::Compute, Mode::Single),
            multi: group(Group::Compute, Mode::All),
            crypto_single: group(Group::Crypto, Mode::Single),
            crypto_multi: group(Group::Crypto, Mode::All),
            memory_single: group(Group::Memory, Mode::Single),
            memory_multi: group(Group::Memory, Mode::All),
        }
    }

    /// Of all groups.
    pub(super) fn overall(&self) -> f64 {
        geometric_mean([
            self.single,
            self.multi,
            self.crypto_single,
            self.crypto_multi,
            self.memory_single,
            self.memory_multi,
        ])
    }
}

/// To one decimal; 0 where there is nothing, or something is 0.
fn geometric_mean(scores: impl IntoIterator<Item = f64>) -> f64 {
    let logs: Vec<f64> = scores.into_iter().map(f64::ln).collect();
    if logs.is_empty() {
        return 0.0;
    }
    let mean = (logs.iter().sum::<f64>() / logs.len() as f64).exp();
    (mean * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks::cpu_suite::kernel::ALL;

    #[test]
    fn the_reference_machine_has_a_thousand_everywhere() {
        let modes = [Mode::Single, Mode::All];
        let of = |mode| {
            ALL.iter().filter(move |kernel| mode == Mode::Single || kernel.on_all).map(move |kernel| (kernel, mode))
        };
        let kernels: Vec<KernelResult> = modes
            .into_iter()
            .flat_map(of)
            .map(|(kernel, mode)| summary(kernel, mode, vec![per_second(kernel.name, mode).unwrap(); 5]))
            .collect();
        assert!(kernels.iter().all(|kernel| kernel.score == 1000.0 && kernel.mad == 0.0), "{kernels:?}");
        let scores = Scores::of(&kernels);
        assert_eq!((scores.single, scores.memory_multi, scores.overall()), (1000.0, 1000.0, 1000.0));
    }

    #[test]
    fn spread_is_told_by_medians() {
        let told = summary(&ALL[0], Mode::Single, vec![10.0, 14.0, 11.0, 100.0, 12.0]);
        assert_eq!((told.median, told.mad, told.min, told.n), (12.0, 2.0, 10.0, 5));
        assert_eq!(median(&mut [4.0, 1.0]), 2.5);
        assert_eq!(geometric_mean([500.0, 2000.0]), 1000.0);
        assert_eq!(geometric_mean([0.0, 2000.0]), 0.0);
    }
}
