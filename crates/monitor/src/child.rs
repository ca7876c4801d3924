//! Programs that a task runs: `iperf3`, `smartctl`, an operator's own test.
//!
//! A child leads a process group of its own, and the whole group is killed when it has ended, at its deadline, and when the
//! [`Child`] is dropped, so that nothing that it started outlives the run. It gets no standard input and no environment but
//! [`SEARCH_PATH`], its output is read while it runs and bounded, and every wait has a deadline.

mod error;

use std::ffi::{OsStr, OsString};
use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

pub use error::ChildError;
use procfs::process::Process;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{ChildStderr, ChildStdout, Command};
use tokio::time::timeout;

/// Where programs are looked for, whatever the monitor was started with: a service and a shell find the same ones.
pub const SEARCH_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Longest standard output unless [`Program::max_output`] says otherwise, bytes.
pub const MAX_OUTPUT_BYTES: usize = 1 << 20;

/// How much of standard error is kept, bytes; what comes after is read and dropped.
const MAX_STDERR_BYTES: usize = 16 << 10;

/// How long output is still read once the program itself has ended: a child of it may hold the other end open.
const AFTER_END: Duration = Duration::from_millis(250);

/// What is run.
#[derive(Clone, Debug)]
pub struct Program {
    name: OsString,
    args: Vec<OsString>,
    max_output: usize,
}

/// A program under way. Dropping it kills it and all that it started.
#[derive(Debug)]
pub struct Child {
    name: String,
    group: Option<Pid>,
    process: tokio::process::Child,
    stdout: Output<ChildStdout>,
    stderr: Output<ChildStderr>,
    max_output: usize,
}

/// How a program ended by itself.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Exit code or signal.
    pub status: ExitStatus,
    /// All that it wrote to standard output.
    pub stdout: Vec<u8>,
    /// The first 16 KiB of what it wrote to standard error.
    pub stderr: Vec<u8>,
    /// CPU time of it and of its children that had ended; `None` where the kernel forgot it before it could be asked.
    pub cpu: Option<Duration>,
}

/// One pipe and what came out of it.
#[derive(Debug)]
struct Output<R> {
    pipe: Option<R>,
    bytes: Vec<u8>,
}

impl Program {
    /// A program by name, looked for in [`SEARCH_PATH`], or by path.
    pub fn new(name: impl AsRef<OsStr>) -> Self {
        Self { name: name.as_ref().to_owned(), args: Vec::new(), max_output: MAX_OUTPUT_BYTES }
    }

    /// With these arguments after those it has. No shell reads them.
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// With another bound on standard output, bytes.
    pub fn max_output(mut self, bytes: usize) -> Self {
        self.max_output = bytes;
        self
    }

    /// Starts it.
    ///
    /// # Errors
    /// [`ChildError::Missing`], [`ChildError::NotPermitted`], [`ChildError::Start`].
    pub fn start(&self) -> Result<Child, ChildError> {
        let name = self.name.to_string_lossy().into_owned();
        let mut command = Command::new(&self.name);
        command.args(&self.args).env_clear().env("PATH", SEARCH_PATH).current_dir("/").process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut process = command.spawn().map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => ChildError::Missing { program: name.clone() },
            io::ErrorKind::PermissionDenied => ChildError::NotPermitted { program: name.clone(), source },
            _ => ChildError::Start { program: name.clone(), source },
        })?;
        let group = process.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let stdout = Output { pipe: process.stdout.take(), bytes: Vec::new() };
        let stderr = Output { pipe: process.stderr.take(), bytes: Vec::new() };
        Ok(Child { name, group, process, stdout, stderr, max_output: self.max_output })
    }

    /// Starts it and waits until it has ended, at most `within`.
    ///
    /// # Errors
    /// Any [`ChildError`]. An exit code other than 0 is none: see [`Ended::status`].
    pub async fn run(&self, within: Duration) -> Result<Ended, ChildError> {
        self.start()?.finish(within).await
    }
}

impl Child {
    /// Its process id; `None` once it has ended.
    pub fn id(&self) -> Option<u32> {
        self.process.id()
    }

    /// Waits until standard output contains `text`, at most `within`: how a server says that it listens. What was read stays part
    /// of [`Ended::stdout`].
    ///
    /// # Errors
    /// [`ChildError::Timeout`], also where the output ended without it; [`ChildError::TooMuchOutput`], [`ChildError::Wait`].
    pub async fn says(&mut self, text: &str, within: Duration) -> Result<(), ChildError> {
        let said = async {
            while !contains(&self.stdout.bytes, text.as_bytes()) {
                let more = self
                    .stdout
                    .more()
                    .await
                    .map_err(|source| ChildError::Wait { program: self.name.clone(), source })?;
                self.check()?;
                if !more {
                    return Ok(false);
                }
            }
            Ok(true)
        };
        match timeout(within, said).await {
            Ok(Ok(true)) => Ok(()),
            Ok(Err(error)) => Err(error),
            Ok(Ok(false)) | Err(_) => Err(ChildError::Timeout { program: self.name.clone(), after: within }),
        }
    }

    /// Reads its output until it has ended, at most `within`. Whatever comes of it, all of its group is dead afterwards.
    ///
    /// # Errors
    /// [`ChildError::TooMuchOutput`], [`ChildError::Timeout`], [`ChildError::Wait`].
    pub async fn finish(mut self, within: Duration) -> Result<Ended, ChildError> {
        let ended = timeout(within, self.collect()).await;
        self.kill();
        let (status, cpu) =
            ended.unwrap_or_else(|_| Err(ChildError::Timeout { program: self.name.clone(), after: within }))?;
        let (stdout, stderr) = (std::mem::take(&mut self.stdout.bytes), std::mem::take(&mut self.stderr.bytes));
        Ok(Ended { status, stdout, stderr, cpu })
    }

    async fn collect(&mut self) -> Result<(ExitStatus, Option<Duration>), ChildError> {
        /// So many reads, and it is looked whether the program has ended: a child of it may write for ever.
        const READS: u32 = 64;
        let mut cpu = None;
        let mut reads = 0_u32;
        let status = loop {
            // Pipes close before a process can be reaped, and only until then does the kernel tell what it used.
            if self.stdout.pipe.is_none() && self.stderr.pipe.is_none() && cpu.is_none() {
                cpu = self.process.id().and_then(cpu_time);
            }
            let read = tokio::select! {
                biased;
                read = self.stdout.more(), if self.stdout.pipe.is_some() => read,
                read = self.stderr.more(), if self.stderr.pipe.is_some() => read,
                status = self.process.wait() => break status,
            };
            read.map_err(|source| self.lost(source))?;
            self.check()?;
            reads += 1;
            if reads.is_multiple_of(READS) {
                // Asked before the look, which may reap it.
                let used = self.process.id().and_then(cpu_time);
                if let Some(status) = self.process.try_wait().map_err(|source| self.lost(source))? {
                    cpu = used;
                    break Ok(status);
                }
            }
        };
        let status = status.map_err(|source| self.lost(source))?;
        // What it wrote last is still in the pipes. Who else holds them open is not waited for.
        let _ = timeout(AFTER_END, self.rest()).await;
        self.check()?;
        Ok((status, cpu))
    }

    async fn rest(&mut self) {
        while self.check().is_ok() {
            let read = tokio::select! {
                read = self.stdout.more(), if self.stdout.pipe.is_some() => read,
                read = self.stderr.more(), if self.stderr.pipe.is_some() => read,
                else => return,
            };
            if read.is_err() {
                return;
            }
        }
    }

    /// Bounds both outputs.
    fn check(&mut self) -> Result<(), ChildError> {
        self.stderr.bytes.truncate(MAX_STDERR_BYTES);
        if self.stdout.bytes.len() > self.max_output {
            return Err(ChildError::TooMuchOutput { program: self.name.clone(), limit: self.max_output });
        }
        Ok(())
    }

    fn lost(&self, source: io::Error) -> ChildError {
        ChildError::Wait { program: self.name.clone(), source }
    }

    /// Kills the group. Its members keep its number from being given to others, and without members nothing is hit.
    fn kill(&mut self) {
        if let Some(group) = self.group.take() {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
    }
}

impl<R: AsyncRead + Unpin> Output<R> {
    /// Reads once; `false` at the end, where the pipe is let go.
    async fn more(&mut self) -> io::Result<bool> {
        let Some(pipe) = &mut self.pipe else { return Ok(false) };
        self.bytes.reserve(8 << 10);
        let read = pipe.read_buf(&mut self.bytes).await?;
        if read == 0 {
            self.pipe = None;
        }
        Ok(read > 0)
    }
}

impl Ended {
    /// The first line that it wrote to standard error, at most 300 characters, for people.
    pub fn complaint(&self) -> String {
        let text = String::from_utf8_lossy(&self.stderr);
        text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default().trim().chars().take(300).collect()
    }
}

fn contains(bytes: &[u8], text: &[u8]) -> bool {
    text.is_empty() || bytes.windows(text.len()).any(|window| window == text)
}

/// User and system time of a process and of its children that it waited for, from `/proc/PID/stat`.
fn cpu_time(id: u32) -> Option<Duration> {
    let stat = Process::new(i32::try_from(id).ok()?).ok()?.stat().ok()?;
    let children = u64::try_from(stat.cutime).ok()?.saturating_add(u64::try_from(stat.cstime).ok()?);
    let ticks = stat.utime.saturating_add(stat.stime).saturating_add(children);
    Some(Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64))
}

#[cfg(test)]
mod tests;
