//! Rounds of one kernel on some CPUs.

use peermark_core::Clock;
use rustix::thread::{CpuSet, sched_setaffinity};
use tokio_util::sync::CancellationToken;

use super::kernel::Kernel;
use super::{CpuSuiteConfig, WRONG_ANSWER};
use crate::task::Stop;
use crate::tasks::thread::{Gate, go_on, together};

/// What is done per second in every round, all threads together. One thread per entry of `cores`, kept on it; a single one that may
/// be anywhere where there is none.
pub(super) fn run(
    kernel: &Kernel,
    array_bytes: u64,
    cores: &[usize],
    config: &CpuSuiteConfig,
    clock: &dyn Clock,
    cancel: &CancellationToken,
) -> Result<Vec<f64>, Stop> {
    let threads = cores.len().max(1);
    let each = together("cpu-suite", threads, cancel, |thread, gate| {
        if let Some(core) = cores.get(thread) {
            let mut only = CpuSet::new();
            only.set(*core);
            // A thread that cannot be kept in its place is still measured.
            let _ = sched_setaffinity(None, &only);
        }
        on_one(kernel, array_bytes, config, gate, clock, cancel)
    })?;
    Ok((0..config.rounds as usize).map(|round| each.iter().map(|rates| rates[round]).sum()).collect())
}

/// Work per second of one thread in every round.
fn on_one(
    kernel: &Kernel,
    array_bytes: u64,
    config: &CpuSuiteConfig,
    gate: &Gate,
    clock: &dyn Clock,
    cancel: &CancellationToken,
) -> Result<Vec<f64>, Stop> {
    let (mut batch, each) = (kernel.make)(array_bytes);
    let mut one = || {
        go_on(cancel)?;
        if batch() {
            Ok(())
        } else {
            Err(WRONG_ANSWER.stop(format!("{} gave another answer than it has to", kernel.name)))
        }
    };
    // The first batch fills caches and tables and is not counted.
    let warm = one();
    gate.wait(cancel)?;
    warm?;
    let round_ns = u64::from(config.round_ms) * 1_000_000;
    let mut rates = Vec::with_capacity(config.rounds as usize);
    for _ in 0..config.rounds {
        let (began_ns, mut done) = (clock.now_ns(), 0_u64);
        let took_ns = loop {
            one()?;
            done += each;
            let took_ns = clock.now_ns() - began_ns;
            if took_ns >= round_ns {
                break took_ns;
            }
        };
        rates.push(done as f64 * 1e9 / took_ns.max(1) as f64);
    }
    Ok(rates)
}
