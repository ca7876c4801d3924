//! `cpu-benchmark`: seconds that one thread, and every logical CPU at once, take for a chain of 67,108,864 CRC-64 steps.
//!
//! The figure that zos publishes, with its meaning: `single` is one chain, `multi` is the **sum** over one thread per logical CPU,
//! both in seconds, small is good. It says how long dependent carry-less multiplications take and nothing about caches, memory or
//! branches: `cpu-suite` does. Members after the first four are ours.

mod crc64;

use std::sync::Arc;
use std::time::Duration;

use peermark_core::{Clock, Culprit, FailureClass, Unit};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

pub use crc64::Kernel;
pub(super) use crc64::checksum;

use super::machine::{CpuTimes, Load, Machine, online_cpus};
use super::thread::{Lane, go_on, together};
use crate::task::{About, Better, Context, Failure, Needs, Report, Retry, Running, Stop, Task};

/// First value of the chain.
const SEED: u64 = 0x0a0b_0c0d_1234_5ff0;

/// Steps of the chain.
const STEPS: u64 = 1 << 26;

/// Last value of the chain.
const LAST: u64 = 0x4092_42b8_972c_b0b1;

/// Steps between two looks at whether the run is over: some milliseconds.
const STEPS_AT_ONCE: u64 = 1 << 20;

/// Settings of `cpu-benchmark`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CpuBenchmarkConfig {
    /// Workloads that the result says this node has; it is only published.
    pub workloads: u64,
}

/// What it says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CpuBenchmarkResult {
    /// Seconds that one thread took for one chain, to the millisecond.
    pub single: f64,
    /// Sum over one thread per logical CPU of the seconds that each took while all ran, to the millisecond.
    pub multi: f64,
    /// Online logical CPUs.
    pub threads: u32,
    /// Workloads of this node as configured; 0 where unknown.
    pub workloads: u64,
    /// How the checksums were computed: figures of different kernels cannot be compared.
    pub kernel: Kernel,
    /// Mean seconds of one thread while all ran.
    pub multi_mean: f64,
    /// How much slower a thread is while all run: 1 is not at all.
    pub contention: f64,
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
pub struct CpuBenchmark {
    about: About,
    config: CpuBenchmarkConfig,
    lane: Lane,
}

const WRONG_ANSWER: Failure = Failure {
    code: "wrong_answer",
    class: FailureClass::WrongBytes,
    culprit: Culprit::Observer,
    advice: "the processor computed a wrong checksum: test the memory (memtester 1G 1, or memtest86+ at the next boot), undo any \
             overclocking, and see what the kernel says of machine checks (journalctl -k | grep -i mce)",
    may_pass: false,
};

static FAILURES: &[Failure] = &[WRONG_ANSWER];

impl CpuBenchmark {
    /// The task with these settings.
    pub fn new(config: CpuBenchmarkConfig) -> Self {
        let about = About {
            name: "cpu-benchmark".into(),
            description:
                "Measures the performance of the node CPU by reporting the timespent of computing a task in seconds."
                    .into(),
            cron: "0 0 */6 * * *".into(),
            jitter_s: 0,
            timeout: Duration::from_secs(180),
            needs: Needs { cpu: true, ..Needs::default() },
            light: false,
            at_start: true,
            unit: Unit::Nanoseconds,
            value: "time of one chain".into(),
            better: Better::Lower,
            bytes: 0,
            // Two seconds a chain, and no more than what four runs a day may use of the default budget.
            cpu: Duration::from_secs(2).saturating_mul(1 + online_cpus()).min(Duration::from_secs(450)),
            retry: Retry::NONE,
            failures: FAILURES,
            schema: || schema_for!(CpuBenchmarkResult).to_value(),
        };
        Self { about, config, lane: Lane::new("cpu-benchmark") }
    }
}

impl Task for CpuBenchmark {
    fn about(&self) -> &About {
        &self.about
    }

    fn run(&self, context: Context) -> Running {
        let lane = self.lane.share();
        let config = self.config;
        Box::pin(async move {
            let clock = Arc::clone(&context.clock);
            lane.on_thread(&context.cancel, move |cancel| measure(config, &clock, cancel, STEPS, LAST)).await
        })
    }
}

/// Both measurements, over chains of `steps` that have to end with `last`.
fn measure(
    config: CpuBenchmarkConfig,
    clock: &Arc<dyn Clock>,
    cancel: &CancellationToken,
    steps: u64,
    last: u64,
) -> Result<Report, Stop> {
    let (load_before, before) = (Load::now(), CpuTimes::now());
    let kernel = Kernel::best();
    let single_ns = chain_ns(kernel, &**clock, cancel, steps, last)?;
    let threads = online_cpus();
    let each_ns = together("cpu-benchmark", threads as usize, cancel, |_, gate| {
        gate.wait(cancel)?;
        chain_ns(kernel, &**clock, cancel, steps, last)
    })?;
    let multi_ns: u64 = each_ns.iter().sum();
    let multi_mean = seconds(multi_ns) / f64::from(threads);
    let result = CpuBenchmarkResult {
        single: milliseconds(single_ns),
        multi: milliseconds(multi_ns),
        threads,
        workloads: config.workloads,
        kernel,
        multi_mean,
        contention: multi_mean / seconds(single_ns).max(1e-9),
        load_before,
        load_after: Load::now(),
        steal_ppm: CpuTimes::now().steal_ppm(before),
        machine: Machine::here(),
        build: if cfg!(debug_assertions) { "debug" } else { "release" }.into(),
    };
    Ok(Report {
        value: i64::try_from(single_ns).unwrap_or(i64::MAX),
        result: super::json(&result),
        findings: Vec::new(),
        bytes: 0,
        cpu: Duration::from_nanos(single_ns + multi_ns),
    })
}

fn chain_ns(kernel: Kernel, clock: &dyn Clock, cancel: &CancellationToken, steps: u64, last: u64) -> Result<u64, Stop> {
    let before_ns = clock.now_ns();
    let mut value = SEED;
    let mut done = 0;
    while done < steps {
        go_on(cancel)?;
        let now = STEPS_AT_ONCE.min(steps - done);
        value = kernel.chain(value, now);
        done += now;
    }
    let took_ns = clock.now_ns() - before_ns;
    if value != last {
        return Err(WRONG_ANSWER.stop(format!("the chain ended with {value:016x}, it has to end with {last:016x}")));
    }
    Ok(took_ns)
}

fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

fn milliseconds(ns: u64) -> f64 {
    (ns as f64 / 1e6).round() / 1e3
}

#[cfg(test)]
mod tests {
    use peermark_probe::clock::MonotonicClock;

    use super::*;
    use crate::tasks::testing;

    #[tokio::test]
    async fn the_whole_benchmark_gives_both_figures() {
        let directory = tempfile::tempdir().unwrap();
        let task = CpuBenchmark::new(CpuBenchmarkConfig { workloads: 3 });
        let report = task.run(testing::context(directory.path())).await.unwrap();
        testing::check(&task, &report);
        let result: CpuBenchmarkResult = serde_json::from_value(report.result).unwrap();
        assert!(result.single > 0.0 && result.multi >= result.single * 0.5, "{result:?}");
        assert_eq!((result.workloads, result.threads), (3, online_cpus()));
        assert_eq!(result.single, milliseconds(report.value as u64));
        println!("{result:?}");
    }

    #[test]
    fn a_wrong_checksum_fails_the_run() {
        let clock: Arc<dyn Clock> = Arc::new(MonotonicClock::new());
        let cancel = CancellationToken::new();
        let broken = measure(CpuBenchmarkConfig::default(), &clock, &cancel, 1000, LAST);
        assert!(matches!(&broken, Err(Stop::Failed(finding)) if finding.failure.code == "wrong_answer"), "{broken:?}");
        let sound = measure(CpuBenchmarkConfig::default(), &clock, &cancel, 1000, 0xc81e_2c51_e3f4_ae0d);
        assert!(sound.is_ok(), "{sound:?}");
    }

    #[test]
    fn a_cancelled_run_ends_at_once() {
        let clock: Arc<dyn Clock> = Arc::new(MonotonicClock::new());
        let cancel = CancellationToken::new();
        cancel.cancel();
        let stopped = measure(CpuBenchmarkConfig::default(), &clock, &cancel, u64::MAX, 0);
        assert!(matches!(&stopped, Err(Stop::Failed(finding)) if finding.failure.code == "stopped"), "{stopped:?}");
    }
}
