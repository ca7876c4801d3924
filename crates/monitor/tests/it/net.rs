//! Tasks that measure over the network, and what their other ends do for them.

mod defaults;
mod iperf;
mod latency;
mod node_self_test;
mod public_ip;
mod reachability;
mod slots;

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use peermark_core::{Clock, Seed};
use peermark_monitor::task::{Context, NodeFacts, Past, Report, Stop, Successes, Task};
use peermark_probe::clock::MonotonicClock;
use peermark_testkit::program;
use serde_json::Value;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// How long a condition may take to come true.
const PATIENCE: Duration = Duration::from_secs(20);

struct NoPast;

impl Past for NoPast {
    fn successes(&self, _: &str, _: usize) -> Successes<'_> {
        Box::pin(std::future::ready(Vec::new()))
    }
}

/// What a run is given, with `time` until its deadline. The directory has to outlive it.
pub(crate) fn context(time: Duration, node: NodeFacts) -> (Context, TempDir) {
    let scratch = TempDir::new().unwrap();
    let clock = Arc::new(MonotonicClock::new());
    let deadline_ns = clock.now_ns() + u64::try_from(time.as_nanos()).unwrap();
    let context = Context {
        clock,
        deadline_ns,
        cancel: CancellationToken::new(),
        seed: Seed(7),
        attempt: 1,
        scratch: PathBuf::from(scratch.path()),
        node: Arc::new(node),
        past: Arc::new(NoPast),
    };
    (context, scratch)
}

/// A run of `task` with `time` until its deadline, by which it has to have ended.
pub(crate) async fn run_within(task: &impl Task, time: Duration, node: NodeFacts) -> Result<Report, Stop> {
    task.configured().unwrap();
    let (context, _scratch) = context(time, node);
    let cancel = context.cancel.clone();
    let ran = tokio::time::timeout(time, task.run(context)).await;
    cancel.cancel();
    ran.expect("the task ends by its deadline")
}

/// A run without a storage node, with the task's own timeout.
pub(crate) async fn run(task: &impl Task) -> Result<Report, Stop> {
    run_within(task, task.about().timeout, NodeFacts::default()).await
}

/// Fails unless `result` is what the task's schema says.
#[track_caller]
pub(crate) fn assert_fits(task: &impl Task, result: &Value) {
    let schema = (task.about().schema)();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<String> =
        validator.iter_errors(result).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{errors:?} in {result}");
}

/// The failure that ended a run.
#[track_caller]
pub(crate) fn failure(ran: Result<Report, Stop>) -> peermark_monitor::task::Finding {
    match ran {
        Err(Stop::Failed(finding)) => finding,
        other => panic!("expected a failure, got {other:?}"),
    }
}

/// A port of the system's choice that nobody listens on now.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Waits until `condition` holds.
pub(crate) async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("not within {PATIENCE:?}: {what}"));
}

/// Whether somebody listens on a TCP port, without connecting to it.
pub(crate) fn listens(port: u16) -> bool {
    let wanted = format!(":{port:04X}");
    ["/proc/net/tcp", "/proc/net/tcp6"].iter().any(|path| {
        let table = std::fs::read_to_string(path).unwrap_or_default();
        table.lines().skip(1).any(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            fields.get(1).is_some_and(|local| local.ends_with(&wanted)) && fields.get(3) == Some(&"0A")
        })
    })
}

/// An `iperf3` server that writes what it measured to a file. Killed when dropped.
pub(crate) struct IperfServer {
    pub(crate) port: u16,
    process: Child,
    output: tempfile::NamedTempFile,
}

impl IperfServer {
    pub(crate) async fn start() -> Self {
        let port = free_port();
        let output = tempfile::NamedTempFile::new().unwrap();
        let process = Command::new(program("iperf3"))
            .args(["-s", "-J", "-B", "127.0.0.1", "-p", &port.to_string()])
            .stdout(output.reopen().unwrap())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self { port, process, output };
        until("iperf3 listens", async || listens(port)).await;
        server
    }

    /// What it printed of each run.
    pub(crate) async fn documents(&self, expected: usize) -> Vec<Value> {
        let mut documents = Vec::new();
        until("the server printed its runs", async || {
            let text = std::fs::read_to_string(self.output.path()).unwrap();
            documents = serde_json::Deserializer::from_str(&text).into_iter().filter_map(Result::ok).collect();
            documents.len() >= expected
        })
        .await;
        documents
    }
}

impl Drop for IperfServer {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}
