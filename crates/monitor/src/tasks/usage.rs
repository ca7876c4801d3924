//! The list of counters that `host` and `process` share: CPU, MEM, HDD and NET, each member a counter of the list that hosters are
//! asked for, as near as Linux has it. Rates are differences of two readings over the time between them.

use std::collections::BTreeSet;
use std::path::Path;

use procfs::net::{TcpNetEntry, TcpState, UdpNetEntry};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// CPU. Percentages of the machine are of all its CPUs together, those of a process are of one CPU.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CpuUse {
    /// What there is to run.
    pub active_jobs: ActiveJobs,
    /// Share spent in interrupts, hard and soft; `null` for a process, to which the kernel counts none.
    pub interrupt_time_percent: Option<f64>,
    /// Share spent in the kernel, interrupts included.
    pub privileged_time_percent: f64,
    /// Share in use for anything.
    pub processor_time_percent: f64,
    /// Share spent outside of the kernel.
    pub user_time_percent: f64,
}

/// Processes and threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ActiveJobs {
    /// Processes.
    pub process_count: u64,
    /// Threads.
    pub thread_count: u64,
}

/// Memory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MemUse {
    /// Memory of the machine, bytes.
    pub total_physical_memory_bytes: u64,
    /// Memory that could be had without swapping (`MemAvailable`), bytes.
    pub free_memory_bytes: u64,
    /// Faults of any kind (`pgfault`; of a process `minflt` + `majflt`).
    pub page_faults_per_second: f64,
    /// Faults that had to read from a disk (`pgmajfault`; of a process `majflt`).
    pub page_reads_per_second: f64,
    /// Pages written to block devices for any reason (`pgpgout`); `null` for a process.
    pub page_writes_per_second: Option<f64>,
    /// Pages written to swap (`pswpout`); `null` for a process.
    pub pages_output_per_second: Option<f64>,
    /// Memory of the kernel that stays (`SUnreclaim`; of a process its page tables, `VmPTE`), bytes.
    pub pool_non_paged_bytes: u64,
    /// Memory of the kernel that it can give back (`SReclaimable`, the other part of `Slab`: Linux pages none of its own out), bytes;
    /// `null` for a process.
    pub pool_paged_bytes: Option<u64>,
}

/// Disks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HddUse {
    /// Free part of the file system of the node's data, for users other than root.
    pub disk_free_percent: f64,
    /// Free bytes of it.
    pub disk_free_bytes: u64,
    /// Reads that disks completed; of a process its read calls; `null` where the kernel does not let us look.
    pub disk_reads_per_second: Option<f64>,
    /// Writes that disks completed; of a process its write calls.
    pub disk_writes_per_second: Option<f64>,
    /// Bytes read from disks.
    pub disk_read_bytes_per_second: Option<f64>,
    /// Bytes written to disks.
    pub disk_write_bytes_per_second: Option<f64>,
    /// Reads and writes together.
    pub disk_transfers_per_second: Option<f64>,
}

/// Network. The loopback interface is left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NetUse {
    /// Bytes that sockets (TCP and UDP) hold and that are not sent or not acknowledged yet; `null` where the kernel does not let us look.
    pub output_queue_length_bytes: Option<u64>,
    /// Packets that could not be sent since the machine started; `null` for a process, to which Linux counts no packets.
    pub packets_outbound_errors: Option<u64>,
    /// Packets received broken since the machine started; `null` for a process.
    pub packets_received_errors: Option<u64>,
    /// Kilobytes (1000 bytes) received; `null` for a process.
    pub kilobytes_received_per_second: Option<f64>,
    /// Kilobytes (1000 bytes) sent; `null` for a process.
    pub kilobytes_sent_per_second: Option<f64>,
}

/// Space of a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Space {
    pub(super) free_bytes: u64,
    pub(super) total_bytes: u64,
    pub(super) free_inodes: u64,
    /// 0 where the file system has no fixed number of them.
    pub(super) total_inodes: u64,
}

impl Space {
    /// Space of the file system that `path` is on, as far as users other than root may have it.
    pub(super) fn at(path: &Path) -> std::io::Result<Self> {
        let stat = rustix::fs::statvfs(path)?;
        Ok(Self {
            free_bytes: stat.f_bavail.saturating_mul(stat.f_frsize),
            // Without what is kept for root, as `df` counts.
            total_bytes: (stat.f_blocks - stat.f_bfree).saturating_add(stat.f_bavail).saturating_mul(stat.f_frsize),
            free_inodes: stat.f_favail,
            total_inodes: stat.f_files,
        })
    }

    pub(super) fn free_percent(&self) -> f64 {
        percent(self.free_bytes as f64, self.total_bytes as f64)
    }
}

/// Differences of counters over a time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rates {
    pub(super) seconds: f64,
}

impl Rates {
    pub(super) fn of(period_ns: u64) -> Self {
        Self { seconds: (period_ns as f64 / 1e9).max(1e-3) }
    }

    /// Per second, to three decimals. A counter that went back was set to zero meanwhile: nothing is known.
    pub(super) fn per_second(self, before: u64, after: u64) -> f64 {
        rounded(after.saturating_sub(before) as f64 / self.seconds)
    }
}

/// A part of a whole in percent, to three decimals.
pub(super) fn percent(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { rounded(100.0 * part / whole) } else { 0.0 }
}

pub(super) fn rounded(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

/// Bytes in the sending queues of the connected sockets in the tables of `process`: of those in `only`, or of all.
pub(super) fn queued_bytes(process: &procfs::process::Process, only: Option<&BTreeSet<u64>>) -> Option<u64> {
    let counts = |inode: u64| only.is_none_or(|only| only.contains(&inode));
    let of_tcp = |entries: Vec<TcpNetEntry>| -> u64 {
        // The queue of a listening socket is the length of its backlog.
        let connected = entries.iter().filter(|entry| entry.state != TcpState::Listen && counts(entry.inode));
        connected.map(|entry| u64::from(entry.tx_queue)).sum()
    };
    let of_udp = |entries: Vec<UdpNetEntry>| -> u64 {
        entries.iter().filter(|entry| counts(entry.inode)).map(|entry| u64::from(entry.tx_queue)).sum()
    };
    let first = of_tcp(process.tcp().ok()?);
    let rest = [process.tcp6().ok().map(of_tcp), process.udp().ok().map(of_udp), process.udp6().ok().map(of_udp)];
    Some(first + rest.into_iter().flatten().sum::<u64>())
}
