//! `cpu-suite`: what the processor can do for a storage node, beyond the one chain of `cpu-benchmark`.
//!
//! Integers, branches, floating point, checksums, ciphers, signatures, memory bandwidth and latency, on one thread and on all logical
//! CPUs at once. Every kernel works for a fixed time, some rounds of it; the median counts, its spread is told, and the answer of
//! every batch of work is checked. A score is the ratio to frozen figures of one reference machine (1000), and the geometric mean of
//! its group. Scores of different `suite_version`s are never compared.

mod kernel;
mod memory;
mod reference;
mod rounds;
mod score;

use std::sync::Arc;
use std::time::Duration;

use peermark_core::{ByteSize, Clock, Culprit, FailureClass, Unit};
use peermark_probe::thread::allowed_cores;
use procfs::Current;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

pub use score::{KernelResult, Scores};

use super::machine::{CpuTimes, Load, Machine};
use super::thread::Lane;
use crate::config::ConfigError;
use crate::task::{About, Better, Context, Failure, Needs, Report, Retry, Running, Stop, Task};

/// Version of the kernels and of the reference figures.
const SUITE_VERSION: u32 = 1;

/// How long the host is watched before it is called idle.
const WATCH: Duration = Duration::from_millis(1_000);

/// Settings of `cpu-suite`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CpuSuiteConfig {
    /// Length of one round of a kernel, ms.
    pub round_ms: u32,
    /// Rounds of a kernel.
    pub rounds: u32,
    /// The suite is skipped where more of the host's CPUs is in use, percent.
    pub busy_percent: f64,
    /// Most memory that the suite takes.
    pub memory: ByteSize,
}

impl Default for CpuSuiteConfig {
    fn default() -> Self {
        Self { round_ms: 300, rounds: 5, busy_percent: 25.0, memory: ByteSize(512 << 20) }
    }
}

/// On how many CPUs a kernel ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// On one thread.
    Single,
    /// On one thread per logical CPU that this process may use, each kept on its own, all started together.
    All,
}

/// What it says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CpuSuiteResult {
    /// Version of the suite.
    pub suite_version: u32,
    /// Geometric mean of the scores of all groups; the reference machine has 1000.
    pub score: f64,
    /// Score of every group.
    pub scores: Scores,
    /// Every kernel.
    pub kernels: Vec<KernelResult>,
    /// Threads in mode `all`.
    pub threads: u32,
    /// Length of a round, ms.
    pub round_ms: u32,
    /// Bytes of each array of the bandwidth kernels, per thread, on one thread and on all.
    pub array_bytes: [u64; 2],
    /// Share of the host's CPUs that was in use before it began, percent.
    pub busy_before_percent: f64,
    /// Load when it began.
    pub load_before: Load,
    /// Load when it ended.
    pub load_after: Load,
    /// Share of CPU time that other machines of the hypervisor took meanwhile, in parts per million.
    pub steal_ppm: u32,
    /// The machine.
    pub machine: Machine,
    /// Whether peermark was built with optimisation: figures of a debug build say nothing.
    pub build: String,
}

/// The task.
#[derive(Debug)]
pub struct CpuSuite {
    about: About,
    config: CpuSuiteConfig,
    lane: Lane,
}

const WRONG_ANSWER: Failure = Failure {
    code: "wrong_answer",
    class: FailureClass::WrongBytes,
    culprit: Culprit::Observer,
    advice: "the machine computed something wrong: test the memory (memtester 1G 1, or memtest86+ at the next boot), undo any overclocking, \
             and see what the kernel says of machine checks (journalctl -k | grep -i mce)",
    may_pass: false,
};

static FAILURES: &[Failure] = &[WRONG_ANSWER];

impl CpuSuite {
    /// The task.
    ///
    /// # Errors
    /// [`ConfigError`] for rounds that would take no time or longer than the run may.
    pub fn new(config: CpuSuiteConfig) -> Result<Self, ConfigError> {
        let wrong =
            |key: &str, reason: &str| Err(ConfigError { key: format!("cpu_suite.{key}"), reason: reason.into() });
        if !(1..=1_000).contains(&config.round_ms) || !(1..=50).contains(&config.rounds) {
            return wrong("round_ms", "has to be 1 to 1000, and rounds 1 to 50");
        }
        if config.memory.0 < 16 << 20 {
            return wrong("memory", "has to be at least 16MiB");
        }
        let kernels = kernel::ALL.len() as u32;
        let one_mode = Duration::from_millis(u64::from(config.round_ms) * u64::from(config.rounds)) * kernels;
        let about = About {
            name: "cpu-suite".into(),
            description: "Measures integers, branches, floating point, checksums, ciphers, signatures and memory on one CPU and on all.".into(),
            cron: "0 0 3 1 * *".into(),
            jitter_s: 3600,
            timeout: one_mode * 4 + Duration::from_secs(120),
            needs: Needs { cpu: true, ..Needs::default() },
            light: false,
            at_start: false,
            unit: Unit::Count,
            value: "score".into(),
            better: Better::Higher,
            bytes: 0,
            cpu: declared(one_mode, allowed_cores().len()),
            retry: Retry::NONE,
            failures: FAILURES,
            schema: || schema_for!(CpuSuiteResult).to_value(),
        };
        Ok(Self { about, config, lane: Lane::new("cpu-suite") })
    }
}

/// What the daily budget is charged with beforehand. However many cores there are, a run has to fit into the default budget; what it
/// used is charged afterwards.
fn declared(one_mode: Duration, cores: usize) -> Duration {
    const MOST: Duration = Duration::from_secs(1_800);
    one_mode.saturating_mul(u32::try_from(cores).unwrap_or(u32::MAX).saturating_add(1)).min(MOST)
}

impl Task for CpuSuite {
    fn about(&self) -> &About {
        &self.about
    }

    fn run(&self, context: Context) -> Running {
        let lane = self.lane.share();
        let config = self.config;
        Box::pin(async move {
            let before = CpuTimes::now();
            tokio::time::sleep(WATCH).await;
            let busy_percent = f64::from(CpuTimes::now().busy_ppm(before)) / 1e4;
            if busy_percent > config.busy_percent {
                return Err(Stop::Skipped(format!("host is busy: {busy_percent:.0} % of its processors are in use")));
            }
            let free = procfs::Meminfo::current().ok().and_then(|memory| memory.mem_available);
            if free.is_some_and(|free| free / 2 < config.memory.0) {
                return Err(Stop::Skipped(format!("memory is short: {} of it would be used", config.memory)));
            }
            let clock = Arc::clone(&context.clock);
            lane.on_thread(&context.cancel, move |cancel| measure(config, busy_percent, &clock, cancel)).await
        })
    }
}

fn measure(
    config: CpuSuiteConfig,
    busy_before_percent: f64,
    clock: &Arc<dyn Clock>,
    cancel: &CancellationToken,
) -> Result<Report, Stop> {
    let (load_before, before, began_ns) = (Load::now(), CpuTimes::now(), clock.now_ns());
    let cores = allowed_cores();
    let threads = cores.len().max(1);
    let array_bytes = [memory::array_bytes(config.memory.0, 1), memory::array_bytes(config.memory.0, threads as u64)];
    let mut kernels = Vec::new();
    let mut cpu_ns = 0;
    for (mode, array_bytes) in [(Mode::Single, array_bytes[0]), (Mode::All, array_bytes[1])] {
        let on = if mode == Mode::Single { &cores[..cores.len().min(1)] } else { &cores[..] };
        let began_ns = clock.now_ns();
        for kernel in kernel::ALL.iter().filter(|kernel| mode == Mode::Single || kernel.on_all) {
            let rates = rounds::run(kernel, array_bytes, on, &config, &**clock, cancel)?;
            kernels.push(score::summary(kernel, mode, rates));
        }
        cpu_ns += (clock.now_ns() - began_ns) * on.len().max(1) as u64;
    }
    let scores = Scores::of(&kernels);
    let result = CpuSuiteResult {
        suite_version: SUITE_VERSION,
        score: scores.overall(),
        scores,
        kernels,
        threads: threads as u32,
        round_ms: config.round_ms,
        array_bytes,
        busy_before_percent,
        load_before,
        load_after: Load::now(),
        steal_ppm: CpuTimes::now().steal_ppm(before),
        machine: Machine::here(),
        build: if cfg!(debug_assertions) { "debug" } else { "release" }.into(),
    };
    tracing::debug!(score = result.score, took_ms = (clock.now_ns() - began_ns) / 1_000_000, "cpu-suite");
    Ok(Report {
        value: result.score.round() as i64,
        result: super::json(&result),
        findings: Vec::new(),
        bytes: 0,
        cpu: Duration::from_nanos(cpu_ns),
    })
}

#[cfg(test)]
mod tests;
