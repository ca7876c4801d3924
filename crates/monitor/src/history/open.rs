//! Opening: whose history it is, where its chain ends, what of it belongs into memory.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;
use peermark_core::Seed;
use peermark_core::sealed::{Digest32, NO_PREVIOUS};
use peermark_store::{ChainId, ChainKey, OpenOptions as StoreOptions, RecordFilter, RunRecord, Store, StoreError};
use tokio::sync::{Mutex, watch};

use super::memory::{Memory, TaskMemory};
use super::trust::Trust;
use super::{DOMAIN, FILE, History, HistoryError, HistoryOptions, Shared, TREND, Writer, payload};
use crate::attempt::{Attempt, Status};

/// What follows a record that cannot be read names this as its hash.
const UNKNOWN: Digest32 = [0xff; 32];

pub(super) const DAY_MS: u64 = 86_400_000;

impl History {
    /// Opens the history in a data directory, and begins it where there is none. Takes a lock that is held until the last clone is
    /// gone: two monitors never share one.
    ///
    /// # Errors
    /// [`HistoryError::InUse`], [`HistoryError::Data`], or that the file cannot be opened or read.
    pub async fn open(data: &Path, options: HistoryOptions) -> Result<Self, HistoryError> {
        std::fs::create_dir_all(data).map_err(|source| HistoryError::Data { path: data.to_owned(), source })?;
        let path = data.join(FILE);
        let lock = lock(&path)?;
        let max_bytes = Some(options.config.max_size.0);
        let store = Store::open_with(&path, StoreOptions { small: true, max_bytes }).await?;
        Self::begin(store, options, Some(lock)).await
    }

    /// A history over a store that is open already. Nobody else may append to the same chain meanwhile.
    ///
    /// # Errors
    /// That the store cannot be read or written.
    pub async fn over(store: Store, options: HistoryOptions) -> Result<Self, HistoryError> {
        Self::begin(store, options, None).await
    }

    /// Records that could not be read when the history was opened and were left out; [`History::verify`] names them.
    pub fn unreadable(&self) -> u64 {
        self.shared.unreadable.load(Ordering::Relaxed)
    }

    /// Waits for what is being written and folds the log into the file. Calls that come later, also on clones, fail.
    pub async fn close(self) {
        let _writer = self.shared.writer.lock().await;
        self.shared.store.close().await;
    }

    /// The store underneath, for reading.
    pub fn store(&self) -> &Store {
        &self.shared.store
    }

    /// The number of the newest record; changes with each that is stored.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.shared.newest.subscribe()
    }

    async fn begin(store: Store, options: HistoryOptions, lock: Option<File>) -> Result<Self, HistoryError> {
        let HistoryOptions { key, node, network, environment, config, clock } = options;
        let chain = ChainKey { domain: DOMAIN.into(), network: network.clone(), signer: key.public() };
        let chain = store.chain(&chain).await?;
        let fingerprint = store.put_environment(&environment).await?;
        let run = format!("monitor-{node}");
        let record = RunRecord {
            id: run.clone(),
            kind: "monitor".into(),
            name: node.clone(),
            scenario_fingerprint: String::new(),
            seed: Seed(0),
            version: environment.version.clone(),
            commit: environment.commit.clone(),
            environment: fingerprint.clone(),
            // Fixed, because a first clock in the future would put all that comes after it before the beginning. Midnight, so that
            // slices of a day are days of the calendar.
            started_wall_ms: 0,
        };
        let epoch_ms = match store.begin_run(&record).await {
            Ok(()) => record.started_wall_ms,
            Err(StoreError::DuplicateRun { .. }) => store.run(&run).await?.record.started_wall_ms,
            Err(error) => return Err(error.into()),
        };
        let (head, unreadable) = readable_head(&store, chain, store.head(chain).await).await?;
        let newest = store.readable_records(chain, RecordFilter::From(head.0), 1).await?;
        let trust = Trust::since(newest.records.first().map(|record| record.ended_ms));
        let (newest, _) = watch::channel(head.0);
        let writer = Writer::at(head, trust);
        let shared = Shared {
            store,
            chain,
            key,
            node,
            network,
            environment: fingerprint,
            config,
            run,
            epoch_ms,
            writer: Mutex::new(writer),
            memory: RwLock::new(Memory { head, ..Memory::default() }),
            newest,
            clock,
            unreadable: AtomicU64::new(unreadable),
            _lock: lock,
        };
        shared.fill().await?;
        Ok(Self { shared: Arc::new(shared) })
    }
}

impl Shared {
    /// Fills the memory from the store.
    async fn fill(&self) -> Result<(), HistoryError> {
        for topic in self.store.topics(self.chain).await? {
            if topic == payload::PRUNED {
                continue;
            }
            let most = u32::try_from(TREND).unwrap_or(u32::MAX);
            let (successes, mut unreadable) = self.newest(&topic, Status::Ok, most).await?;
            let mut attempt = successes.first().cloned();
            for status in [Status::Failed, Status::Skipped] {
                let (mut others, more) = self.newest(&topic, status, 1).await?;
                unreadable += more;
                attempt = attempt.into_iter().chain(others.pop()).max_by_key(|attempt| attempt.seq);
            }
            if unreadable > 0 {
                tracing::error!(task = %topic, unreadable, "records of the history are damaged and left out");
                self.unreadable.fetch_add(unreadable, Ordering::Relaxed);
            }
            let task = TaskMemory {
                success: successes.first().cloned().map(Arc::new),
                attempt: attempt.map(Arc::new),
                trend: successes.iter().rev().filter_map(|attempt| attempt.value).collect(),
            };
            self.memory.write().tasks.insert(topic, task);
        }
        Ok(())
    }

    /// The newest attempts of a task that ended so, newest first, and how many of them could not be read.
    pub(super) async fn newest(
        &self,
        task: &str,
        status: Status,
        most: u32,
    ) -> Result<(Vec<Attempt>, u64), HistoryError> {
        let filter = RecordFilter::Newest { topic: task, status: status.as_str() };
        let page = self.store.readable_records(self.chain, filter, most).await?;
        let found = page.records.len() as u64;
        let attempts = super::read::attempts(page.records, |attempt| Ok(attempt.ok())).await?;
        let unreadable = page.unreadable + found - attempts.len() as u64;
        Ok((attempts, unreadable))
    }
}

/// The head of a chain, and 1 where its record cannot be read. The next one then follows an unknown hash: the damage is seen for as long
/// as it is there, but the monitor goes on.
pub(super) async fn readable_head(
    store: &Store,
    chain: ChainId,
    head: Result<Option<(u64, Digest32)>, StoreError>,
) -> Result<((u64, Digest32), u64), HistoryError> {
    match head {
        Ok(head) => Ok((head.unwrap_or((0, NO_PREVIOUS)), 0)),
        Err(StoreError::Row(error)) => {
            tracing::error!(%error, "the newest record of the history is damaged");
            Ok(((store.last_sequence(chain).await?, UNKNOWN), 1))
        }
        Err(error) => Err(error.into()),
    }
}

/// The lock goes with the file handle, also when the process is killed.
fn lock(store: &Path) -> Result<File, HistoryError> {
    let path = store.with_extension("lock");
    let failed = |source| HistoryError::Data { path: path.clone(), source };
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(HistoryError::InUse { path: store.to_owned() }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}
