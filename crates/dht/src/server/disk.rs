//! Bytes of the provider store on disk.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::state::ServerState;

/// How often the directory is looked at, as parsec does.
const EVERY: Duration = Duration::from_secs(60);

/// Most entries that one look counts.
const MAX_ENTRIES: usize = 100_000;

/// Looks at the directory until the task is dropped.
#[expect(clippy::infinite_loop, reason = "the server drops the task when it stops")]
pub(super) async fn watch(state: ServerState, directory: PathBuf) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let path = directory.clone();
        if let Ok(bytes) = tokio::task::spawn_blocking(move || bytes_below(&path)).await {
            state.metrics.disk_bytes.store(bytes, Ordering::Relaxed);
        }
    }
}

/// Bytes of all files below a path; links are not followed, what cannot be read counts as nothing.
fn bytes_below(path: &Path) -> u64 {
    let mut bytes = 0;
    let mut waiting = vec![path.to_owned()];
    let mut entries = 0;
    while let Some(path) = waiting.pop() {
        entries += 1;
        if entries > MAX_ENTRIES {
            break;
        }
        let Ok(metadata) = path.symlink_metadata() else { continue };
        if metadata.is_dir() {
            let Ok(below) = path.read_dir() else { continue };
            waiting.extend(below.flatten().map(|entry| entry.path()).take(MAX_ENTRIES));
        } else {
            bytes += metadata.len();
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_files_below_count() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("a")).unwrap();
        std::fs::write(directory.path().join("a/b"), [0; 700]).unwrap();
        std::fs::write(directory.path().join("c"), [0; 77]).unwrap();
        assert_eq!(bytes_below(directory.path()), 777);
        assert_eq!(bytes_below(&directory.path().join("c")), 77);
        assert_eq!(bytes_below(&directory.path().join("none")), 0);
    }
}
