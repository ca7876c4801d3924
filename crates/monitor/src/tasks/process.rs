//! `process`: the list of `host` for one process: that of the storage node, or the monitor's own where the node's is not known, which
//! the result says.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use peermark_core::{Culprit, FailureClass, Unit};
use procfs::process::{FDTarget, Io, LimitValue, Process, Stat, Status};
use procfs::{Current, ProcError};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::thread::Lane;
use super::usage::{ActiveJobs, CpuUse, HddUse, MemUse, NetUse, Rates, Space, percent, queued_bytes, rounded};
use crate::config::ConfigError;
use crate::task::{About, Better, Context, Failure, Finding, Needs, Report, Retry, Running, Stop, Task};

/// Settings of `process`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProcessConfig {
    /// Holds the process id of the storage node, where the monitor is no part of it.
    pub pid_file: Option<PathBuf>,
    /// Sampling period, ms.
    pub period_ms: u32,
    /// More open files than so many percent of the limit is a finding.
    pub files_high_percent: f64,
}

impl Default for ProcessConfig {
    fn default() -> Self {
        Self { pid_file: None, period_ms: 2_000, files_high_percent: 80.0 }
    }
}

/// Which process it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Whose {
    /// The storage node's, which the monitor may be part of.
    Node,
    /// The monitor's own: the node's is not known (`monitor.process.pid_file`).
    Monitor,
}

/// What it says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProcessResult {
    /// Process id.
    pub pid: u32,
    /// Which process it is.
    pub whose: Whose,
    /// Name of the program.
    pub name: String,
    /// End of the sampling period, Unix ms.
    pub at_ms: u64,
    /// Length of the sampling period, s.
    pub period_s: f64,
    /// CPU, in percent of one logical CPU.
    pub cpu: CpuUse,
    /// Memory.
    pub mem: MemUse,
    /// Disks.
    pub hdd: HddUse,
    /// Network.
    pub net: NetUse,
    /// Memory of the process that is in RAM, bytes.
    pub resident_bytes: u64,
    /// The part of it that belongs to no file (`RssAnon`), bytes.
    pub private_bytes: u64,
    /// Memory of the process that is in swap, bytes.
    pub swap_bytes: u64,
    /// Open files and sockets; `null` where the kernel does not let us look.
    pub open_files: Option<u64>,
    /// How many it may have open; `null` where there is no limit or it cannot be read.
    pub open_files_limit: Option<u64>,
}

/// The task.
#[derive(Debug)]
pub struct ProcessTask {
    about: About,
    config: ProcessConfig,
    lane: Lane,
}

const GONE: Failure = Failure {
    code: "gone",
    class: FailureClass::NodeDown,
    culprit: Culprit::Observer,
    advice: "the storage node's process is not there: see why it ended and start it again (systemctl status NODE, journalctl -u NODE)",
    may_pass: true,
};
const UNREADABLE: Failure = Failure {
    code: "unreadable",
    class: FailureClass::NotPermitted,
    culprit: Culprit::Observer,
    advice: "the kernel does not let the monitor look at the node's process: run both as one user, and see that /proc is not mounted \
             with hidepid",
    may_pass: true,
};
const PID_FILE: Failure = Failure {
    code: "pid_file",
    class: FailureClass::NotPermitted,
    culprit: Culprit::Observer,
    advice: "the file in monitor.process.pid_file cannot be read, or holds no process id: see who writes it (PIDFile= in the node's systemd \
             unit) and that the monitor's user may read it",
    may_pass: true,
};
const FILES_HIGH: Failure = Failure {
    code: "files_high",
    class: FailureClass::Unfit,
    culprit: Culprit::Observer,
    advice: "the node has almost as many files and connections open as it may: raise the limit (LimitNOFILE=65536 in its systemd unit, \
             or ulimit -n) and restart it",
    may_pass: true,
};

static FAILURES: &[Failure] = &[GONE, UNREADABLE, PID_FILE, FILES_HIGH];

struct Reading {
    process: Process,
    stat: Stat,
    status: Status,
    io: Option<Io>,
}

impl ProcessTask {
    /// The task.
    ///
    /// # Errors
    /// [`ConfigError`] for a period below 100 ms or above a minute.
    pub fn new(config: ProcessConfig) -> Result<Self, ConfigError> {
        super::check_period("process.period_ms", config.period_ms)?;
        let about = About {
            name: "process".into(),
            description: "Samples how much processor time, memory, disk and network a process uses: the storage node's, or the monitor's \
                          own where the node's is not known."
                .into(),
            cron: "0 */5 * * * *".into(),
            jitter_s: 60,
            timeout: Duration::from_secs(90),
            needs: Needs::default(),
            light: true,
            at_start: true,
            unit: Unit::PartsPerMillion,
            value: "processor time of one CPU".into(),
            better: Better::Lower,
            bytes: 0,
            cpu: Duration::from_millis(20),
            retry: Retry::NONE,
            failures: FAILURES,
            schema: || schema_for!(ProcessResult).to_value(),
        };
        Ok(Self { about, config, lane: Lane::new("process") })
    }
}

impl Task for ProcessTask {
    fn about(&self) -> &About {
        &self.about
    }

    fn run(&self, context: Context) -> Running {
        let lane = self.lane.share();
        let config = self.config.clone();
        Box::pin(async move {
            let (known, file) = (context.node.pid, config.pid_file.clone());
            let before_ns = context.clock.now_ns();
            let before = lane.on_thread(&context.cancel, move |_| {
                let (pid, whose) = which(known, file.as_deref())?;
                Ok((pid, whose, Reading::of(pid)?))
            });
            let (pid, whose, before) = before.await?;
            tokio::time::sleep(Duration::from_millis(u64::from(config.period_ms))).await;
            let period_ns = context.clock.now_ns() - before_ns;
            let (data, at_ms) = (context.node.data.clone(), context.clock.wall_ms());
            let sampled = lane.on_thread(&context.cancel, move |_| {
                let after = Reading::of(pid)?;
                if after.stat.starttime != before.stat.starttime {
                    return Err(GONE.stop(format!("process {pid} ended meanwhile, and another has its number")));
                }
                result((pid, whose), &before, &after, Rates::of(period_ns), at_ms, &data)
            });
            let result = sampled.await?;
            Ok(Report {
                value: (result.cpu.processor_time_percent * 1e4).round() as i64,
                findings: findings(&config, &result),
                result: super::json(&result),
                bytes: 0,
                cpu: Duration::from_millis(20),
            })
        })
    }
}

fn findings(config: &ProcessConfig, result: &ProcessResult) -> Vec<Finding> {
    let (Some(open), Some(limit)) = (result.open_files, result.open_files_limit) else { return Vec::new() };
    let share = percent(open as f64, limit as f64);
    if share <= config.files_high_percent {
        return Vec::new();
    }
    vec![FILES_HIGH.with(format!("{open} files of {limit} are open"))]
}

/// The process that is looked at. A node that wrote no file does not run.
fn which(known: Option<u32>, file: Option<&Path>) -> Result<(u32, Whose), Stop> {
    let Some(path) = file else {
        return Ok(known.map_or((std::process::id(), Whose::Monitor), |pid| (pid, Whose::Node)));
    };
    let told = |why: String| format!("{}: {why}", path.display());
    let text = std::fs::read_to_string(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => GONE.stop(told(error.to_string())),
        _ => PID_FILE.stop(told(error.to_string())),
    })?;
    let pid = text.trim().parse().map_err(|_| PID_FILE.stop(told("holds no process id".into())))?;
    Ok((pid, Whose::Node))
}

impl Reading {
    fn of(pid: u32) -> Result<Self, Stop> {
        let failed = |error: ProcError| match error {
            ProcError::NotFound(_) => GONE.stop(format!("there is no process {pid}")),
            error => UNREADABLE.stop(format!("/proc/{pid}: {error}")),
        };
        let process = Process::new(i32::try_from(pid).unwrap_or(i32::MAX)).map_err(failed)?;
        let (stat, status) = (process.stat().map_err(failed)?, process.status().map_err(failed)?);
        if stat.state == 'Z' {
            return Err(GONE.stop(format!("process {pid} has ended and waits for its parent")));
        }
        // Only for the owner of the process and for root.
        let io = process.io().ok();
        Ok(Self { process, stat, status, io })
    }
}

fn result(
    (pid, whose): (u32, Whose),
    before: &Reading,
    after: &Reading,
    rates: Rates,
    at_ms: u64,
    data: &Path,
) -> Result<ProcessResult, Stop> {
    let memory = procfs::Meminfo::current().map_err(|error| UNREADABLE.stop(format!("/proc/meminfo: {error}")))?;
    let space = Space::at(data).map_err(|error| UNREADABLE.stop(format!("space at {}: {error}", data.display())))?;
    let kib = |figure: Option<u64>| figure.unwrap_or(0).saturating_mul(1024);
    let faults = |stat: &Stat| stat.minflt + stat.majflt;
    let limit = after.process.limits().ok().map(|limits| limits.max_open_files.soft_limit);
    Ok(ProcessResult {
        pid,
        whose,
        name: after.stat.comm.clone(),
        at_ms,
        period_s: rounded(rates.seconds),
        cpu: cpu(before, after, rates),
        mem: MemUse {
            total_physical_memory_bytes: memory.mem_total,
            free_memory_bytes: memory.mem_available.unwrap_or(memory.mem_free),
            page_faults_per_second: rates.per_second(faults(&before.stat), faults(&after.stat)),
            page_reads_per_second: rates.per_second(before.stat.majflt, after.stat.majflt),
            page_writes_per_second: None,
            pages_output_per_second: None,
            pool_non_paged_bytes: kib(after.status.vmpte),
            pool_paged_bytes: None,
        },
        hdd: hdd(before, after, rates, space),
        net: NetUse {
            output_queue_length_bytes: sockets(&after.process).and_then(|own| queued_bytes(&after.process, Some(&own))),
            packets_outbound_errors: None,
            packets_received_errors: None,
            kilobytes_received_per_second: None,
            kilobytes_sent_per_second: None,
        },
        resident_bytes: kib(after.status.vmrss),
        private_bytes: kib(after.status.rssanon),
        swap_bytes: kib(after.status.vmswap),
        open_files: after.process.fd_count().ok().map(|count| count as u64),
        open_files_limit: match limit {
            Some(LimitValue::Value(files)) => Some(files),
            Some(LimitValue::Unlimited) | None => None,
        },
    })
}

fn cpu(before: &Reading, after: &Reading, rates: Rates) -> CpuUse {
    let whole = rates.seconds * rustix::param::clock_ticks_per_second() as f64;
    let share = |of: fn(&Stat) -> u64| percent(of(&after.stat).saturating_sub(of(&before.stat)) as f64, whole);
    CpuUse {
        active_jobs: ActiveJobs { process_count: 1, thread_count: u64::try_from(after.stat.num_threads).unwrap_or(0) },
        interrupt_time_percent: None,
        privileged_time_percent: share(|stat| stat.stime),
        processor_time_percent: share(|stat| stat.stime + stat.utime),
        user_time_percent: share(|stat| stat.utime),
    }
}

fn hdd(before: &Reading, after: &Reading, rates: Rates, space: Space) -> HddUse {
    let rate = |of: fn(&Io) -> u64| Some(rates.per_second(of(before.io.as_ref()?), of(after.io.as_ref()?)));
    HddUse {
        disk_free_percent: space.free_percent(),
        disk_free_bytes: space.free_bytes,
        disk_reads_per_second: rate(|io| io.syscr),
        disk_writes_per_second: rate(|io| io.syscw),
        disk_read_bytes_per_second: rate(|io| io.read_bytes),
        disk_write_bytes_per_second: rate(|io| io.write_bytes),
        disk_transfers_per_second: rate(|io| io.syscr + io.syscw),
    }
}

/// Inodes of its sockets.
fn sockets(process: &Process) -> Option<BTreeSet<u64>> {
    let files = process.fd().ok()?;
    let socket = |target| if let FDTarget::Socket(inode) = target { Some(inode) } else { None };
    Some(files.flatten().filter_map(|file| socket(file.target)).collect())
}

#[cfg(test)]
mod tests;
