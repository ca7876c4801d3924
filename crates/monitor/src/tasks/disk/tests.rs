use super::*;
use crate::tasks::testing;

fn small() -> DiskConfig {
    DiskConfig { file_size: ByteSize(4 << 20), min_free: ByteSize(0), syncs: 20, ..DiskConfig::default() }
}

#[tokio::test]
async fn it_measures_and_leaves_nothing_behind() {
    let directory = tempfile::tempdir().unwrap();
    let task = Disk::new(small()).unwrap();
    let report = task.run(testing::context(directory.path())).await.unwrap();
    testing::check(&task, &report);
    let result: DiskResult = serde_json::from_value(report.result).unwrap();
    assert!(result.sync_p50_ns > 0 && result.sync_p50_ns <= result.sync_p99_ns, "{result:?}");
    assert!(result.sync_p99_ns <= result.sync_max_ns, "{result:?}");
    assert!(result.write_mb_per_second > 0.0 && result.read_mb_per_second > 0.0, "{result:?}");
    assert_eq!(report.value as u64, result.sync_p99_ns);
    assert_eq!(result.days_to_full.days, None);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    println!("{result:?}");
}

#[tokio::test]
async fn nothing_is_written_where_space_is_short() {
    let directory = tempfile::tempdir().unwrap();
    let task = Disk::new(DiskConfig { min_free: ByteSize(u64::MAX), ..small() }).unwrap();
    let stopped = task.run(testing::context(directory.path())).await;
    assert!(matches!(&stopped, Err(Stop::Failed(finding)) if finding.failure.code == "no_space"), "{stopped:?}");
}

#[tokio::test]
async fn a_directory_that_is_not_there_fails_the_run() {
    let task = Disk::new(small()).unwrap();
    let stopped = task.run(testing::context(Path::new("/nonexistent/peermark"))).await;
    assert!(matches!(&stopped, Err(Stop::Failed(finding)) if finding.failure.code == "not_writable"), "{stopped:?}");
}

#[test]
fn what_is_wrong_with_the_disk_is_found() {
    let mut result = DiskResult {
        sync_p50_ns: 1,
        sync_p99_ns: 1_000_000,
        sync_max_ns: 2,
        syncs: 10,
        write_mb_per_second: 1.0,
        read_mb_per_second: 1.0,
        file_bytes: 1,
        direct: true,
        free_bytes: 10,
        total_bytes: 100,
        free_inodes: 0,
        days_to_full: DaysToFull { days: Some(20.0), reason: None, free_bytes_per_day: Some(-1), points: 9 },
        smart: Smart::unknown("not asked"),
    };
    assert_eq!(findings(&small(), &result), []);
    result.sync_p99_ns = 300_000_000;
    result.days_to_full.days = Some(13.9);
    result.smart.healthy = Some(false);
    let found: Vec<_> = findings(&small(), &result).iter().map(|finding| finding.failure.code).collect();
    assert_eq!(found, ["smart_failing", "full_soon", "slow_sync"]);
}

#[test]
fn bounds_are_kept() {
    assert!(Disk::new(DiskConfig { file_size: ByteSize(4096), ..small() }).is_err());
    assert!(Disk::new(DiskConfig { file_size: ByteSize(1 << 50), ..small() }).is_err());
    assert!(Disk::new(DiskConfig { syncs: 0, ..small() }).is_err());
}
