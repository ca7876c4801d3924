//! Processes that end with this one, however it ends.

use std::fs::File;
use std::path::Path;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::Failure;

/// A process in a group of its own. It stops when its stdin closes, and its group is killed when this is dropped.
pub(crate) struct Leased {
    child: Child,
    _lease: Option<ChildStdin>,
    group: Option<Pid>,
}

impl Leased {
    /// Our own binary.
    pub(crate) fn own(arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_peermark"));
        command.args(arguments).env_clear();
        command
    }

    /// Starts a command, with stderr in a log, and stdout there too unless it is wanted.
    pub(crate) fn start(mut command: Command, log: &Path, wants_stdout: bool) -> Result<Self, Failure> {
        let file = File::options().create(true).append(true).open(log)?;
        let stdout = if wants_stdout { Stdio::piped() } else { Stdio::from(file.try_clone()?) };
        command.stdin(Stdio::piped()).stdout(stdout).stderr(Stdio::from(file)).process_group(0).kill_on_drop(true);
        let mut child = command.spawn()?;
        let group = child.id().and_then(|pid| Pid::from_raw(pid as i32));
        let lease = child.stdin.take();
        Ok(Self { child, _lease: lease, group })
    }

    pub(crate) fn stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|status| status.is_some())
    }

    /// SIGKILL to the whole group, and waits until it is gone.
    pub(crate) async fn kill(&mut self) -> Result<(), Failure> {
        self.kill_group();
        self.child.wait().await?;
        Ok(())
    }

    fn kill_group(&mut self) {
        if let Some(group) = self.group.take() {
            // Already gone is as good.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Drop for Leased {
    fn drop(&mut self) {
        if !self.has_ended() {
            self.kill_group();
        }
    }
}
