//! What a host says about its load. What it cannot measure is absent, never 0.

use serde::{Deserialize, Serialize};

/// One sample of a host's metrics. Rates are differences of counters over `period_ms`. Shares are in parts per million.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HostMetrics {
    /// When the period ended, Unix milliseconds by the host's clock.
    pub at_ms: u64,
    /// Length of the period.
    pub period_ms: u64,
    /// Processor.
    pub cpu: CpuMetrics,
    /// Memory.
    pub mem: MemMetrics,
    /// Disks.
    pub hdd: HddMetrics,
    /// Network.
    pub net: NetMetrics,
}

/// Load of the processor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CpuMetrics {
    /// Processes.
    pub process_count: Option<u64>,
    /// Threads.
    pub thread_count: Option<u64>,
    /// Share of time in interrupts (hard and soft).
    pub interrupt_ppm: Option<u32>,
    /// Share of time in the kernel.
    pub privilege_ppm: Option<u32>,
    /// Share of time in use.
    pub processor_ppm: Option<u32>,
    /// Share of time in programs.
    pub user_ppm: Option<u32>,
}

/// Load of the memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MemMetrics {
    /// Physical memory, bytes.
    pub total_bytes: Option<u64>,
    /// Free memory, bytes.
    pub free_bytes: Option<u64>,
    /// Page faults per 1000 s.
    pub page_faults_milli: Option<u64>,
    /// Pages read from disk per 1000 s (major faults).
    pub page_reads_milli: Option<u64>,
    /// Writes of pages per 1000 s.
    pub page_writes_milli: Option<u64>,
    /// Pages written out per 1000 s (swap).
    pub pages_output_milli: Option<u64>,
    /// Kernel memory that is never paged, bytes.
    pub pool_nonpaged_bytes: Option<u64>,
    /// Kernel memory that can be given back, bytes.
    pub pool_paged_bytes: Option<u64>,
}

/// Load of the disks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HddMetrics {
    /// Share that is free.
    pub free_ppm: Option<u32>,
    /// Bytes that are free.
    pub free_bytes: Option<u64>,
    /// Reads per 1000 s.
    pub reads_milli: Option<u64>,
    /// Writes per 1000 s.
    pub writes_milli: Option<u64>,
    /// Bytes read per second.
    pub read_bytes_per_s: Option<u64>,
    /// Bytes written per second.
    pub write_bytes_per_s: Option<u64>,
    /// Reads and writes per 1000 s.
    pub transfers_milli: Option<u64>,
}

/// Load of the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NetMetrics {
    /// Packets that wait to be sent.
    pub output_queue: Option<u64>,
    /// Packets that could not be sent, per 1000 s.
    pub outbound_errors_milli: Option<u64>,
    /// Packets that came broken, per 1000 s.
    pub received_errors_milli: Option<u64>,
    /// Bytes received per second.
    pub received_bytes_per_s: Option<u64>,
    /// Bytes sent per second.
    pub sent_bytes_per_s: Option<u64>,
    /// Bytes that the measured process itself received per second.
    pub process_received_bytes_per_s: Option<u64>,
    /// Bytes that the measured process itself sent per second.
    pub process_sent_bytes_per_s: Option<u64>,
}

/// The five resources of a host in one line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HostSummary {
    /// Share of the processors in use.
    pub cpu_ppm: Option<u32>,
    /// Share of the graphics processors in use. Optional on every host.
    pub gpu_ppm: Option<u32>,
    /// Share of the memory in use.
    pub mem_ppm: Option<u32>,
    /// Share of the disks in use.
    pub hdd_ppm: Option<u32>,
    /// Bytes sent per second.
    pub egress_bytes_per_s: Option<u64>,
    /// Bytes received per second.
    pub ingress_bytes_per_s: Option<u64>,
    /// Round trip to the nearest peers, microseconds.
    pub latency_us: Option<u64>,
}

/// Difference of a counter per second, from two readings; absent where either is, where time stood still, and where the counter went back
/// (the host started again).
pub fn rate_per_s(before: Option<u64>, after: Option<u64>, period_ms: u64) -> Option<u64> {
    rate(before, after, period_ms, 1_000)
}

/// As [`rate_per_s`], per 1000 seconds: for counters that move slowly.
pub fn rate_milli(before: Option<u64>, after: Option<u64>, period_ms: u64) -> Option<u64> {
    rate(before, after, period_ms, 1_000_000)
}

fn rate(before: Option<u64>, after: Option<u64>, period_ms: u64, factor: u128) -> Option<u64> {
    let moved = after?.checked_sub(before?)?;
    let rate = (u128::from(moved) * factor).checked_div(u128::from(period_ms))?;
    u64::try_from(rate).ok()
}

impl HostMetrics {
    /// The summary. Latency and graphics are not among a host's counters and come from elsewhere.
    pub fn summary(&self) -> HostSummary {
        let used = |total: Option<u64>, free: Option<u64>| -> Option<u32> {
            let total = total?;
            crate::share::ppm(total.saturating_sub(free?), total)
        };
        HostSummary {
            cpu_ppm: self.cpu.processor_ppm,
            gpu_ppm: None,
            mem_ppm: used(self.mem.total_bytes, self.mem.free_bytes),
            hdd_ppm: self.hdd.free_ppm.map(|free| crate::policy::PPM.saturating_sub(free)),
            egress_bytes_per_s: self.net.sent_bytes_per_s,
            ingress_bytes_per_s: self.net.received_bytes_per_s,
            latency_us: None,
        }
    }
}
