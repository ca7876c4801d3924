//! One more job, other hardware, more work: what would happen.

use serde::{Deserialize, Serialize};

use super::cost::{CostRecord, JobKind, Run};
use super::{Resource, Resources};
use crate::policy::{CapacityPolicy, PPM};
use crate::share;

/// A host: what it has, and what it uses without our jobs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Host {
    /// What it has, as measured at registration.
    pub capacity: Resources,
    /// What it uses for other things (its baseline while idle).
    pub idle: Resources,
}

/// Jobs of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Load {
    /// The kind.
    pub job: JobKind,
    /// Runs per hour.
    pub runs_per_hour: u64,
    /// Bytes that these jobs keep on disk.
    pub storage_bytes: u64,
}

/// Jobs of all kinds.
pub type Workload = Vec<Load>;

/// The utilisation of every resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prediction {
    /// Resource and utilisation in parts per million, in the order of [`Resource::ALL`]; a resource that is used and not there has the largest
    /// number.
    pub utilisation_ppm: Vec<(Resource, u64)>,
    /// The busiest.
    pub busiest: Resource,
    /// Kinds whose cost is not known: they are left out, so that the prediction is too low.
    pub unknown: Vec<JobKind>,
}

/// Whether one more job fits, and what it does to the others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admission {
    /// Whether every resource stays within the policy and every cost is known.
    pub admitted: bool,
    /// Without it.
    pub before: Prediction,
    /// With it.
    pub after: Prediction,
    /// How much longer the jobs already there take, in parts per million of now: of the resource that suffers most, by the waiting time of a
    /// single queue, `(1 - before) / (1 - after)`. Absent where the resource would be overloaded and the queue would grow without end.
    pub slowdown_ppm: Option<u64>,
}

/// What a change of hardware would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// On the hardware of now.
    pub before: Prediction,
    /// On the other hardware.
    pub after: Prediction,
    /// Whether the other hardware is enough for the jobs by the policy.
    pub enough: bool,
}

/// The 95th percentile of the utilisation of every resource: the host's own use, and every kind's 95th percentile cost at its rate. Memory is
/// the peak of one run times the runs at one moment, rounded up.
pub fn predict(host: &Host, jobs: &[Load], costs: &[CostRecord]) -> Prediction {
    let (used, unknown) = used(jobs, costs);
    let used = used.plus(&host.idle);
    let utilisation = |resource: Resource| match (used.get(resource), host.capacity.get(resource)) {
        (0, _) => 0,
        (_, 0) => u64::MAX,
        (used, capacity) => {
            u64::try_from(u128::from(used) * u128::from(PPM) / u128::from(capacity)).unwrap_or(u64::MAX)
        }
    };
    let utilisation_ppm: Vec<(Resource, u64)> =
        Resource::ALL.into_iter().map(|resource| (resource, utilisation(resource))).collect();
    let busiest = utilisation_ppm.iter().rev().max_by_key(|(_, utilisation)| *utilisation);
    Prediction { busiest: busiest.map_or(Resource::Cpu, |(resource, _)| *resource), utilisation_ppm, unknown }
}

/// Whether a host may be given one more job, and what that does to the jobs it has.
pub fn admit(host: &Host, jobs: &[Load], more: Load, costs: &[CostRecord], policy: &CapacityPolicy) -> Admission {
    let before = predict(host, jobs, costs);
    let with: Workload = jobs.iter().copied().chain([more]).collect();
    let after = predict(host, &with, costs);
    let slowdown_ppm = slowdown(&before, &after);
    Admission { admitted: fits(&after, policy), before, after, slowdown_ppm }
}

/// What the same jobs would do on other hardware.
pub fn what_if(host: &Host, other: &Host, jobs: &[Load], costs: &[CostRecord], policy: &CapacityPolicy) -> Plan {
    let after = predict(other, jobs, costs);
    Plan { before: predict(host, jobs, costs), enough: fits(&after, policy), after }
}

/// The least hardware for a workload: every resource at the policy's largest utilisation, rounded up. With the kinds whose cost is not known.
pub fn needed(
    idle: &Resources,
    jobs: &[Load],
    costs: &[CostRecord],
    policy: &CapacityPolicy,
) -> (Resources, Vec<JobKind>) {
    let (used, unknown) = used(jobs, costs);
    let used = used.plus(idle);
    let most = u128::from(policy.max_utilisation_ppm.max(1));
    let least = |resource| {
        let needed = (u128::from(used.get(resource)) * u128::from(PPM)).div_ceil(most);
        u64::try_from(needed).unwrap_or(u64::MAX)
    };
    (Resources::of(least), unknown)
}

/// The workload `ahead_s` seconds after the last of these observations (second, jobs of a kind): the line through the medians of all slopes and
/// levels (Theil 1950, Sen 1968), which a few odd days do not move. At most the last 64 count; `None` below three.
pub fn projected(history: &[(u64, u64)], ahead_s: u64) -> Option<u64> {
    let recent = &history[history.len().saturating_sub(64)..];
    let (last_s, _) = recent.last()?;
    if recent.len() < 3 {
        return None;
    }
    let point = |(at_s, jobs): &(u64, u64)| (i128::from(*at_s), i128::from(*jobs));
    let mut slopes = Vec::new();
    for (at, one) in recent.iter().enumerate() {
        for other in &recent[at + 1..] {
            let ((t1, j1), (t2, j2)) = (point(one), point(other));
            // Jobs per second in units of 2^-32.
            slopes.extend(((j2 - j1) << 32).checked_div(t2 - t1));
        }
    }
    let slope = median(slopes)?;
    let mut levels = Vec::with_capacity(recent.len());
    for entry in recent {
        let (t, jobs) = point(entry);
        levels.push((jobs << 32) - slope.checked_mul(t - i128::from(*last_s))?);
    }
    let then = median(levels)?.checked_add(slope.checked_mul(i128::from(ahead_s))?)?;
    // To the nearest whole job.
    let then = then.saturating_add(1 << 31) >> 32;
    Some(u64::try_from(then.max(0)).unwrap_or(u64::MAX))
}

/// What each number of a job's cost is after a change, in parts per million of before; absent where it was 0 before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CostChange {
    /// Processor time.
    pub cpu_ppm: Option<u64>,
    /// Largest resident memory.
    pub rss_peak_ppm: Option<u64>,
    /// Bytes read from disk.
    pub disk_read_ppm: Option<u64>,
    /// Bytes written to disk.
    pub disk_write_ppm: Option<u64>,
    /// Bytes received.
    pub net_in_ppm: Option<u64>,
    /// Bytes sent.
    pub net_out_ppm: Option<u64>,
    /// Duration.
    pub wall_ppm: Option<u64>,
}

/// What a change of hardware did to a kind of job: each number of its cost after it in parts per million of before; `None` where the kinds differ.
/// A number that was 0 before has no ratio.
pub fn effect_of_change(before: &CostRecord, after: &CostRecord) -> Option<CostChange> {
    if before.job != after.job {
        return None;
    }
    let ratio = |pick: fn(&Run) -> u64| crate::baseline::ratio_ppm(pick(&after.p50), pick(&before.p50));
    Some(CostChange {
        cpu_ppm: ratio(|run| run.cpu_ms),
        rss_peak_ppm: ratio(|run| run.rss_peak_bytes),
        disk_read_ppm: ratio(|run| run.disk_read_bytes),
        disk_write_ppm: ratio(|run| run.disk_write_bytes),
        net_in_ppm: ratio(|run| run.net_in_bytes),
        net_out_ppm: ratio(|run| run.net_out_bytes),
        wall_ppm: ratio(|run| run.wall_ms),
    })
}

/// What jobs use, and the kinds whose cost is not known.
fn used(jobs: &[Load], costs: &[CostRecord]) -> (Resources, Vec<JobKind>) {
    let mut sum = Resources::default();
    let mut unknown = Vec::new();
    for load in jobs {
        let storage = Resources { storage_bytes: load.storage_bytes, ..Resources::default() };
        sum = sum.plus(&storage);
        match costs.iter().find(|cost| cost.job == load.job) {
            Some(cost) => sum = sum.plus(&at_rate(&cost.p95, load.runs_per_hour)),
            None => unknown.push(load.job),
        }
    }
    unknown.sort_unstable();
    unknown.dedup();
    (sum, unknown)
}

/// A cost at so many runs per hour, rounded up.
fn at_rate(run: &Run, runs_per_hour: u64) -> Resources {
    let per_second = |amount: u64| {
        let rate = (u128::from(amount) * u128::from(runs_per_hour)).div_ceil(3_600);
        u64::try_from(rate).unwrap_or(u64::MAX)
    };
    let at_once = (u128::from(run.wall_ms) * u128::from(runs_per_hour)).div_ceil(3_600_000);
    let memory = u128::from(run.rss_peak_bytes).saturating_mul(at_once);
    Resources {
        cpu_milli: per_second(run.cpu_ms),
        memory_bytes: u64::try_from(memory).unwrap_or(u64::MAX),
        disk_read_bps: per_second(run.disk_read_bytes),
        disk_write_bps: per_second(run.disk_write_bytes),
        net_in_bps: per_second(run.net_in_bytes),
        net_out_bps: per_second(run.net_out_bytes),
        storage_bytes: 0,
    }
}

fn fits(prediction: &Prediction, policy: &CapacityPolicy) -> bool {
    let most = u64::from(policy.max_utilisation_ppm);
    prediction.unknown.is_empty() && prediction.utilisation_ppm.iter().all(|(_, utilisation)| *utilisation <= most)
}

/// Memory and storage are room, not queues: what has room does not get slower.
fn slowdown(before: &Prediction, after: &Prediction) -> Option<u64> {
    let mut worst = u64::from(PPM);
    for ((resource, before), (_, after)) in before.utilisation_ppm.iter().zip(&after.utilisation_ppm) {
        let all = u64::from(PPM);
        if matches!(resource, Resource::Memory | Resource::Storage) {
            if *after > all {
                return None;
            }
            continue;
        }
        let (left_before, left_after) = (all.checked_sub(*before)?, all.checked_sub(*after)?);
        worst = worst.max(share::scaled(left_before, u64::from(PPM)).checked_mul(all)?.checked_div(left_after)?);
    }
    Some(worst)
}

/// The lower of the two in the middle.
fn median(mut values: Vec<i128>) -> Option<i128> {
    values.sort_unstable();
    values.get(values.len().checked_sub(1)? / 2).copied()
}
