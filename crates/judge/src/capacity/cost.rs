//! What one job costs.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::policy::CapacityPolicy;

/// A kind of job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobKind {
    /// Encoder: makes one hoster's copy of a contract.
    Encode,
    /// Attester: sets up a contract.
    AttestContract,
    /// Attester: one proof of storage.
    AttestStorage,
    /// Attester: one performance benchmark.
    AttestPerformance,
    /// Hoster: takes a contract in.
    HostContract,
    /// Hoster: keeps it.
    Store,
    /// Hoster: serves it to a swarm.
    Serve(SwarmSize),
    /// Hoster: answers a proof of storage.
    ProveStorage,
    /// Hoster: answers a performance benchmark.
    AnswerPerformance,
}

/// How many peers are in a swarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SwarmSize {
    /// Nobody.
    Nobody,
    /// 1 to 10.
    UpTo10,
    /// 11 to 50.
    UpTo50,
    /// More than 50.
    Over50,
}

/// One run of a job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// Processor time, milliseconds.
    pub cpu_ms: u64,
    /// Largest resident memory, bytes.
    pub rss_peak_bytes: u64,
    /// Bytes read from disk.
    pub disk_read_bytes: u64,
    /// Bytes written to disk.
    pub disk_write_bytes: u64,
    /// Bytes received.
    pub net_in_bytes: u64,
    /// Bytes sent.
    pub net_out_bytes: u64,
    /// Duration, milliseconds.
    pub wall_ms: u64,
}

/// What a kind of job needs: its `performance requirements`, as they are exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CostRecord {
    /// The kind of job.
    pub job: JobKind,
    /// Runs behind it.
    pub runs: u64,
    /// Medians, each number by itself.
    pub p50: Run,
    /// 95th percentiles, each number by itself.
    pub p95: Run,
}

/// Too few runs to know a cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{runs} runs, at least {needed} needed")]
pub struct CostError {
    /// Runs there are.
    pub runs: usize,
    /// Runs needed.
    pub needed: u32,
}

impl SwarmSize {
    /// The bucket of a number of peers.
    pub fn of(peers: u64) -> Self {
        match peers {
            0 => Self::Nobody,
            1..=10 => Self::UpTo10,
            11..=50 => Self::UpTo50,
            _ => Self::Over50,
        }
    }
}

/// The cost of a kind of job from its runs: percentiles by nearest rank.
///
/// # Errors
/// Fewer runs than the policy asks for.
pub fn cost(job: JobKind, runs: &[Run], policy: &CapacityPolicy) -> Result<CostRecord, CostError> {
    let needed = policy.min_runs.max(1);
    if runs.len() < usize::try_from(needed).unwrap_or(usize::MAX) {
        return Err(CostError { runs: runs.len(), needed });
    }
    Ok(CostRecord { job, runs: runs.len() as u64, p50: percentiles(runs, 50), p95: percentiles(runs, 95) })
}

fn percentiles(runs: &[Run], percent: usize) -> Run {
    let of = |pick: fn(&Run) -> u64| {
        let mut values: Vec<u64> = runs.iter().map(pick).collect();
        values.sort_unstable();
        let rank = (values.len() * percent).div_ceil(100).max(1);
        values.get(rank - 1).copied().unwrap_or(0)
    };
    Run {
        cpu_ms: of(|run| run.cpu_ms),
        rss_peak_bytes: of(|run| run.rss_peak_bytes),
        disk_read_bytes: of(|run| run.disk_read_bytes),
        disk_write_bytes: of(|run| run.disk_write_bytes),
        net_in_bytes: of(|run| run.net_in_bytes),
        net_out_bytes: of(|run| run.net_out_bytes),
        wall_ms: of(|run| run.wall_ms),
    }
}
