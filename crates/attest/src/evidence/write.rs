//! Writing what a ledger admitted into a store.

use peermark_core::sealed::Sealed;
use peermark_core::{Environment, Seed};
use peermark_ledger::block::{BlockRecord, DOMAIN};
use peermark_store::{Ending, MAX_BATCH_ROWS, RunEnd, RunRecord, RunState, Store, StoreError};
use thiserror::Error;

use super::measured::{Observed, observed};
use crate::ledger::Loaded;

/// The job, as the store names it.
const KIND: &str = "ledger";

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The run that it is.
    pub run: String,
    /// Its series.
    pub series: usize,
    /// Operations that are counted in them.
    pub operations: u64,
}

/// Why a ledger's evidence was not written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreEvidenceError {
    /// Up to this checkpoint it is there already.
    #[error("run {run} is in the store already")]
    Stored {
        /// The run.
        run: String,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Writes everything up to the ledger's checkpoint as one run. What an interrupted call has left is written anew.
///
/// # Errors
/// [`StoreEvidenceError`].
pub async fn store(loaded: &Loaded, store: &Store, environment: &Environment) -> Result<Stored, StoreEvidenceError> {
    let machine = loaded.checked.replay.machine();
    let fingerprint = store.put_environment(environment).await?;
    let run = format!("{KIND}-{}-{}", machine.network(), loaded.evidence.records.len());
    match store.run(&run).await {
        Ok(found) if found.state == RunState::Started => store.delete_run(&run).await?,
        Ok(_) => return Err(StoreEvidenceError::Stored { run }),
        Err(StoreError::NoSuchRun { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    let record = RunRecord {
        id: run.clone(),
        kind: KIND.to_owned(),
        name: machine.network().to_owned(),
        scenario_fingerprint: String::new(),
        seed: Seed(0),
        version: environment.version.clone(),
        commit: environment.commit.clone(),
        environment: fingerprint.clone(),
        started_wall_ms: first_wall_ms(loaded),
    };
    store.begin_run(&record).await?;
    let block_ns = u64::from(machine.state().policy().block_seconds).saturating_mul(1_000_000_000);
    let mut stored = Stored { run, series: 0, operations: 0 };
    for one in observed(loaded, &stored.run, &fingerprint) {
        stored.operations += write(store, &one, block_ns).await?;
        stored.series += 1;
    }
    let duration_ns = loaded.checked.height().saturating_mul(block_ns);
    let end = RunEnd { ending: Ending::Succeeded, validity: None, duration_ns, result_json: None };
    store.finish_run(&stored.run, &end).await?;
    Ok(stored)
}

async fn write(store: &Store, one: &Observed, block_ns: u64) -> Result<u64, StoreError> {
    let series = store.add_series(&one.series).await?;
    let mut operations = one.samples.len() as u64;
    for ((t0_ns, class), histogram) in &one.hists {
        store.put_hist(series, *t0_ns, t0_ns.saturating_add(block_ns), *class, histogram).await?;
        operations += histogram.len();
    }
    for samples in one.samples.chunks(MAX_BATCH_ROWS) {
        store.put_observations(series, samples).await?;
    }
    Ok(operations)
}

/// The clock of the first block; 0 where there is none.
fn first_wall_ms(loaded: &Loaded) -> u64 {
    let records = loaded.evidence.records.iter().filter_map(|bytes| Sealed::decode(bytes).ok());
    let first = records.into_iter().find(|record| record.domain() == DOMAIN);
    first.and_then(|record| record.payload().to::<BlockRecord>().ok()).map_or(0, |record| record.wall_ms)
}
