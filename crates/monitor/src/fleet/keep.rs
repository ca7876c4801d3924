//! The attempts of many nodes in one store: a series per node and task, in which each attempt is once.

use std::collections::HashMap;
use std::sync::Arc;

use peermark_core::{Clock, Culprit, Environment, EvidenceClass, FailureClass, Outcome, Sample, Seed, Series, Unit};
use peermark_store::{Party, PartyKind, RunRecord, SeriesId, Store, StoreError};
use thiserror::Error;

use crate::attempt::{Attempt, Status};

/// The run that all fleets of one store belong to. It is never finished.
pub const RUN: &str = "monitor-fleet";

/// How far before its first question the run's epoch lies: as far as a monitor may remember.
const EPOCH_BEFORE_MS: u64 = 400 * 86_400_000;

const NS_PER_MS: u64 = 1_000_000;

/// Why attempts could not be kept.
#[derive(Debug, Error)]
pub enum KeepError {
    /// The store failed.
    #[error("cannot keep attempts of the fleet")]
    Store(#[from] StoreError),
}

/// Puts attempts of other nodes into a store.
#[derive(Debug)]
pub struct Keeper {
    store: Store,
    environment: String,
    epoch_ms: u64,
    series: tokio::sync::Mutex<HashMap<(String, String), Kept>>,
}

/// What the store has of a node's task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    series: SeriesId,
    /// Number of the newest attempt in the node's chain; `None` before the first of this chain.
    pub seq: Option<u64>,
    /// What is added to a number in the chain to get the number here: the length of the chains that the node lost.
    base: u64,
    /// When that one ended, Unix ms by the node's clock.
    pub ended_ms: u64,
}

/// Whose attempts.
#[derive(Clone, Copy, Debug)]
pub struct Of<'a> {
    /// The node's peer id.
    pub node: &'a str,
    /// Its name in the fleet.
    pub name: &'a str,
    /// Where it is.
    pub region: &'a str,
    /// The task.
    pub task: &'a str,
    /// The unit of its values.
    pub unit: Unit,
}

impl Keeper {
    /// Begins the fleet's run in `store`, or goes on with it.
    ///
    /// # Errors
    /// [`KeepError`].
    pub async fn open(store: Store, clock: &Arc<dyn Clock>) -> Result<Self, KeepError> {
        // A report of another machine: nothing is known of where it was measured.
        let elsewhere = Environment {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            commit: "unknown".to_owned(),
            kernel: "elsewhere".to_owned(),
            cpu: "elsewhere".to_owned(),
            cores: 0,
            memory_bytes: 0,
            governor: None,
            build: "elsewhere".to_owned(),
        };
        let environment = store.put_environment(&elsewhere).await?;
        let run = RunRecord {
            id: RUN.to_owned(),
            kind: "monitor".to_owned(),
            name: "fleet".to_owned(),
            scenario_fingerprint: String::new(),
            seed: Seed(0),
            version: elsewhere.version,
            commit: elsewhere.commit,
            environment: environment.clone(),
            started_wall_ms: clock.wall_ms().saturating_sub(EPOCH_BEFORE_MS),
        };
        let epoch_ms = match store.begin_run(&run).await {
            Ok(()) => run.started_wall_ms,
            Err(StoreError::DuplicateRun { .. }) => store.run(RUN).await?.record.started_wall_ms,
            Err(error) => return Err(error.into()),
        };
        Ok(Self { store, environment, epoch_ms, series: tokio::sync::Mutex::new(HashMap::new()) })
    }

    /// What is there of a node's task.
    ///
    /// # Errors
    /// [`KeepError`].
    pub async fn kept(&self, of: Of<'_>) -> Result<Kept, KeepError> {
        let key = (of.node.to_owned(), of.task.to_owned());
        let mut known = self.series.lock().await;
        if let Some(kept) = known.get(&key) {
            return Ok(*kept);
        }
        let party = Party { id: of.node.to_owned(), kind: PartyKind::Peer, name: of.name.to_owned() };
        self.store.put_party(&party).await?;
        let series = self.store.add_series(&self.series_of(of)).await?;
        let newest = self.store.latest_observation(series).await?;
        // The trace is the number in the chain.
        let kept = Kept {
            series,
            seq: newest.map(|sample| sample.trace),
            base: newest.map_or(0, |sample| sample.seq.saturating_sub(sample.trace)),
            ended_ms: newest.map_or(0, |sample| self.epoch_ms + sample.ended_ns / NS_PER_MS),
        };
        known.insert(key, kept);
        Ok(kept)
    }

    /// A node lost its history and counts from the beginning: what it has now comes after what is there.
    ///
    /// # Errors
    /// [`KeepError`].
    pub async fn begin_anew(&self, of: Of<'_>) -> Result<Kept, KeepError> {
        let kept = self.kept(of).await?;
        let now = Kept { base: kept.base.saturating_add(kept.seq.unwrap_or(0)), seq: None, ..kept };
        self.series.lock().await.insert((of.node.to_owned(), of.task.to_owned()), now);
        Ok(now)
    }

    /// Stores those of `attempts` (ascending) that are newer than what is there, and returns how many.
    ///
    /// # Errors
    /// [`KeepError`].
    pub async fn keep(&self, of: Of<'_>, attempts: &[Attempt]) -> Result<usize, KeepError> {
        let kept = self.kept(of).await?;
        let new: Vec<&Attempt> = attempts.iter().filter(|attempt| Some(attempt.seq) > kept.seq).collect();
        let Some(newest) = new.last() else { return Ok(0) };
        let samples: Vec<Sample> = new.iter().map(|attempt| self.sample(attempt, kept.base)).collect();
        self.store.put_observations(kept.series, &samples).await?;
        let now = Kept { seq: Some(newest.seq), ended_ms: newest.ended_ms, ..kept };
        self.series.lock().await.insert((of.node.to_owned(), of.task.to_owned()), now);
        Ok(new.len())
    }

    fn series_of(&self, of: Of<'_>) -> Series {
        Series {
            schema: Series::SCHEMA,
            run: RUN.to_owned(),
            kind: format!("monitor.{}", of.task),
            class: EvidenceClass::SelfReport,
            observer: of.node.to_owned(),
            subject: of.node.to_owned(),
            observer_region: of.region.to_owned(),
            subject_region: of.region.to_owned(),
            unit: of.unit,
            environment: self.environment.clone(),
        }
    }

    /// Times are the node's wall clock since the run's epoch; within an attempt its monotonic clock counts.
    fn sample(&self, attempt: &Attempt, base: u64) -> Sample {
        let since = |wall_ms: u64| wall_ms.saturating_sub(self.epoch_ms).saturating_mul(NS_PER_MS);
        let started_ns = since(attempt.started_ms);
        let outcome = match (attempt.status, &attempt.failure) {
            (Status::Ok, _) => Outcome::Ok,
            (Status::Failed, Some(said)) => Outcome::failed(said.class, said.culprit),
            (Status::Failed, None) => Outcome::failed(FailureClass::Protocol, Culprit::Peer),
            (Status::Skipped, _) => Outcome::failed(FailureClass::NotSent, Culprit::Observer),
        };
        Sample {
            seq: attempt.seq.saturating_add(base),
            intended_ns: since(attempt.intended_ms).min(started_ns),
            started_ns,
            ended_ns: started_ns.saturating_add(attempt.duration_ns),
            bytes: attempt.bytes,
            value: attempt.value.unwrap_or(0),
            outcome,
            trace: attempt.seq,
        }
    }
}
