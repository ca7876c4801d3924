//! One node's process.

use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::process::{Child, ChildStdin, Command};

use super::LaunchError;
use super::limits::{ControlGroups, NodeLimits};

/// How long a node may take to stop when asked; then it is killed.
const STOP_PATIENCE: Duration = Duration::from_secs(5);

/// Lines of a log that an error shows.
const TAIL_LINES: usize = 12;

/// How a process was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Started {
    /// It stops when this process ends.
    Leased,
    /// It outlives this process.
    Detached,
}

/// A running or ended node.
#[derive(Debug)]
pub struct NodeProcess {
    child: Child,
    /// Open as long as the node shall run.
    lease: Option<ChildStdin>,
    pid: u32,
    detached: bool,
    /// Removed when this is dropped, after the process is gone.
    limits: Option<ControlGroups>,
}

impl NodeProcess {
    /// Starts a program with its output in a log. stdout is left to the caller when `announces` is set.
    pub(crate) fn start(
        node: u32,
        mut command: Command,
        log: &Path,
        started: Started,
        announces: bool,
    ) -> Result<Self, LaunchError> {
        let write = |source| LaunchError::Write { path: log.to_owned(), source };
        let file = std::fs::OpenOptions::new().create(true).append(true).open(log).map_err(write)?;
        let program = command.as_std().get_program().to_string_lossy().into_owned();
        let detached = started == Started::Detached;
        command
            .stdin(if detached { Stdio::null() } else { Stdio::piped() })
            .stdout(if announces { Stdio::piped() } else { Stdio::from(file.try_clone().map_err(write)?) })
            .stderr(Stdio::from(file))
            // A group of its own: Ctrl-C at the terminal stops the controller, which stops the nodes in order.
            .process_group(0)
            .kill_on_drop(!detached);
        let mut child = command.spawn().map_err(|source| LaunchError::Spawn { node, program, source })?;
        let pid = child.id().unwrap_or_default();
        let lease = child.stdin.take();
        Ok(Self { child, lease, pid, detached, limits: None })
    }

    /// Limits what the process and what it starts may use.
    pub(super) fn limit(&mut self, name: &str, limits: NodeLimits) -> Result<(), LaunchError> {
        if !limits.is_unlimited() {
            self.limits = Some(ControlGroups::enclose(self.pid, name, limits)?);
        }
        Ok(())
    }

    /// Process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    pub(crate) fn stdout(&mut self) -> Option<tokio::process::ChildStdout> {
        self.child.stdout.take()
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// SIGKILL, and waits until the process is gone.
    ///
    /// # Errors
    /// What the system said.
    pub async fn kill(&mut self) -> std::io::Result<ExitStatus> {
        kill_group(self.pid);
        self.child.start_kill().or_else(ignore_gone)?;
        self.child.wait().await
    }

    /// Asks the process to stop, waits, and kills it when it does not.
    ///
    /// # Errors
    /// What the system said.
    pub async fn stop(&mut self) -> std::io::Result<ExitStatus> {
        drop(self.lease.take());
        if self.detached
            && let Some(pid) = rustix::process::Pid::from_raw(self.pid as i32)
        {
            // Already gone is as good.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        match tokio::time::timeout(STOP_PATIENCE, self.child.wait()).await {
            Ok(status) => status,
            Err(_) => self.kill().await,
        }
    }
}

/// A node that is dropped while it runs (a start that is given up) takes its whole group with it: killing a guard alone would leave
/// the program that it runs.
impl Drop for NodeProcess {
    fn drop(&mut self) {
        if !self.detached && self.ended().is_none() {
            kill_group(self.pid);
        }
    }
}

fn ignore_gone(error: std::io::Error) -> std::io::Result<()> {
    if error.kind() == std::io::ErrorKind::InvalidInput { Ok(()) } else { Err(error) }
}

/// A foreign program may have started others; they are in its group.
fn kill_group(pid: u32) {
    if let Some(pid) = rustix::process::Pid::from_raw(pid as i32) {
        // Already gone is as good.
        let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
    }
}

/// The last lines of a log.
pub(crate) fn tail(log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text[text.len().saturating_sub(16 << 10)..]).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}
