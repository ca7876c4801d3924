//! `disk`: how long a small write takes until it is safe, how fast the disk streams, how it feels about itself, and when it is full.
//!
//! All of it happens in one unnamed file of bounded size on the file system of the node's data, and only where that leaves enough
//! room. Streams go past the kernel's cache (`O_DIRECT`) where the file system takes that; the result says whether they did.

mod measure;
mod smart;
mod trend;

use std::path::{Path, PathBuf};
use std::time::Duration;

use peermark_core::{ByteSize, Culprit, FailureClass, Unit};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

pub use smart::Smart;
pub use trend::DaysToFull;

use super::thread::Lane;
use super::usage::Space;
use crate::config::ConfigError;
use crate::task::{About, Better, Context, Failure, Finding, Needs, Report, Retry, Running, Stop, Task};

/// Points of the past that the trend looks at: three months at four a day.
const TREND_POINTS: usize = 360;

/// Settings of `disk`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DiskConfig {
    /// Size of the file that is streamed, 1 MiB to 16 GiB.
    pub file_size: ByteSize,
    /// Space that has to be left beside the file, else nothing is written.
    pub min_free: ByteSize,
    /// Writes of 4 KiB that are synced one by one, 10 to 10,000.
    pub syncs: u32,
    /// A slower sync at the 99th percentile is a finding, ms.
    pub sync_slow_ms: u32,
    /// A file system that will be full in fewer days is a finding.
    pub full_soon_days: u32,
    /// Whether `smartctl` is asked.
    pub smart: bool,
    /// The disk that it is asked about (`/dev/nvme0`); found out by the data directory where there is none.
    pub device: Option<PathBuf>,
}

impl Default for DiskConfig {
    fn default() -> Self {
        Self {
            file_size: ByteSize(64 << 20),
            min_free: ByteSize(1 << 30),
            syncs: 200,
            sync_slow_ms: 200,
            full_soon_days: 14,
            smart: true,
            device: None,
        }
    }
}

/// What it says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DiskResult {
    /// Wait for 4 KiB to be safe, median, ns.
    pub sync_p50_ns: u64,
    /// Wait for 4 KiB to be safe, 99th percentile, ns.
    pub sync_p99_ns: u64,
    /// Longest wait, ns.
    pub sync_max_ns: u64,
    /// Syncs that were measured.
    pub syncs: u32,
    /// Streamed to the disk until safe, MB/s (10^6 bytes).
    pub write_mb_per_second: f64,
    /// Streamed from the disk, MB/s.
    pub read_mb_per_second: f64,
    /// Size of the file that was streamed, bytes.
    pub file_bytes: u64,
    /// Whether the streams went past the kernel's cache. Where not, the read may have come from memory.
    pub direct: bool,
    /// Free bytes for users other than root.
    pub free_bytes: u64,
    /// Bytes that such users can have at most.
    pub total_bytes: u64,
    /// Free inodes; 0 where the file system does not count them.
    pub free_inodes: u64,
    /// When it will be full.
    pub days_to_full: DaysToFull,
    /// How the disk feels about itself.
    pub smart: Smart,
}

/// The task.
#[derive(Debug)]
pub struct Disk {
    about: About,
    config: DiskConfig,
    lane: Lane,
}

const NO_SPACE: Failure = Failure {
    code: "no_space",
    class: FailureClass::QuotaFull,
    culprit: Culprit::Observer,
    advice: "there is no room for the test's file beside what has to stay free: see what fills the disk (du -xh DIR | sort -h | tail), or \
             lower monitor.disk.file_size and min_free",
    may_pass: true,
};
const NOT_WRITABLE: Failure = Failure {
    code: "not_writable",
    class: FailureClass::NotPermitted,
    culprit: Culprit::Observer,
    advice: "the monitor cannot write on the file system of the node's data: see whether it became read-only (findmnt -T DIR, dmesg | \
             tail) and who owns the directory (ls -ld DIR)",
    may_pass: true,
};
const BROKEN: Failure = Failure {
    code: "io_error",
    class: FailureClass::WrongBytes,
    culprit: Culprit::Observer,
    advice: "the disk fails to keep what is written: save the data, then look at it (smartctl -a DEVICE, dmesg | grep -i error)",
    may_pass: true,
};
const SLOW: Failure = Failure {
    code: "slow_sync",
    class: FailureClass::Unfit,
    culprit: Culprit::Observer,
    advice: "small writes take long to be safe, and every upload waits for some: see who else uses the disk (iostat -x 1), whether its \
             write cache is on (hdparm -W DEVICE), or move the data to a faster one",
    may_pass: true,
};
const FULL_SOON: Failure = Failure {
    code: "full_soon",
    class: FailureClass::Unfit,
    culprit: Culprit::Observer,
    advice: "at the pace of the last weeks the disk will be full soon: add space, lower the node's quota, or see what grows (du -xh DIR | \
             sort -h | tail)",
    may_pass: true,
};
const SMART_FAILING: Failure = Failure {
    code: "smart_failing",
    class: FailureClass::Unfit,
    culprit: Culprit::Observer,
    advice: "the disk says that it is about to fail: save the data and replace it (smartctl -a DEVICE shows why)",
    may_pass: false,
};

static FAILURES: &[Failure] = &[NO_SPACE, NOT_WRITABLE, BROKEN, SLOW, FULL_SOON, SMART_FAILING];

impl Disk {
    /// The task.
    ///
    /// # Errors
    /// [`ConfigError`] for a file or a number of syncs beyond its bounds.
    pub fn new(config: DiskConfig) -> Result<Self, ConfigError> {
        let wrong = |key: &str, reason: &str| Err(ConfigError { key: format!("disk.{key}"), reason: reason.into() });
        if !(1 << 20..=16 << 30).contains(&config.file_size.0) {
            return wrong("file_size", "has to be 1MiB to 16GiB");
        }
        if !(10..=10_000).contains(&config.syncs) {
            return wrong("syncs", "has to be 10 to 10000");
        }
        let about = About {
            name: "disk".into(),
            description: "Measures how long small writes take to be safe and how fast the disk streams, and tells when it will be full.".into(),
            cron: "0 30 */6 * * *".into(),
            jitter_s: 600,
            timeout: Duration::from_secs(300),
            needs: Needs { disk: true, ..Needs::default() },
            light: false,
            at_start: true,
            unit: Unit::Nanoseconds,
            value: "p99 of a synced write".into(),
            better: Better::Lower,
            bytes: 0,
            cpu: Duration::from_secs(2),
            retry: Retry::NONE,
            failures: FAILURES,
            schema: || schema_for!(DiskResult).to_value(),
        };
        Ok(Self { about, config, lane: Lane::new("disk") })
    }
}

impl Task for Disk {
    fn about(&self) -> &About {
        &self.about
    }

    fn run(&self, context: Context) -> Running {
        let lane = self.lane.share();
        let config = self.config.clone();
        Box::pin(async move {
            let (clock, scratch, limits) = (context.clock.clone(), context.scratch.clone(), config.clone());
            let mut random = context.seed.stream("disk");
            let measured = lane.on_thread(&context.cancel, move |cancel| {
                // Asked here too: a file system that hangs must hold up no more than this thread.
                let space = room(&scratch, &limits)?;
                let measured = measure::all(&scratch, limits.file_size.0, limits.syncs, &mut random, &*clock, cancel)?;
                let device = limits.smart.then(|| limits.device.or_else(|| smart::device_of(&scratch))).flatten();
                Ok((space, measured, device))
            });
            let (space, measured, device) = measured.await?;
            let past = context.past.successes("disk", TREND_POINTS).await;
            let smart = if config.smart {
                smart::ask(device).await
            } else {
                Smart::unknown("it is not asked: monitor.disk.smart is false")
            };
            let result = DiskResult {
                sync_p50_ns: measured.sync_p50_ns,
                sync_p99_ns: measured.sync_p99_ns,
                sync_max_ns: measured.sync_max_ns,
                syncs: config.syncs,
                write_mb_per_second: measured.write_mb_per_second,
                read_mb_per_second: measured.read_mb_per_second,
                file_bytes: config.file_size.0,
                direct: measured.direct,
                free_bytes: space.free_bytes,
                total_bytes: space.total_bytes,
                free_inodes: space.free_inodes,
                days_to_full: trend::days_to_full(&past, context.clock.wall_ms(), space.free_bytes),
                smart,
            };
            Ok(Report {
                value: i64::try_from(result.sync_p99_ns).unwrap_or(i64::MAX),
                findings: findings(&config, &result),
                result: super::json(&result),
                bytes: 0,
                cpu: measured.cpu,
            })
        })
    }
}

/// The space there is, unless it is too little to test in.
fn room(scratch: &Path, config: &DiskConfig) -> Result<Space, Stop> {
    let space = Space::at(scratch).map_err(|error| NOT_WRITABLE.stop(format!("{}: {error}", scratch.display())))?;
    let wanted = config.file_size.0.saturating_add(config.min_free.0);
    if space.free_bytes < wanted {
        let (free, wanted) = (ByteSize(space.free_bytes), ByteSize(wanted));
        return Err(NO_SPACE.stop(format!("{free} free at {}, {wanted} are wanted", scratch.display())));
    }
    Ok(space)
}

fn findings(config: &DiskConfig, result: &DiskResult) -> Vec<Finding> {
    let mut found = Vec::new();
    if result.smart.healthy == Some(false) {
        let device = result.smart.device.as_deref().unwrap_or("the disk");
        found.push(SMART_FAILING.with(format!("{device} does not pass its own health test")));
    }
    if let Some(days) = result.days_to_full.days.filter(|days| *days < f64::from(config.full_soon_days)) {
        found.push(FULL_SOON.with(format!("full in {days:.1} days, {} are free", ByteSize(result.free_bytes))));
    }
    let p99_ms = result.sync_p99_ns / 1_000_000;
    if p99_ms > u64::from(config.sync_slow_ms) {
        found.push(SLOW.with(format!("1 in 100 synced writes of 4 KiB takes {p99_ms} ms or more")));
    }
    found
}

#[cfg(test)]
mod tests;
