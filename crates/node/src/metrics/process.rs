//! What the node's process uses, from `/proc`. Every figure is one small file, whatever the size of the node.

use procfs::process::Process;
use serde::Serialize;

/// Resources of this process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, utoipa::ToSchema)]
pub struct ProcessUse {
    /// Resident memory.
    pub resident_bytes: u64,
    /// Resident memory that no file backs, which is close to what the process alone costs.
    pub anonymous_bytes: u64,
    /// CPU time, user and system.
    pub cpu_seconds: f64,
    /// Bytes read from storage.
    pub disk_read_bytes: u64,
    /// Bytes written to storage.
    pub disk_written_bytes: u64,
    /// Threads.
    pub threads: u64,
}

impl ProcessUse {
    /// Reads the figures; those that the kernel does not tell are 0.
    pub fn now() -> Self {
        let Ok(process) = Process::myself() else { return Self::default() };
        let page = procfs::page_size();
        let memory = process.statm().map(|memory| (memory.resident * page, memory.shared * page)).unwrap_or_default();
        let disk = process.io().map(|io| (io.read_bytes, io.write_bytes)).unwrap_or_default();
        let (cpu_seconds, threads) = process.stat().map_or((0.0, 0), |stat| {
            ((stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64, stat.num_threads.max(0) as u64)
        });
        Self {
            resident_bytes: memory.0,
            anonymous_bytes: memory.0.saturating_sub(memory.1),
            cpu_seconds,
            disk_read_bytes: disk.0,
            disk_written_bytes: disk.1,
            threads,
        }
    }
}
