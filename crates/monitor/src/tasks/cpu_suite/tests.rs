use peermark_probe::clock::MonotonicClock;

use super::*;
use crate::tasks::testing;

fn quick() -> CpuSuiteConfig {
    CpuSuiteConfig { round_ms: 1, rounds: 3, busy_percent: 100.0, memory: ByteSize(16 << 20) }
}

#[tokio::test]
async fn every_kernel_runs_on_one_and_on_all() {
    let directory = tempfile::tempdir().unwrap();
    let task = CpuSuite::new(quick()).unwrap();
    let report = task.run(testing::context(directory.path())).await.unwrap();
    testing::check(&task, &report);
    let result: CpuSuiteResult = serde_json::from_value(report.result).unwrap();
    let on_all = kernel::ALL.iter().filter(|kernel| kernel.on_all).count();
    assert_eq!(result.kernels.len(), kernel::ALL.len() + on_all);
    assert!(result.kernels.iter().all(|kernel| kernel.n == 3 && kernel.min > 0.0 && kernel.score > 0.0), "{result:?}");
    assert!(result.score > 0.0 && report.value > 0 && result.suite_version == SUITE_VERSION, "{result:?}");
}

#[tokio::test]
async fn a_busy_host_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let task = CpuSuite::new(CpuSuiteConfig { busy_percent: -1.0, ..quick() }).unwrap();
    let skipped = task.run(testing::context(directory.path())).await;
    assert!(matches!(&skipped, Err(Stop::Skipped(why)) if why.starts_with("host is busy")), "{skipped:?}");
    let task = CpuSuite::new(CpuSuiteConfig { memory: ByteSize(1 << 50), ..quick() }).unwrap();
    let skipped = task.run(testing::context(directory.path())).await;
    assert!(matches!(&skipped, Err(Stop::Skipped(why)) if why.starts_with("memory is short")), "{skipped:?}");
}

#[test]
fn a_cancelled_suite_ends_at_once_and_a_wrong_answer_fails_it() {
    let clock: Arc<dyn Clock> = Arc::new(MonotonicClock::new());
    let cancel = CancellationToken::new();
    cancel.cancel();
    let stopped = measure(quick(), 0.0, &clock, &cancel);
    assert!(matches!(&stopped, Err(Stop::Failed(finding)) if finding.failure.code == "stopped"), "{stopped:?}");

    let broken = kernel::Kernel { make: |_| (Box::new(|| false), 1), ..broken_kernel() };
    let wrong = rounds::run(&broken, 4096, &[], &quick(), &*clock, &CancellationToken::new());
    assert!(matches!(&wrong, Err(Stop::Failed(finding)) if finding.failure.code == "wrong_answer"), "{wrong:?}");
}

fn broken_kernel() -> kernel::Kernel {
    kernel::Kernel {
        name: "broken",
        group: kernel::Group::Compute,
        unit: "steps",
        on_all: true,
        make: |_| (Box::new(|| true), 1),
    }
}

#[test]
fn settings_that_cannot_be_meant_are_refused() {
    assert!(CpuSuite::new(CpuSuiteConfig { rounds: 0, ..quick() }).is_err());
    assert!(CpuSuite::new(CpuSuiteConfig { round_ms: 60_000, ..quick() }).is_err());
    assert!(CpuSuite::new(CpuSuiteConfig { memory: ByteSize(1), ..quick() }).is_err());
}

#[test]
fn a_machine_of_many_cores_fits_into_a_day() {
    assert_eq!(declared(Duration::from_secs(22), 3), Duration::from_secs(88));
    assert!(declared(Duration::from_secs(22), 512) <= Duration::from_secs(1_800));
}
