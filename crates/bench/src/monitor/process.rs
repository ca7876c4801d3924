//! The processes of the benchmark: nodes, monitors and a Redis, each gone with its value.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use peermark_monitor::client::{Access, MonitorClient};
use peermark_monitor::desk::{StatusDocument, TaskState, TaskStatus};
use peermark_probe::host::ProcessSampler;
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use crate::BenchError;

/// How long a process may take until it listens, and its tests until each ran once.
const START: Duration = Duration::from_secs(10);
const FIRST_TESTS: Duration = Duration::from_secs(75);

/// Tests that are wanted within this time are waited for.
const SOON_MS: u64 = 60_000;

/// From one look at something that has to come true to the next.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// A process that says where it listens in its first line. It ends with this value.
pub(super) struct Talker {
    child: Child,
    /// What it said.
    pub(super) said: String,
}

/// A node or monitor.
pub(super) struct Subject {
    process: Talker,
    monitor: MonitorClient,
}

#[derive(Deserialize)]
struct Announcement {
    api: String,
}

impl Talker {
    /// Starts `program` with `arguments` and waits for its line.
    pub(super) async fn start(program: &Path, arguments: &[&str], directory: &Path) -> Result<Self, BenchError> {
        const WHAT: &str = "starting a process";
        let mut child = spawn(program, arguments, directory)?;
        let silent = || BenchError::subject(WHAT, "it did not say where it listens");
        let mut lines = BufReader::new(child.stdout.take().ok_or_else(silent)?).lines();
        let line = timeout(START, lines.next_line()).await.map_err(|_| silent())?.map_err(BenchError::io(WHAT))?;
        let Announcement { api } =
            serde_json::from_str(&line.unwrap_or_default()).map_err(|error| BenchError::subject(WHAT, error))?;
        Ok(Self { child, said: api })
    }

    /// Starts `program` without waiting for a word of it.
    pub(super) fn quiet(program: &Path, arguments: &[&str], directory: &Path) -> Result<Self, BenchError> {
        let mut child = spawn(program, arguments, directory)?;
        if let Some(mut out) = child.stdout.take() {
            // Read and dropped, so that it never waits for a reader.
            tokio::spawn(async move { tokio::io::copy(&mut out, &mut tokio::io::sink()).await });
        }
        Ok(Self { child, said: String::new() })
    }

    pub(super) fn sampler(&self) -> Result<ProcessSampler, BenchError> {
        let gone = || BenchError::subject("looking at a process", "it has ended");
        ProcessSampler::start(self.child.id().ok_or_else(gone)?).ok_or_else(gone)
    }
}

fn spawn(program: &Path, arguments: &[&str], directory: &Path) -> Result<Child, BenchError> {
    const WHAT: &str = "starting a process";
    std::fs::create_dir_all(directory).map_err(BenchError::io(WHAT))?;
    Command::new(program)
        .args(arguments)
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin")
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(BenchError::io(WHAT))
}

impl Subject {
    /// Starts a node or monitor.
    pub(super) async fn start(program: &Path, arguments: &[&str], directory: &Path) -> Result<Self, BenchError> {
        let process = Talker::start(program, &[arguments, &["--exit-with-stdin"]].concat(), directory).await?;
        let monitor = MonitorClient::new(&Access::anonymous(&process.said, Duration::from_secs(5)));
        let monitor = monitor.map_err(|error| BenchError::subject("starting a process", error))?;
        Ok(Self { process, monitor })
    }

    pub(super) fn sampler(&self) -> Result<ProcessSampler, BenchError> {
        self.process.sampler()
    }

    /// Runs a test and waits for its attempt.
    pub(super) async fn run_now(&self, task: &str) -> Result<(), BenchError> {
        const WHAT: &str = "running a test";
        let failed = |error| BenchError::subject(WHAT, error);
        let ticket = self.monitor.run_now(task).await.map_err(failed)?;
        let until = Instant::now() + START;
        while Instant::now() < until {
            let status = self.status().await?;
            let of_task = status.tasks.iter().find(|status| status.name == task);
            let newest = of_task.and_then(|status| status.attempt.as_ref()).map_or(0, |attempt| attempt.seq);
            if newest > ticket.after_seq {
                return Ok(());
            }
            sleep(LOOK_EVERY).await;
        }
        Err(BenchError::subject(WHAT, format!("{task} did not end")))
    }

    /// Waits until every test that is configured has run, and none runs.
    pub(super) async fn tested(&self) -> Result<StatusDocument, BenchError> {
        const WHAT: &str = "waiting for the first tests";
        let until = Instant::now() + FIRST_TESTS;
        loop {
            let status = self.status().await?;
            // What waits for a moment that is far away is not waited for.
            let soon = |task: &TaskStatus| task.next_ms.is_some_and(|next_ms| next_ms < status.now_ms + SOON_MS);
            let is_busy = |task: &&TaskStatus| {
                task.running_since_ms.is_some() || (task.state == TaskState::Waiting && soon(task))
            };
            let busy = status.tasks.iter().find(is_busy);
            match busy {
                None => return Ok(status),
                Some(task) if Instant::now() > until => {
                    return Err(BenchError::subject(WHAT, format!("{} is not done", task.name)));
                }
                Some(_) => sleep(LOOK_EVERY).await,
            }
        }
    }

    pub(super) async fn status(&self) -> Result<StatusDocument, BenchError> {
        let status = self.monitor.status().await;
        status.map_err(|error| BenchError::subject("asking a monitor for its status", error))
    }
}

/// The system's Redis on a socket of its own.
pub(super) struct Redis {
    _child: Child,
    socket: PathBuf,
}

impl Redis {
    pub(super) async fn start(directory: &Path) -> Result<Self, BenchError> {
        const WHAT: &str = "starting redis-server (apt-get install redis-server)";
        std::fs::create_dir_all(directory).map_err(BenchError::io(WHAT))?;
        let socket = directory.join("redis.sock");
        let child = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket"])
            .arg(&socket)
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(BenchError::io(WHAT))?;
        let until = Instant::now() + START;
        while UnixStream::connect(&socket).await.is_err() {
            if Instant::now() > until {
                return Err(BenchError::subject(WHAT, "it does not answer"));
            }
            sleep(LOOK_EVERY).await;
        }
        Ok(Self { _child: child, socket })
    }

    pub(super) fn url(&self) -> String {
        format!("redis+unix://{}", self.socket.display())
    }
}
