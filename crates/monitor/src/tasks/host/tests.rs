use super::reading::gpus;
use super::*;
use crate::tasks::latency::Distribution;
use crate::tasks::testing;

#[tokio::test]
async fn it_fills_the_whole_list() {
    let directory = tempfile::tempdir().unwrap();
    let task = Host::new(HostConfig { period_ms: 200, ..HostConfig::default() }).unwrap();
    let target = |latency| TargetLatency {
        target: "tcp://192.0.2.1:1".into(),
        address: None,
        dns_ns: None,
        n: 1,
        lost: 0,
        latency,
        connect: None,
        error: None,
    };
    let of = |p50_ns| target(Distribution::of(&[p50_ns]));
    let past = crate::tasks::json(&vec![of(1_000_000), of(1_500_000), target(None)]);
    let report = task.run(testing::context_after(directory.path(), vec![(0, past)])).await.unwrap();
    testing::check(&task, &report);
    let result: HostResult = serde_json::from_value(report.result).unwrap();
    let (cpu, mem) = (&result.cpu, &result.mem);
    assert!(
        cpu.active_jobs.process_count > 1 && cpu.active_jobs.thread_count >= cpu.active_jobs.process_count,
        "{cpu:?}"
    );
    assert!(cpu.processor_time_percent >= cpu.user_time_percent && cpu.processor_time_percent <= 100.0, "{cpu:?}");
    assert!(mem.free_memory_bytes > 0 && mem.free_memory_bytes <= mem.total_physical_memory_bytes, "{mem:?}");
    assert!(mem.page_faults_per_second > 0.0 && mem.pool_non_paged_bytes > 0, "{mem:?}");
    assert!(result.hdd.disk_free_bytes > 0 && result.hdd.disk_free_percent <= 100.0, "{:?}", result.hdd);
    assert_eq!(result.summary.cpu_percent.len(), crate::tasks::machine::online_cpus() as usize);
    assert_eq!(result.summary.net.latency_ns, Some(1_500_000));
    assert!(result.net.output_queue_length_bytes.is_some() && result.period_s >= 0.2, "{result:?}");
}

#[tokio::test]
async fn little_free_memory_is_a_finding() {
    let directory = tempfile::tempdir().unwrap();
    let task = Host::new(HostConfig { period_ms: 100, memory_low_percent: 101.0 }).unwrap();
    let report = task.run(testing::context(directory.path())).await.unwrap();
    assert_eq!(report.findings.iter().map(|found| found.failure.code).collect::<Vec<_>>(), ["memory_low"]);
}

#[test]
fn graphics_processors_are_read_where_there_are_any() {
    let root = tempfile::tempdir().unwrap();
    assert!(gpus(root.path()).is_empty());
    for (card, busy) in [("card1", "37\n"), ("card0", "5\n")] {
        std::fs::create_dir_all(root.path().join(card).join("device")).unwrap();
        std::fs::write(root.path().join(card).join("device/gpu_busy_percent"), busy).unwrap();
    }
    assert_eq!(gpus(root.path()), [5.0, 37.0]);
}

#[test]
fn a_period_that_cannot_be_meant_is_refused() {
    assert!(Host::new(HostConfig { period_ms: 0, ..HostConfig::default() }).is_err());
    assert!(Host::new(HostConfig { period_ms: 3_600_000, ..HostConfig::default() }).is_err());
}
