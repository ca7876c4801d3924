//! Runs: what was executed, how it ended and what came out.
//!
//! A run is begun before its first evidence and finished once. One that says `started` either still runs or lost its process;
//! everything that was stored for it until then is there.

mod read;
mod write;

use peermark_core::Seed;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use crate::error::{RowKey, StoreError};

/// Largest result document, in bytes.
pub const MAX_RESULT_BYTES: usize = 16 << 20;

/// Most runs that one query returns.
pub const MAX_RUNS: u32 = 10_000;

/// What is known of a run when it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunRecord {
    /// Identifies it; also the name of its directory, so 1 to 128 letters, digits, `.`, `_` or `-`.
    pub id: String,
    /// The job: `lab`, `monitor`, `dht`, `attest`.
    pub kind: String,
    /// Name of the scenario or task. Runs of the same kind and name are each other's history.
    pub name: String,
    /// Equal fingerprints asked for the same thing; empty where there is no scenario.
    pub scenario_fingerprint: String,
    /// Reproduces the run.
    pub seed: Seed,
    /// Version of peermark.
    pub version: String,
    /// Commit it was built from.
    pub commit: String,
    /// Fingerprint that [`crate::Store::put_environment`] returned.
    pub environment: String,
    /// When it began, milliseconds since the Unix epoch.
    pub started_wall_ms: u64,
}

/// A run as it is in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// What was known when it began.
    pub record: RunRecord,
    /// Whether and how it ended.
    pub state: RunState,
    /// Whether its figures may be used; `None` where that was not judged.
    pub validity: Option<Validity>,
    /// How long it lasted; `None` until it ended.
    pub duration_ns: Option<u64>,
}

/// Whether and how a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RunState {
    /// It runs, or its process ended without a word.
    Started,
    /// It ended.
    Ended(Ending),
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ending {
    /// Finished, and kept every threshold.
    Succeeded,
    /// Finished, but missed a threshold.
    Failed,
    /// Stopped before its end; what is there is partial.
    Aborted,
}

/// Whether figures may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Validity {
    /// Nothing speaks against them.
    Valid,
    /// Something else than the thing measured decided some of them.
    Suspect,
}

/// What is known of a run when it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunEnd {
    /// How it ended.
    pub ending: Ending,
    /// Whether its figures may be used; `None` where that was not judged.
    pub validity: Option<Validity>,
    /// How long it lasted.
    pub duration_ns: u64,
    /// Its result document; `None` where an aborted run has none.
    pub result_json: Option<String>,
}

/// Which runs to list. The default takes the newest hundred of all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunFilter {
    /// Of this job only.
    pub kind: Option<String>,
    /// Of this scenario or task only.
    pub name: Option<String>,
    /// Begun at or after this time, milliseconds since the Unix epoch.
    pub since_wall_ms: Option<u64>,
    /// At most so many; never more than [`MAX_RUNS`].
    pub limit: u32,
}

impl Default for RunFilter {
    fn default() -> Self {
        Self { kind: None, name: None, since_wall_ms: None, limit: 100 }
    }
}

impl RunState {
    /// The name under which the state is stored and printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Ended(Ending::Succeeded) => "succeeded",
            Self::Ended(Ending::Failed) => "failed",
            Self::Ended(Ending::Aborted) => "aborted",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        let endings = [Ending::Succeeded, Ending::Failed, Ending::Aborted].map(Self::Ended);
        [Self::Started].into_iter().chain(endings).find(|state| state.as_str() == name)
    }
}

impl Validity {
    /// The name under which the verdict is stored and printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "VALID",
            Self::Suspect => "SUSPECT",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Valid, Self::Suspect].into_iter().find(|validity| validity.as_str() == name)
    }
}

/// The columns that [`run_of_row`] reads: all but the result document.
macro_rules! select_runs {
    ($from:literal) => {
        concat!(
            "SELECT id, kind, name, scenario_fingerprint, seed, version, \"commit\", env, started_wall_ms, duration_ns, \
             state, validity FROM ",
            $from
        )
    };
}
pub(crate) use select_runs;

/// Reads one row of [`select_runs`].
pub(crate) fn run_of_row(row: &SqliteRow) -> Result<Run, StoreError> {
    let failed = StoreError::while_doing("read a run");
    let text = |column: &str| row.try_get::<String, _>(column).map_err(&failed);
    let id = text("id")?;
    let key = RowKey::Run { id: id.clone() };
    let duration_ns: Option<i64> = row.try_get("duration_ns").map_err(&failed)?;
    let validity: Option<String> = row.try_get("validity").map_err(&failed)?;
    let started: i64 = row.try_get("started_wall_ms").map_err(&failed)?;
    let seed: i64 = row.try_get("seed").map_err(&failed)?;
    Ok(Run {
        record: RunRecord {
            id,
            kind: text("kind")?,
            name: text("name")?,
            scenario_fingerprint: text("scenario_fingerprint")?,
            seed: Seed(seed.cast_unsigned()),
            version: text("version")?,
            commit: text("commit")?,
            environment: text("env")?,
            started_wall_ms: key.unsigned("started_wall_ms", started)?,
        },
        state: key.named("state", &text("state")?, RunState::from_name)?,
        validity: validity.map(|name| key.named("validity", &name, Validity::from_name)).transpose()?,
        duration_ns: duration_ns.map(|found| key.unsigned("duration_ns", found)).transpose()?,
    })
}
