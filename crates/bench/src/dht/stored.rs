//! `dht.lookups_per_s` and `dht.tracing_overhead_ratio`: what it costs to keep every hop of every lookup.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use peermark_core::{Clock, MonotonicNs, Outcome, Seed};
use peermark_dht::evidence::{
    Evidence, EvidenceOptions, Finished, Recorder as EvidenceRecorder, RecorderEnd, RunFacts,
};
use peermark_dht::key::RecordKey;
use peermark_dht::measure::Measure;
use peermark_dht::operation::Hit;
use peermark_probe::driver::{Done, Driver, Prepared};
use peermark_probe::environment::environment;
use peermark_probe::executor::{Executor, Limits, window_from};
use peermark_probe::host::ProcessSampler;
use peermark_probe::pacer::PrecisePacer;
use peermark_probe::recorder::{Recorder, quantile};
use peermark_probe::schedule::{Rate, Schedule};
use peermark_store::Store;
use peermark_store::dht::DhtStore;
use tokio_util::sync::CancellationToken;

use super::{Bench, TIMEOUT_NS};
use crate::figure::median;
use crate::{BenchError, Figure, Hold};

/// Lookups a second, and how long.
const RATE: f64 = 100.0;
const DURATION: Duration = Duration::from_secs(30);

/// Records that are looked up.
const KEYS: u64 = 200;

/// Pairs of blocks with and without a store, lookups of each, and the pause in which the last of them are written.
const BLOCKS: usize = 8;
const LOOKUPS: usize = 600;
const WRITTEN: Duration = Duration::from_millis(300);

/// Looks up keys in turn and hands every operation on to be stored.
struct LookupDriver {
    engine: Arc<peermark_dht::engine::Engine>,
    keys: Arc<[RecordKey]>,
    evidence: EvidenceRecorder,
    clock: Arc<dyn Clock>,
}

impl Driver for LookupDriver {
    type Task = RecordKey;

    fn lanes(&self) -> Vec<String> {
        vec!["retrieve".into()]
    }

    fn prepare(&mut self, number: u64) -> Option<Prepared<RecordKey>> {
        let task = self.keys[(number % self.keys.len() as u64) as usize].clone();
        Some(Prepared { lane: 0, trace: number, timeout: None, task })
    }

    fn run(&self, task: RecordKey, deadline_ns: MonotonicNs) -> impl Future<Output = Done> + Send + 'static {
        let (engine, evidence, clock) = (Arc::clone(&self.engine), self.evidence.clone(), Arc::clone(&self.clock));
        async move {
            let operation = engine.retrieve(task, deadline_ns).await;
            let outcome = operation.outcome;
            evidence.record(Arc::new(operation), &*clock);
            Done { outcome, bytes: 0, first_byte_ns: None }
        }
    }
}

fn failed(reason: impl ToString) -> BenchError {
    BenchError::subject("storing lookups", reason)
}

impl Bench {
    /// Both figures.
    pub(super) async fn stored(&mut self, scratch: &Path) -> Result<Vec<Figure>, BenchError> {
        let keys = self.publish().await?;
        let mut figures = self.lookups_per_s(&keys, scratch).await?;
        figures.push(self.overhead(&keys, scratch).await?);
        Ok(figures)
    }

    async fn publish(&mut self) -> Result<Arc<[RecordKey]>, BenchError> {
        let mut keys = Vec::new();
        for number in 0..KEYS {
            let key = RecordKey::of_content(format!("stored {number}").as_bytes()).0;
            let provide = self.publisher.engine.provide(key.clone(), self.clock.now_ns() + TIMEOUT_NS).await;
            super::check(&provide, Hit::Remote)?;
            keys.push(key);
        }
        Ok(keys.into())
    }

    async fn evidence(&self, path: &Path) -> Result<(EvidenceRecorder, RecorderEnd, Store), BenchError> {
        let store = Store::open(path).await.map_err(failed)?;
        let evidence = Evidence { observations: Some(store.clone()), traces: Some(DhtStore::of(&store)), linked: true };
        let facts = RunFacts {
            run: format!("bench-{}", self.clock.now_ns()),
            observer: self.finder.engine.host().peer_id().to_base58(),
            fleet: "bench".into(),
            region: String::new(),
            environment: environment(env!("CARGO_PKG_VERSION"), ""),
        };
        let (recorder, end) = evidence.begin(facts, EvidenceOptions::default(), &*self.clock).await.map_err(failed)?;
        Ok((recorder, end, store))
    }

    /// 100 lookups a second for half a minute, on schedule, each stored with its hops.
    async fn lookups_per_s(&self, keys: &Arc<[RecordKey]>, scratch: &Path) -> Result<Vec<Figure>, BenchError> {
        let path = scratch.join("dht.db");
        let (evidence, end, store) = self.evidence(&path).await?;
        let limits = Limits {
            warm_up: Duration::ZERO,
            duration: Some(DURATION),
            operations: None,
            timeout: Duration::from_nanos(TIMEOUT_NS),
            max_in_flight: 256,
        };
        let rate = Rate::try_new(RATE).map_err(failed)?;
        let mut arrivals = Schedule::Poisson { rate }.arrivals(Seed(7).stream("bench.dht"));
        let mut driver = LookupDriver {
            engine: Arc::clone(&self.finder.engine),
            keys: Arc::clone(keys),
            evidence: evidence.clone(),
            clock: Arc::clone(&self.clock),
        };
        let process = ProcessSampler::start(std::process::id()).ok_or_else(|| failed("no process figures"))?;
        let cpu = || process.look().map_or(f64::NAN, |usage| usage.cpu_seconds);
        let mut pacer = PrecisePacer::new(Arc::clone(&self.clock)).map_err(BenchError::io("making a pacer"))?;
        let window = window_from(&*self.clock, &limits);
        let mut recorder = Recorder::new(&"lookups".into(), &driver.lanes(), window, TIMEOUT_NS, None);
        let (cpu_before, began_ns) = (cpu(), self.clock.now_ns());
        let executor = Executor {
            limits,
            window,
            pacer: &mut pacer,
            recorder: &mut recorder,
            stop: &CancellationToken::new(),
            show: &mut |_| {},
        };
        let execution = executor.execute(&mut driver, &mut arrivals).await.map_err(failed)?;
        let seconds = (self.clock.now_ns() - began_ns) as f64 / 1e9;
        let cores = (cpu() - cpu_before) / seconds;
        let stored = end.finish().await;
        let lanes = recorder.finish(execution.window.end_ns).map_err(failed)?;
        store.close().await;
        self.judge_stored(&path, &lanes[0], &stored, cores, seconds).await
    }

    async fn judge_stored(
        &self,
        path: &Path,
        lane: &peermark_probe::recorder::LaneRecord,
        stored: &Finished,
        cores: f64,
        seconds: f64,
    ) -> Result<Vec<Figure>, BenchError> {
        let bytes = std::fs::metadata(path).map_err(BenchError::io("reading the size of the store"))?.len();
        let dht = DhtStore::open_sqlite(path).await.map_err(failed)?;
        let (operations, hops) = count(&dht).await?;
        dht.close().await;
        let at = |q| quantile(&lane.latency, lane.censored, TIMEOUT_NS, q).map_or(f64::NAN, |ns| ns as f64 / 1e6);
        let mut rate = Figure::of_values("dht.lookups_per_s", "1/s", &[lane.ok as f64 / seconds], Hold::AtLeast(95.0));
        rate.reference = format!("{RATE} a second wanted, Poisson, {DURATION:?}; parsec makes seven a minute");
        rate.notes.push(format!(
            "latency p50 {:.2} p90 {:.2} p99 {:.2} ms from the intended start",
            at(0.5),
            at(0.9),
            at(0.99)
        ));
        let lost = (lane.ok + lane.censored).saturating_sub(operations) + stored.dropped;
        let mut kept = Figure::of_values("dht.lookups_lost", "rows", &[lost as f64], Hold::AtMost(0.0));
        kept.notes.push(format!("{operations} operations with {hops} hops in the store, {} dropped", stored.dropped));
        let mut cpu = Figure::of_values("dht.lookups_cpu", "cores", &[cores], Hold::AtMost(0.5));
        cpu.notes.push("the whole process: fifty servers, the client, the store, the pacing".into());
        let per_hop = bytes as f64 / hops.max(1) as f64;
        let mut size = Figure::of_values("dht.bytes_per_hop", "bytes", &[per_hop], Hold::AtMost(200.0));
        size.notes.push("the whole file: hops, operations, observations, peers, indices".into());
        Ok(vec![rate, kept, cpu, size])
    }

    /// CPU time of lookups whose traces are stored, beside that of lookups whose traces are let go, by turns.
    async fn overhead(&self, keys: &Arc<[RecordKey]>, scratch: &Path) -> Result<Figure, BenchError> {
        let (evidence, end, store) = self.evidence(&scratch.join("overhead.db")).await?;
        let (mut with, mut without, mut slower) = (Vec::new(), Vec::new(), Vec::new());
        for block in 0..=BLOCKS {
            let first_stores = block.is_multiple_of(2);
            let mut elapsed = [0.0; 2];
            for stores in [first_stores, !first_stores] {
                let (cpu_ms, ms) = self.block(keys, stores.then_some(&evidence)).await?;
                elapsed[usize::from(stores)] = ms;
                // The first pair warms up.
                if block > 0 {
                    if stores { with.push(cpu_ms) } else { without.push(cpu_ms) }
                }
            }
            slower.push(elapsed[1] / elapsed[0]);
        }
        end.finish().await;
        store.close().await;
        let reference = ("the same lookups without a store; CPU time of the process per lookup", &without[..]);
        let mut figure = Figure::of_ratio("dht.tracing_overhead_ratio", "ms", &with, reference, Hold::None);
        let latency = median(&slower[1..]);
        figure.ok = Some(latency <= 1.05);
        figure.notes.push(format!("held: the median lookup takes {latency:.3} times as long (hold <= 1.05)"));
        Ok(figure)
    }

    /// Lookups one after the other: CPU ms of the process per lookup, and the median lookup in ms. A mean would tell of whatever
    /// interrupted one of them.
    async fn block(&self, keys: &[RecordKey], evidence: Option<&EvidenceRecorder>) -> Result<(f64, f64), BenchError> {
        let process = ProcessSampler::start(std::process::id()).ok_or_else(|| failed("no process figures"))?;
        let cpu = || process.look().map_or(f64::NAN, |usage| usage.cpu_seconds * 1e3);
        let cpu_before = cpu();
        let mut took_ms = Vec::with_capacity(LOOKUPS);
        for key in keys.iter().cycle().take(LOOKUPS) {
            let asked_ns = self.clock.now_ns();
            let operation = self.finder.engine.retrieve(key.clone(), asked_ns + TIMEOUT_NS).await;
            took_ms.push((self.clock.now_ns() - asked_ns) as f64 / 1e6);
            if operation.outcome != Outcome::Ok {
                return Err(failed(operation.error));
            }
            if let Some(evidence) = evidence {
                evidence.record(Arc::new(operation), &*self.clock);
            }
        }
        // What was handed on is written within this pause, and belongs to its block.
        tokio::time::sleep(WRITTEN).await;
        Ok(((cpu() - cpu_before) / LOOKUPS as f64, median(&took_ms)))
    }
}

/// Operations and hops in a store.
async fn count(dht: &DhtStore) -> Result<(u64, u64), BenchError> {
    let mut filter = peermark_store::dht::MeasuredFilter { until_ms: u64::MAX, ..Default::default() };
    let (mut operations, mut hops) = (0, 0);
    loop {
        let page = dht.traces_with_cursors(&filter, 1000).await.map_err(failed)?;
        let Some((last, _)) = page.last() else { return Ok((operations, hops)) };
        filter.after = Some(*last);
        operations += page.len() as u64;
        hops += page.iter().map(|(_, trace)| trace.hops.len() as u64).sum::<u64>();
    }
}
