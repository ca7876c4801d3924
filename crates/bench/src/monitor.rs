//! What self-tests cost a node that has nothing to do, and how fast their results are told.

mod fleet;
mod process;
mod read;

use std::path::Path;
use std::time::Duration;

use peermark_core::Clock;
use peermark_monitor::bus::{BusSamples, MeasurePlan, measure};
use peermark_probe::clock::MonotonicClock;
use peermark_probe::host::ProcessSampler;

use crate::BenchError;
use crate::figure::{Figure, Hold, median};
pub(crate) use fleet::serve as serve_fleet;
use process::{Redis, Subject};

/// Nodes with and without a monitor, and monitors alone, each.
const EACH: usize = 3;

/// From the end of the first tests to the first look: memory that they used goes back in the background.
const SETTLE: Duration = Duration::from_secs(15);

/// From one look to the next.
const IDLE: Duration = Duration::from_secs(30);

const MIB: f64 = 1_048_576.0;

/// Memory and CPU of a monitor with its default tests, in a node and alone, and its answers beside what they are made from.
///
/// # Errors
/// [`BenchError`], also where `redis-server` is not installed.
pub async fn monitor(program: &Path, scratch: &Path) -> Result<Vec<Figure>, BenchError> {
    let clock = MonotonicClock::new();
    let redis = Redis::start(&scratch.join("redis")).await?;
    let mut figures = idle(program, scratch, &redis, &clock).await?;
    figures.extend(read::store(scratch, &clock).await?);
    figures.push(fleet::fleet(program, scratch, &clock).await?);
    Ok(figures)
}

async fn idle(
    program: &Path,
    scratch: &Path,
    redis: &Redis,
    clock: &MonotonicClock,
) -> Result<Vec<Figure>, BenchError> {
    let (mut bare, mut with, mut alone) = (Vec::new(), Vec::new(), Vec::new());
    let url = redis.url();
    for number in 0..EACH {
        let directory = |kind: &str| scratch.join(format!("{kind}-{number}"));
        let node = ["node", "run", "--data", "data", "--api", "127.0.0.1:0", "--listen", "/ip4/127.0.0.1/tcp/0"];
        let (off, full) = ([&node[..], &["--monitor", "off"]].concat(), [&node[..], &["--monitor", "full"]].concat());
        let mut single = vec!["monitor", "run", "--data", "data", "--api", "127.0.0.1:0"];
        if number == 0 {
            single.extend(["--redis", &url]);
        }
        bare.push(Subject::start(program, &off, &directory("bare")).await?);
        with.push(Subject::start(program, &full, &directory("with")).await?);
        alone.push(Subject::start(program, &single, &directory("alone")).await?);
    }
    for subject in with.iter().chain(&alone) {
        subject.tested().await?;
    }
    let bus = measure(&url, &MeasurePlan::default(), clock).await;
    let bus = bus.map_err(|error| BenchError::subject("asking over the bus", error))?;
    tokio::time::sleep(SETTLE).await;
    let samplers = |subjects: &[Subject]| subjects.iter().map(Subject::sampler).collect::<Result<Vec<_>, _>>();
    let [bare, with, lone] = [samplers(&bare)?, samplers(&with)?, samplers(&alone)?];
    let (before, started_ns) = ([cpu(&bare), cpu(&with), cpu(&lone)], clock.now_ns());
    tokio::time::sleep(IDLE).await;
    let (after, seconds) = ([cpu(&bare), cpu(&with), cpu(&lone)], (clock.now_ns() - started_ns) as f64 / 1e9);
    // The kernel counts in ticks of 10 ms: the mean over all of a kind is finer than one process's figure.
    let share = |kind: usize| (after[kind] - before[kind]) / seconds / EACH as f64;
    let memory = [private(&bare), private(&with), private(&lone)];
    let tests = tests(&alone, &lone).await?;
    Ok(costs([share(0), share(1), share(2)], tests, [&memory[0], &memory[1], &memory[2]], &bus))
}

/// CPU that the frequent default tests take, spread over the time from one run to the next, cores. The window of an idle monitor may
/// hold none of them; every five minutes and every quarter of an hour they do run.
async fn tests(monitors: &[Subject], samplers: &[ProcessSampler]) -> Result<f64, BenchError> {
    let mut cores = 0.0;
    for (task, period_s) in [("host", 300.0), ("process", 300.0), ("healthcheck", 900.0), ("disk", 21_600.0)] {
        let before = cpu(samplers);
        for monitor in monitors {
            monitor.run_now(task).await?;
        }
        cores += (cpu(samplers) - before) / monitors.len() as f64 / period_s;
    }
    Ok(cores)
}

fn costs(
    [node, tested, single]: [f64; 3],
    tests: f64,
    [bare, with, alone]: [&[f64]; 3],
    bus: &BusSamples,
) -> Vec<Figure> {
    let grown: Vec<f64> = with.iter().map(|bytes| bytes - median(bare)).collect();
    let mut cpu = Figure::of_values("monitor.idle_cpu_ratio", "cores", &[single + tests], Hold::AtMost(0.001));
    cpu.rounds = EACH;
    cpu.notes.push(format!(
        "alone: {single:.5} in {} s without a run, {tests:.5} for host, process, healthcheck and disk spread over their periods; the \
         CPU benchmark itself is not idleness",
        IDLE.as_secs()
    ));
    let mut added = Figure::of_values("monitor.idle_cpu_added", "cores", &[tested - node + tests], Hold::AtMost(0.001));
    added.rounds = EACH;
    added.notes.push(format!("to a node that takes {node:.5}"));
    let mut memory = Figure::of_values("monitor.private_bytes_added", "bytes", &grown, Hold::AtMost(5.0 * MIB));
    memory.reference = format!("node without tests {:.1} MiB", median(bare) / MIB);
    let lone = Figure::of_values("monitor.private_bytes_alone", "bytes", alone, Hold::AtMost(15.0 * MIB));
    let ns = |samples: &[u64]| samples.iter().map(|ns| *ns as f64).collect::<Vec<_>>();
    let (get, pair, echo) = (ns(&bus.get_ns), ns(&bus.pair_ns), ns(&bus.echo_ns));
    let mut by_bus = Figure::of_ratio(
        "monitor.get_ratio_bus",
        "ns",
        &[median(&get)],
        ("a bare LPUSH and RPOP of the same bytes", &[median(&pair)]),
        Hold::AtMost(2.0),
    );
    by_bus.rounds = get.len();
    by_bus.notes.push(format!(
        "zos.perf.get over the queues, median of {}; an echo over the same queues {:.0} ns",
        get.len(),
        median(&echo)
    ));
    vec![cpu, added, memory, lone, by_bus]
}

fn cpu(samplers: &[ProcessSampler]) -> f64 {
    samplers.iter().filter_map(ProcessSampler::look).map(|usage| usage.cpu_seconds).sum()
}

fn private(samplers: &[ProcessSampler]) -> Vec<f64> {
    samplers.iter().filter_map(|sampler| sampler.look()?.private_bytes).map(|bytes| bytes as f64).collect()
}
