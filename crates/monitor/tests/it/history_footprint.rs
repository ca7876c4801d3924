//! How much room the history takes.

use peermark_monitor::history::footprint;
use peermark_testkit::times;

/// Twenty days scale to 45 days of attempts and 400 of rollups; `make prove-monitor-history` simulates all 400.
#[tokio::test]
async fn four_hundred_days_of_the_default_tasks_fit_in_50_mb() {
    let days = times(option_env!("PEERMARK_DAYS"), 20);
    let directory = tempfile::tempdir().unwrap();
    let found = footprint(directory.path(), days).await.unwrap();
    println!("{days} days: {found:?}");
    assert!(found.peak_bytes <= 50_000_000 && !found.cut_by_size, "{found:?}");
    assert!(found.attempts > u64::from(days) * 1_000, "{found:?}");
    let attempts = found.attempts / u64::from(days) * 45 * found.bytes_per_attempt;
    // Three series a task and some classes of failures at most, each well below 1 KiB a day.
    let rollups = 400 * 12 * 4 * 512;
    assert!(attempts + rollups < 45_000_000, "{found:?}: {attempts} + {rollups} bytes");
}
