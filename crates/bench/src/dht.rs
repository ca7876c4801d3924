//! `dht.*`: publish and lookup in a private network of fifty DHT servers in this process.
//!
//! Three clients share the network: one publishes, one looks up with our engine, one with libp2p's own Kademlia query. Every
//! key is looked up once by both, the first of them by turns, right after the publisher's records were confirmed; clients
//! are no servers, so no answer is local. Warm rows run on connections that are there; for cold rows every connection of a client
//! is closed before each of its lookups.

mod reference;
mod stored;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use peermark_core::{Clock, Seed};
use peermark_dht::engine::EngineConfig;
use peermark_dht::key::RecordKey;
use peermark_dht::measure::Measure;
use peermark_dht::operation::{Hit, Operation, Variant};
use peermark_dht::private::{Member, PrivateConfig, PrivateNetwork};
use peermark_judge::compare::{Direction, Effect, MetricRuns, compare};
use peermark_probe::clock::MonotonicClock;

use crate::figure::median;
use crate::{BenchError, Figure, Hold};
use reference::Reference;

/// Servers of the network.
const SERVERS: usize = 50;

/// Peers that a record is stored with: far fewer than there are servers, so that lookups have a way to go.
const K: usize = 5;

/// Rounds, and keys of each. The first round is not counted.
const ROUNDS: usize = 10;
const WARM_KEYS: usize = 60;
const COLD_KEYS: usize = 15;

/// Longest time for one operation.
const TIMEOUT_NS: u64 = 20_000_000_000;

/// The clients and their network.
struct Bench {
    clock: Arc<dyn Clock>,
    /// Lives as long as the clients need it.
    _network: PrivateNetwork,
    publisher: Member,
    finder: Member,
    reference: Reference,
    keys: u64,
}

/// What one temperature of connections gave, in milliseconds.
#[derive(Default)]
struct Rows {
    ours: Vec<Vec<f64>>,
    theirs: Vec<Vec<f64>>,
    returned: Vec<Vec<f64>>,
    stored: Vec<Vec<f64>>,
    hops: u64,
    wasted: u64,
    /// Of the critical hops: dial, handshake, question; and the whole operations, ns.
    parts: [u64; 4],
}

/// Provide and first-provider lookup beside libp2p's query, warm and cold.
///
/// # Errors
/// [`BenchError`] when the network does not come up, or when an operation fails or is answered locally.
pub async fn dht(scratch: &Path) -> Result<Vec<Figure>, BenchError> {
    let mut bench = Bench::start().await?;
    let warm = bench.rows(WARM_KEYS, false).await?;
    let cold = bench.rows(COLD_KEYS, true).await?;
    let mut figures = vec![ratio_figure("dht.lookup_ratio", &warm, Hold::AtMost(1.1))];
    figures.extend(percentiles(
        ["dht.lookup_p50_ms", "dht.lookup_p90_ms", "dht.lookup_p99_ms"],
        &warm.ours,
        &warm.theirs,
    ));
    figures.push(ratio_figure("dht.lookup_cold_ratio", &cold, Hold::None));
    figures.extend(percentiles(
        ["dht.lookup_cold_p50_ms", "dht.lookup_cold_p90_ms", "dht.lookup_cold_p99_ms"],
        &cold.ours,
        &cold.theirs,
    ));
    figures.extend(percentiles(
        ["dht.provide_p50_ms", "dht.provide_p90_ms", "dht.provide_p99_ms"],
        &warm.stored,
        &warm.returned,
    ));
    for figure in figures.iter_mut().filter(|figure| figure.name.starts_with("dht.provide")) {
        figure.reference = "until the call of the classic provide returns (every ADD_PROVIDER written); \
                            the figure itself ends with the last confirmation"
            .into();
    }
    figures.extend(bench.stored(scratch).await?);
    Ok(figures)
}

impl Bench {
    async fn start() -> Result<Self, BenchError> {
        let failed = |error| BenchError::subject("starting fifty DHT servers", error);
        let clock: Arc<dyn Clock> = Arc::new(MonotonicClock::new());
        let config = PrivateConfig { servers: SERVERS, k: K, idle_timeout: Duration::from_secs(600), seed: Seed(7) };
        let network = PrivateNetwork::start(config, Arc::clone(&clock)).await.map_err(failed)?;
        let engine = EngineConfig { alpha: 3, k: K, ..EngineConfig::of(Variant::Default) };
        let publisher = network.measurer(0, engine).await.map_err(failed)?;
        let finder = network.measurer(1, engine).await.map_err(failed)?;
        let reference = Reference::start(&network.bootstrap(), K).await?;
        Ok(Self { clock, _network: network, publisher, finder, reference, keys: 0 })
    }

    async fn rows(&mut self, keys: usize, cold: bool) -> Result<Rows, BenchError> {
        let mut rows = Rows::default();
        for round in 0..=ROUNDS {
            let mut of_round = Rows { ours: vec![vec![]], theirs: vec![vec![]], ..Rows::default() };
            (of_round.returned, of_round.stored) = (vec![vec![]], vec![vec![]]);
            for _ in 0..keys {
                self.one(cold, &mut of_round).await?;
            }
            if round > 0 {
                rows.ours.append(&mut of_round.ours);
                rows.theirs.append(&mut of_round.theirs);
                rows.returned.append(&mut of_round.returned);
                rows.stored.append(&mut of_round.stored);
                rows.hops += of_round.hops;
                rows.wasted += of_round.wasted;
                rows.parts.iter_mut().zip(of_round.parts).for_each(|(sum, part)| *sum += part);
            }
        }
        Ok(rows)
    }

    /// Publishes one key and looks it up both ways.
    async fn one(&mut self, cold: bool, rows: &mut Rows) -> Result<(), BenchError> {
        self.keys += 1;
        let key = RecordKey::of_content(&self.keys.to_be_bytes()).0;
        if cold {
            self.publisher.engine.host().disconnect_all().await;
        }
        let deadline_ns = self.clock.now_ns() + TIMEOUT_NS;
        let provide = self.publisher.engine.provide(key.clone(), deadline_ns).await;
        check(&provide, Hit::Remote)?;
        let stored_ns = provide.stored_ns.unwrap_or(provide.returned_ns);
        rows.returned[0].push(provide.duration_ns() as f64 / 1e6);
        rows.stored[0].push((stored_ns.max(provide.returned_ns) - provide.started_ns) as f64 / 1e6);
        let ours_first = self.keys.is_multiple_of(2);
        for ours in [ours_first, !ours_first] {
            if ours {
                self.look_up(&key, cold, rows).await?;
            } else {
                let elapsed = self.reference.look_up(key.as_bytes(), cold, &*self.clock).await?;
                rows.theirs[0].push(elapsed as f64 / 1e6);
            }
        }
        Ok(())
    }

    async fn look_up(&self, key: &RecordKey, cold: bool, rows: &mut Rows) -> Result<(), BenchError> {
        if cold {
            self.finder.engine.host().disconnect_all().await;
        }
        let began_ns = self.clock.now_ns();
        let retrieve = self.finder.engine.retrieve(key.clone(), began_ns + TIMEOUT_NS).await;
        // As a caller sees it: until the call is back, not until the answer was read.
        let elapsed_ns = self.clock.now_ns() - began_ns;
        check(&retrieve, Hit::Remote)?;
        rows.ours[0].push(elapsed_ns as f64 / 1e6);
        rows.hops += retrieve.hops.len() as u64;
        for hop in retrieve.hops.iter().filter(|hop| hop.critical) {
            rows.parts[0] += hop.dial_ns;
            rows.parts[1] += hop.handshake_ns;
            rows.parts[2] += hop.ended_ns - hop.sent_ns;
        }
        rows.parts[3] += elapsed_ns;
        rows.wasted += retrieve.hops.iter().filter(|hop| hop.wasted).count() as u64;
        Ok(())
    }
}

fn check(operation: &Operation, hit: Hit) -> Result<(), BenchError> {
    if operation.hit == hit {
        return Ok(());
    }
    let reason = format!("{} ended as {}: {}", operation.kind.as_str(), operation.hit.as_str(), operation.error);
    Err(BenchError::subject("measuring the DHT", reason))
}

/// Ours to theirs by the medians of the rounds. What is held is the upper end of the ratio's 95 % interval.
fn ratio_figure(name: &'static str, rows: &Rows, hold: Hold) -> Figure {
    let medians = |rounds: &[Vec<f64>]| -> Vec<f64> { rounds.iter().map(|round| median(round)).collect() };
    let (ours, theirs) = (medians(&rows.ours), medians(&rows.theirs));
    let mut figure =
        Figure::of_ratio(name, "ms", &ours, ("libp2p's Kademlia query, same keys, by turns", &theirs), hold);
    let runs =
        MetricRuns { name: name.into(), direction: Direction::LowerIsBetter, a: theirs, b: ours, min_effect: 0.05 };
    let effect: Option<Effect> = compare(&[runs]).into_iter().next().and_then(|finding| finding.effect);
    let upper = effect.map_or(f64::NAN, |effect| 1.0 + effect.high);
    figure.ok = hold.holds(upper);
    figure.notes.push(format!("upper 95 % bound of the ratio {upper:.3}; reach 0.7"));
    let lookups = rows.ours.iter().map(Vec::len).sum::<usize>().max(1);
    figure.notes.push(format!(
        "{SERVERS} servers, k = {K}, alpha 3; {:.1} RPCs a lookup, {:.1} of them wasted",
        rows.hops as f64 / lookups as f64,
        rows.wasted as f64 / lookups as f64
    ));
    let [dial, handshake, question, whole] = rows.parts.map(|part| part as f64);
    let share = |part: f64| 100.0 * part / whole.max(1.0);
    figure.notes.push(format!(
        "on the critical path: {:.0} % dial, {:.0} % handshake, {:.0} % questions, {:.0} % the rest",
        share(dial),
        share(handshake),
        share(question),
        share(whole - dial - handshake - question)
    ));
    figure
}

/// Percentiles over all rounds, by the nearest rank.
fn percentiles(names: [&'static str; 3], ours: &[Vec<f64>], theirs: &[Vec<f64>]) -> Vec<Figure> {
    let at = |rounds: &[Vec<f64>], q: f64| {
        let mut all: Vec<f64> = rounds.iter().flatten().copied().collect();
        all.sort_by(f64::total_cmp);
        all.get(((all.len() as f64 * q).ceil() as usize).saturating_sub(1)).copied().unwrap_or(f64::NAN)
    };
    let figures = names.into_iter().zip([0.5, 0.9, 0.99]).map(|(name, q)| {
        let reference = ("libp2p's Kademlia query", &[at(theirs, q)][..]);
        let mut figure = Figure::of_ratio(name, "ms", &[at(ours, q)], reference, Hold::None);
        figure.rounds = ours.iter().map(Vec::len).sum();
        figure
    });
    figures.collect()
}
