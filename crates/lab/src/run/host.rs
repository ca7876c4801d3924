//! How the host does while the load runs: looked at twice a second, summed up over the windows that count.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use peermark_core::{Clock, MonotonicNs};
use peermark_probe::clock::MonotonicClock;
use peermark_probe::host::HostSampler;
use peermark_probe::load::LoadOutcome;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::result::HostUse;

const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Looks that are kept; a longer run keeps every second one from then on.
const MAX_LOOKS: usize = 1 << 16;

/// The share of busy CPU time at the last look, for showing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Busy(Arc<AtomicU64>);

/// One look: the host since the one before.
#[derive(Clone, Copy, Debug)]
struct Look {
    from_ns: MonotonicNs,
    to_ns: MonotonicNs,
    busy: f64,
    steal: f64,
}

/// A running watch over the host.
pub(crate) struct HostWatch {
    busy: Busy,
    stop: oneshot::Sender<()>,
    task: JoinHandle<HostLooks>,
}

/// All looks of a run.
#[derive(Debug, Default)]
pub(crate) struct HostLooks {
    looks: Vec<Look>,
    throttled: Option<u64>,
}

/// The host during a load.
#[derive(Clone, Debug, Default)]
pub(crate) struct HostSummary {
    pub(crate) used: HostUse,
    /// Busy share per phase, in the windows that count.
    pub(crate) busy_by_phase: Vec<(String, f64)>,
}

impl Busy {
    pub(crate) fn load(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }
}

impl HostWatch {
    pub(crate) fn start(clock: Arc<MonotonicClock>) -> Self {
        let busy = Busy::default();
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(watch(clock, busy.clone(), stopped));
        Self { busy, stop, task }
    }

    pub(crate) fn busy(&self) -> Busy {
        self.busy.clone()
    }

    pub(crate) async fn stop(self) -> HostLooks {
        drop(self.stop);
        self.task.await.unwrap_or_default()
    }
}

async fn watch(clock: Arc<MonotonicClock>, busy: Busy, mut stopped: oneshot::Receiver<()>) -> HostLooks {
    let mut sampler = HostSampler::start();
    let mut all = HostLooks::default();
    let mut from_ns = clock.now_ns();
    let mut every = tokio::time::interval(LOOK_EVERY);
    every.tick().await;
    loop {
        let done = tokio::select! {
            _ = every.tick() => false,
            _ = &mut stopped => true,
        };
        let usage = sampler.look();
        let to_ns = clock.now_ns();
        busy.0.store(usage.busy.to_bits(), Ordering::Relaxed);
        all.looks.push(Look { from_ns, to_ns, busy: usage.busy, steal: usage.steal });
        all.throttled = match (all.throttled, usage.throttled) {
            (None, None) => None,
            (a, b) => Some(a.unwrap_or(0) + b.unwrap_or(0)),
        };
        from_ns = to_ns;
        if all.looks.len() > MAX_LOOKS {
            let mut keep = true;
            all.looks.retain(|_| {
                keep = !keep;
                keep
            });
        }
        if done {
            return all;
        }
    }
}

impl HostLooks {
    /// Sums up. Only the windows that count decide: searching for the knee saturates the host on purpose.
    pub(crate) fn during(&self, outcome: &LoadOutcome, load: Range<MonotonicNs>) -> HostSummary {
        let mut windows: Vec<(String, Range<MonotonicNs>)> = Vec::new();
        for operation in &outcome.operations {
            let window = operation.execution.window;
            if !windows.iter().any(|(phase, _)| *phase == operation.phase) {
                windows.push((operation.phase.clone(), window.start_ns..window.end_ns.min(load.end)));
            }
        }
        let busy_by_phase = windows.iter().filter_map(|(phase, window)| {
            let looks = self.within(std::slice::from_ref(window));
            mean(&looks, |look| look.busy).map(|busy| (phase.clone(), busy))
        });
        let busy_by_phase: Vec<(String, f64)> = busy_by_phase.collect();
        let windows: Vec<Range<MonotonicNs>> = windows.into_iter().map(|(_, window)| window).collect();
        let counted = self.within(&windows);
        let used = HostUse {
            busy: mean(&counted, |look| look.busy).unwrap_or_default(),
            steal: mean(&counted, |look| look.steal).unwrap_or_default(),
            generator_cpu_seconds: outcome.generator_cpu_ns as f64 / 1e9,
            throttled: self.throttled,
        };
        HostSummary { used, busy_by_phase }
    }

    /// Sums up one window.
    pub(crate) fn over(&self, window: Range<MonotonicNs>, generator_cpu_seconds: f64) -> HostUse {
        let looks = self.within(std::slice::from_ref(&window));
        HostUse {
            busy: mean(&looks, |look| look.busy).unwrap_or_default(),
            steal: mean(&looks, |look| look.steal).unwrap_or_default(),
            generator_cpu_seconds,
            throttled: self.throttled,
        }
    }

    fn within(&self, windows: &[Range<MonotonicNs>]) -> Vec<Look> {
        let inside = |look: &&Look| windows.iter().any(|window| look.from_ns < window.end && look.to_ns > window.start);
        self.looks.iter().filter(inside).copied().collect()
    }
}

/// Mean over looks, weighted by their length.
fn mean(looks: &[Look], value: impl Fn(&Look) -> f64) -> Option<f64> {
    let length: u64 = looks.iter().map(|look| look.to_ns - look.from_ns).sum();
    let sum: f64 = looks.iter().map(|look| value(look) * (look.to_ns - look.from_ns) as f64).sum();
    (length > 0).then(|| sum / length as f64)
}
