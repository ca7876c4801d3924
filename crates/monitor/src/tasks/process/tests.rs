use std::sync::Arc;

use super::*;
use crate::child::Program;
use crate::task::NodeFacts;
use crate::tasks::testing;

async fn run(pid: Option<u32>, config: ProcessConfig) -> Result<Report, Stop> {
    let directory = tempfile::tempdir().unwrap();
    let mut context = testing::context(directory.path());
    context.node = Arc::new(NodeFacts { pid, data: directory.path().to_owned(), ..NodeFacts::default() });
    let task = ProcessTask::new(config).unwrap();
    let report = task.run(context).await?;
    testing::check(&task, &report);
    Ok(report)
}

#[tokio::test]
async fn it_is_about_the_node_where_its_process_is_known() {
    let busy = Program::new("sh").args(["-c", "while :; do :; done"]).start().unwrap();
    let report = run(busy.id(), ProcessConfig { period_ms: 500, ..ProcessConfig::default() }).await.unwrap();
    let result: ProcessResult = serde_json::from_value(report.result).unwrap();
    assert_eq!(result.whose, Whose::Node);
    assert_eq!((Some(result.pid), result.cpu.active_jobs.thread_count), (busy.id(), 1));
    assert!(result.cpu.processor_time_percent > 1.0 && result.resident_bytes > 0, "{result:?}");
    assert!(result.open_files.is_some() && result.net.output_queue_length_bytes == Some(0), "{result:?}");
}

#[tokio::test]
async fn it_is_about_this_process_otherwise() {
    let report =
        run(None, ProcessConfig { period_ms: 100, files_high_percent: 0.0, ..ProcessConfig::default() }).await.unwrap();
    assert_eq!((&report.result["pid"], &report.result["whose"]), (&std::process::id().into(), &"monitor".into()));
    assert_eq!(report.findings.iter().map(|found| found.failure.code).collect::<Vec<_>>(), ["files_high"]);
}

#[tokio::test]
async fn a_file_says_which_process_the_node_is() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("node.pid");
    let read = async || {
        let config = ProcessConfig { pid_file: Some(file.clone()), period_ms: 100, ..ProcessConfig::default() };
        run(None, config).await
    };
    let code = |ran: Result<Report, Stop>| match ran {
        Err(Stop::Failed(finding)) => finding.failure.code,
        other => panic!("{other:?}"),
    };
    assert_eq!(code(read().await), "gone");
    std::fs::write(&file, "none\n").unwrap();
    assert_eq!(code(read().await), "pid_file");
    let mut child = Program::new("sh").args(["-c", "echo up; exec sleep 60"]).start().unwrap();
    child.says("up", Duration::from_secs(10)).await.unwrap();
    std::fs::write(&file, format!("{}\n", child.id().unwrap())).unwrap();
    let report = read().await.unwrap();
    assert_eq!((&report.result["pid"], &report.result["whose"]), (&child.id().unwrap().into(), &"node".into()));
}

#[tokio::test]
async fn a_process_that_has_ended_is_a_node_that_is_down() {
    let mut child = Program::new("sh").args(["-c", "echo up; read forever"]).start().unwrap();
    child.says("up", Duration::from_secs(10)).await.unwrap();
    let pid = child.id();
    child.finish(Duration::from_secs(10)).await.unwrap();
    let gone = run(pid, ProcessConfig { period_ms: 100, ..ProcessConfig::default() }).await;
    assert!(matches!(&gone, Err(Stop::Failed(finding)) if finding.failure.class == FailureClass::NodeDown), "{gone:?}");
}
