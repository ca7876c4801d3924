//! Everything that the monitor has seen: each attempt as an observation in the store that all jobs share, and sealed beside it.
//!
//! An attempt is on disk when [`History::append`] returns. Old ones become one rollup a day ([`History::prune`]), which a record of
//! the chain vouches for. The latest of each task are kept in memory, so that asking for them never waits.
//! What is written how: `docs/formats/monitor.md`, section "Records".

mod append;
mod days;
mod error;
mod footprint;
mod memory;
mod open;
mod payload;
mod prune;
mod read;
mod trust;
mod verify;

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use parking_lot::RwLock;
use peermark_core::sealed::SigningKey;
use peermark_core::{Clock, Environment, Unit};
use peermark_store::{ChainId, Store};
use serde_json::Value;
use tokio::sync::{Mutex, watch};

use crate::attempt::{Said, Status, Trigger};
use crate::config::HistoryConfig;
use append::Writer;
use memory::Memory;

pub use error::HistoryError;
pub use footprint::{Footprint, footprint};
pub use memory::TaskMemory;
pub use prune::PruneReport;
pub use read::Page;
pub use verify::{MAX_FAULTS, Verification};

/// File of the history in the data directory.
pub const FILE: &str = "monitor.db";

/// Domain of the sealed records.
pub const DOMAIN: &str = "monitor";

/// Longest result as JSON text. What is longer belongs into the failure `bad_output`.
pub const MAX_RESULT_BYTES: usize = 48 * 1024;

/// Most attempts that one call of [`History::append_all`] takes.
pub const MAX_BATCH: usize = 2_000;

/// Values of a trend.
pub const TREND: usize = 24;

/// What a history is opened with.
#[derive(Clone)]
pub struct HistoryOptions {
    /// Signs the records: `peermark_node::identity::signing_key`.
    pub key: SigningKey,
    /// The node's peer id: observer and subject of its series.
    pub node: String,
    /// The network that the records are about. 1 to 64 of `a-z`, `0-9`, `.`, `_` and `-`.
    pub network: String,
    /// This machine and build: `peermark_probe::environment`.
    pub environment: Environment,
    /// How much is kept.
    pub config: HistoryConfig,
    /// Its monotonic time tells a wall clock that leapt from time that went by.
    pub clock: Arc<dyn Clock>,
}

/// An attempt that is not yet in the history: an [`crate::attempt::Attempt`] without a number, with the unit of its value.
#[derive(Clone, Debug, PartialEq)]
pub struct NewAttempt {
    /// Name of the task.
    pub task: String,
    /// The unit of the task's values.
    pub unit: Unit,
    /// Why it ran.
    pub trigger: Trigger,
    /// Which attempt at this run, from 1.
    pub attempt: u32,
    /// When the schedule wanted it, Unix ms.
    pub intended_ms: u64,
    /// When it began, Unix ms.
    pub started_ms: u64,
    /// When it ended, Unix ms. May lie before `started_ms` where the clock was set back.
    pub ended_ms: u64,
    /// How long it took by the monotonic clock, ns.
    pub duration_ns: u64,
    /// How it ended.
    pub status: Status,
    /// Why it failed: there if and only if it did.
    pub failure: Option<Said>,
    /// Why it was skipped: there if and only if it was.
    pub skipped: Option<String>,
    /// What it found wrong with the node.
    pub findings: Vec<Said>,
    /// The main figure: there if and only if it succeeded.
    pub value: Option<i64>,
    /// Payload bytes moved over the network.
    pub bytes: u64,
    /// The typed result.
    pub result: Option<Value>,
}

/// Attempts of one node. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct History {
    shared: Arc<Shared>,
}

/// What clones share.
struct Shared {
    store: Store,
    chain: ChainId,
    key: SigningKey,
    node: String,
    network: String,
    /// Fingerprint of this machine and build.
    environment: String,
    config: HistoryConfig,
    run: String,
    /// What the times of observations and rollups count from, Unix ms: 0, or midnight of the first day in older files.
    epoch_ms: u64,
    /// One at a time appends or prunes.
    writer: Mutex<Writer>,
    memory: RwLock<Memory>,
    newest: watch::Sender<u64>,
    clock: Arc<dyn Clock>,
    /// Records that could not be read at the beginning.
    unreadable: AtomicU64,
    /// Held as long as the history is open.
    _lock: Option<File>,
}

/// Kind of the series of a task's attempts.
fn kind_of(task: &str) -> String {
    format!("monitor.{task}")
}
