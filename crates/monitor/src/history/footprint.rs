//! How much room the history of the default tasks takes, by filling one with what they would say.

mod attempts;

use std::path::Path;
use std::sync::Arc;

use peermark_core::sealed::SigningKey;
use peermark_core::{Clock, Environment, MonotonicNs};

use super::open::DAY_MS;
use super::{FILE, History, HistoryError, HistoryOptions};
use crate::config::HistoryConfig;

/// 2026-01-01T00:00:00Z: the first simulated day.
const FIRST_MS: u64 = 1_767_225_600_000;

/// What a simulated time takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Footprint {
    /// Days that were simulated.
    pub days: u32,
    /// Attempts that were appended.
    pub attempts: u64,
    /// Records that are there at the end.
    pub kept: u64,
    /// Rollups that are there at the end.
    pub rollups: u64,
    /// Largest size of the file and its log on the way, bytes.
    pub peak_bytes: u64,
    /// Size of the file at the end, closed, bytes.
    pub bytes: u64,
    /// What of the file holds something, bytes.
    pub used_bytes: u64,
    /// What one attempt takes, indices included, before any of them became rollups: bytes.
    pub bytes_per_attempt: u64,
    /// Whether attempts had to go for want of room before they were old enough.
    pub cut_by_size: bool,
}

/// Fills a new history in `directory` with `days` days of the default tasks under the default configuration, as fast as the disk
/// takes it: each day is appended in one transaction and pruned. 400 days are 430,000 attempts.
///
/// # Errors
/// That the store fails.
pub async fn footprint(directory: &Path, days: u32) -> Result<Footprint, HistoryError> {
    let config = HistoryConfig::default();
    let history = History::open(directory, options(config)).await?;
    let mut found = Footprint { days, ..Footprint::default() };
    let mut source = attempts::Source::new();
    for day in 0..u64::from(days) {
        let day_ms = FIRST_MS + day * DAY_MS;
        let attempts = source.day(day_ms);
        found.attempts += attempts.len() as u64;
        history.append_all(attempts).await?;
        if day < u64::from(config.attempts_days) {
            found.bytes_per_attempt = history.store().size().await?.used_bytes / found.attempts;
        }
        found.cut_by_size |= history.prune(day_ms + DAY_MS).await?.by_size;
        found.peak_bytes = found.peak_bytes.max(on_disk(directory));
    }
    let shared = &history.shared;
    for topic in shared.store.topics(shared.chain).await? {
        found.kept += shared.store.count_records(shared.chain, &topic, 0).await?;
    }
    found.rollups = shared.store.rollup_digest(&shared.run).await?.0;
    found.used_bytes = history.store().size().await?.used_bytes;
    history.close().await;
    found.bytes = on_disk(directory);
    found.peak_bytes = found.peak_bytes.max(found.bytes);
    Ok(found)
}

fn options(config: HistoryConfig) -> HistoryOptions {
    let environment = Environment {
        version: env!("CARGO_PKG_VERSION").into(),
        commit: "unknown".into(),
        kernel: "Linux".into(),
        cpu: "simulated".into(),
        cores: 8,
        memory_bytes: 32 << 30,
        governor: None,
        build: "simulated".into(),
    };
    HistoryOptions {
        key: SigningKey::from_seed([1; 32]),
        node: "12D3KooWSimulatedSimulatedSimulatedSimulatedSimulate".into(),
        network: "simulated".into(),
        environment,
        config,
        clock: Arc::new(Beginning),
    }
}

/// The file and its log.
fn on_disk(directory: &Path) -> u64 {
    let size = |name: &str| std::fs::metadata(directory.join(name)).map_or(0, |file| file.len());
    size(FILE) + size(&format!("{FILE}-wal"))
}

/// The history is asked for the day on which it begins and nothing else.
struct Beginning;

impl Clock for Beginning {
    fn now_ns(&self) -> MonotonicNs {
        0
    }

    fn wall_ms(&self) -> u64 {
        FIRST_MS
    }
}
