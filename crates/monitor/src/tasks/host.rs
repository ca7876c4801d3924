//! `host`: what the machine does, as hosters are asked to report it: CPU, MEM, HDD and NET over a sampling period, and the summary
//! vector {cpu(s), gpu(s), mem, hdd, net}.

mod reading;

use std::time::Duration;

use peermark_core::{Culprit, FailureClass, Unit};
use reading::{Reading, result};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::latency::TargetLatency;
use super::thread::Lane;
use super::usage::{CpuUse, HddUse, MemUse, NetUse, percent};
use crate::config::ConfigError;
use crate::task::{About, Better, Context, Failure, Finding, Needs, Report, Retry, Running, Task};

/// Settings of `host`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HostConfig {
    /// Sampling period, ms.
    pub period_ms: u32,
    /// Less free memory than so many percent is a finding.
    pub memory_low_percent: f64,
}

impl Default for HostConfig {
    fn default() -> Self {
        Self { period_ms: 2_000, memory_low_percent: 5.0 }
    }
}

/// What it says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HostResult {
    /// End of the sampling period, Unix ms.
    pub at_ms: u64,
    /// Length of the sampling period, s.
    pub period_s: f64,
    /// CPU.
    pub cpu: CpuUse,
    /// Memory.
    pub mem: MemUse,
    /// Disks, all together.
    pub hdd: HddUse,
    /// Network interfaces, all but loopback together.
    pub net: NetUse,
    /// The summary vector.
    pub summary: Summary,
}

/// How much of everything is used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Summary {
    /// Every logical CPU, percent.
    pub cpu_percent: Vec<f64>,
    /// Every graphics processor whose driver tells (`gpu_busy_percent`), percent.
    pub gpu_percent: Vec<f64>,
    /// Memory, percent.
    pub mem_percent: f64,
    /// File system of the node's data, percent.
    pub hdd_percent: f64,
    /// Network.
    pub net: NetSummary,
}

/// Network in three figures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NetSummary {
    /// Bits sent per second.
    pub egress_bits_per_second: u64,
    /// Bits received per second.
    pub ingress_bits_per_second: u64,
    /// Figure of the latest success of the task `latency` (median of its slowest target), ns; `null` where it does not run.
    pub latency_ns: Option<u64>,
}

/// The task.
#[derive(Debug)]
pub struct Host {
    about: About,
    config: HostConfig,
    lane: Lane,
}

const UNREADABLE: Failure = Failure {
    code: "unreadable",
    class: FailureClass::NotPermitted,
    culprit: Culprit::Observer,
    advice: "the kernel's counters cannot be read: see that /proc is mounted and not hidden from the monitor's user (mount | grep proc)",
    may_pass: true,
};
const MEMORY_LOW: Failure = Failure {
    code: "memory_low",
    class: FailureClass::Unfit,
    culprit: Culprit::Observer,
    advice: "the machine is almost out of memory and will kill programs: see what holds it (ps aux --sort=-rss | head), and lower the \
             caches in the node's configuration",
    may_pass: true,
};

static FAILURES: &[Failure] = &[UNREADABLE, MEMORY_LOW];

impl Host {
    /// The task.
    ///
    /// # Errors
    /// [`ConfigError`] for a period below 100 ms or above a minute.
    pub fn new(config: HostConfig) -> Result<Self, ConfigError> {
        super::check_period("host.period_ms", config.period_ms)?;
        let about = About {
            name: "host".into(),
            description: "Samples how much of the machine's processors, memory, disks and network is used.".into(),
            cron: "0 */5 * * * *".into(),
            jitter_s: 60,
            timeout: Duration::from_secs(90),
            needs: Needs::default(),
            light: true,
            at_start: true,
            unit: Unit::PartsPerMillion,
            value: "processor time".into(),
            better: Better::Neither,
            bytes: 0,
            cpu: Duration::from_millis(20),
            retry: Retry::NONE,
            failures: FAILURES,
            schema: || schema_for!(HostResult).to_value(),
        };
        Ok(Self { about, config, lane: Lane::new("host") })
    }
}

impl Task for Host {
    fn about(&self) -> &About {
        &self.about
    }

    fn run(&self, context: Context) -> Running {
        let lane = self.lane.share();
        let config = self.config.clone();
        Box::pin(async move {
            let before_ns = context.clock.now_ns();
            let before = lane.on_thread(&context.cancel, |_| Reading::now()).await?;
            tokio::time::sleep(Duration::from_millis(u64::from(config.period_ms))).await;
            let period_ns = context.clock.now_ns() - before_ns;
            let latency_ns = latency(&context).await;
            let (data, at_ms) = (context.node.data.clone(), context.clock.wall_ms());
            let result = lane.on_thread(&context.cancel, move |_| {
                result(&before, &Reading::now()?, period_ns, at_ms, &data, latency_ns)
            });
            let result = result.await?;
            let free = percent(result.mem.free_memory_bytes as f64, result.mem.total_physical_memory_bytes as f64);
            let mut findings: Vec<Finding> = Vec::new();
            if free < config.memory_low_percent {
                findings.push(MEMORY_LOW.with(format!("{free} % of memory is free")));
            }
            Ok(Report {
                value: (result.cpu.processor_time_percent * 1e4).round() as i64,
                result: super::json(&result),
                findings,
                bytes: 0,
                cpu: Duration::from_millis(20),
            })
        })
    }
}

/// The figure of the latest success of `latency`: the median of its slowest target.
async fn latency(context: &Context) -> Option<u64> {
    let (_, result) = context.past.successes("latency", 1).await.pop()?;
    let targets: Vec<TargetLatency> = serde_json::from_value(result).ok()?;
    targets.iter().filter_map(|target| Some(target.latency?.p50_ns)).max()
}

#[cfg(test)]
mod tests;
