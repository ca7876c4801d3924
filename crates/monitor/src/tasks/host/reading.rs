//! Readings of the kernel's counters, and what two of them say together.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use procfs::process::Process;
use procfs::{Current, CurrentSI};

use super::{HostResult, NetSummary, Summary, UNREADABLE};
use crate::task::Stop;
use crate::tasks::machine::{CpuTimes, read_line};
use crate::tasks::usage::{ActiveJobs, CpuUse, HddUse, MemUse, NetUse, Rates, Space, percent, queued_bytes, rounded};

/// Bytes of a sector in `/proc/diskstats`, whatever the disk has.
const SECTOR_BYTES: u64 = 512;

/// All counters at one moment.
pub(super) struct Reading {
    total: procfs::CpuTime,
    each: Vec<CpuTimes>,
    pages: HashMap<String, i64>,
    disk: DiskCounters,
    received: u64,
    sent: u64,
    receive_errors: u64,
    send_errors: u64,
}

#[derive(Clone, Copy, Default)]
struct DiskCounters {
    reads: u64,
    writes: u64,
    sectors_read: u64,
    sectors_written: u64,
}

impl Reading {
    pub(super) fn now() -> Result<Self, Stop> {
        let unreadable = |what: &str, error: procfs::ProcError| UNREADABLE.stop(format!("{what}: {error}"));
        let stats = procfs::KernelStats::current().map_err(|error| unreadable("/proc/stat", error))?;
        let pages = procfs::vmstat().map_err(|error| unreadable("/proc/vmstat", error))?;
        let disks = procfs::diskstats().map_err(|error| unreadable("/proc/diskstats", error))?;
        let interfaces = procfs::net::dev_status().map_err(|error| unreadable("/proc/net/dev", error))?;
        let others: Vec<_> = interfaces.values().filter(|interface| interface.name != "lo").collect();
        Ok(Self {
            each: stats.cpu_time.iter().map(CpuTimes::of).collect(),
            total: stats.total,
            pages,
            disk: disks
                .iter()
                .filter(|disk| is_whole_disk(&disk.name))
                .fold(DiskCounters::default(), DiskCounters::plus),
            received: others.iter().map(|interface| interface.recv_bytes).sum(),
            sent: others.iter().map(|interface| interface.sent_bytes).sum(),
            receive_errors: others.iter().map(|interface| interface.recv_errs).sum(),
            send_errors: others.iter().map(|interface| interface.sent_errs).sum(),
        })
    }

    fn page(&self, counter: &str) -> u64 {
        self.pages.get(counter).map_or(0, |count| count.cast_unsigned())
    }
}

impl DiskCounters {
    fn plus(self, disk: &procfs::DiskStat) -> Self {
        Self {
            reads: self.reads + disk.reads,
            writes: self.writes + disk.writes,
            sectors_read: self.sectors_read + disk.sectors_read,
            sectors_written: self.sectors_written + disk.sectors_written,
        }
    }
}

/// Whether a block device is a disk: not a part of one, and not made of others, which would count everything twice.
fn is_whole_disk(name: &str) -> bool {
    Path::new("/sys/block").join(name.replace('/', "!")).join("device").exists()
}

/// What happened between two readings.
pub(super) fn result(
    before: &Reading,
    after: &Reading,
    period_ns: u64,
    at_ms: u64,
    data: &Path,
    latency_ns: Option<u64>,
) -> Result<HostResult, Stop> {
    let memory = procfs::Meminfo::current().map_err(|error| UNREADABLE.stop(format!("/proc/meminfo: {error}")))?;
    let space = Space::at(data).map_err(|error| UNREADABLE.stop(format!("space at {}: {error}", data.display())))?;
    let rates = Rates::of(period_ns);
    let bits = |before, after| (rates.per_second(before, after) * 8.0) as u64;
    let free = memory.mem_available.unwrap_or(memory.mem_free);
    let each =
        before.each.iter().zip(&after.each).map(|(before, after)| rounded(f64::from(after.busy_ppm(*before)) / 1e4));
    let summary = Summary {
        cpu_percent: each.collect(),
        gpu_percent: gpus(Path::new("/sys/class/drm")),
        mem_percent: rounded(100.0 - percent(free as f64, memory.mem_total as f64)),
        hdd_percent: rounded(100.0 - space.free_percent()),
        net: NetSummary {
            egress_bits_per_second: bits(before.sent, after.sent),
            ingress_bits_per_second: bits(before.received, after.received),
            latency_ns,
        },
    };
    Ok(HostResult {
        at_ms,
        period_s: rounded(rates.seconds),
        cpu: cpu(before, after),
        mem: mem(before, after, rates, &memory, free),
        hdd: hdd(before, after, rates, space),
        net: NetUse {
            output_queue_length_bytes: Process::myself().ok().and_then(|process| queued_bytes(&process, None)),
            packets_outbound_errors: Some(after.send_errors),
            packets_received_errors: Some(after.receive_errors),
            kilobytes_received_per_second: Some(rounded(rates.per_second(before.received, after.received) / 1e3)),
            kilobytes_sent_per_second: Some(rounded(rates.per_second(before.sent, after.sent) / 1e3)),
        },
        summary,
    })
}

fn cpu(before: &Reading, after: &Reading) -> CpuUse {
    let whole = CpuTimes::of(&after.total).total.saturating_sub(CpuTimes::of(&before.total).total) as f64;
    let share =
        |of: fn(&procfs::CpuTime) -> u64| percent(of(&after.total).saturating_sub(of(&before.total)) as f64, whole);
    let interrupts = |times: &procfs::CpuTime| times.irq.unwrap_or(0) + times.softirq.unwrap_or(0);
    let threads = read_line("/proc/loadavg").and_then(|line| line.split(['/', ' ']).nth(4)?.parse().ok());
    CpuUse {
        active_jobs: ActiveJobs { process_count: process_count(), thread_count: threads.unwrap_or(0) },
        interrupt_time_percent: Some(share(interrupts)),
        privileged_time_percent: share(|times| times.system + times.irq.unwrap_or(0) + times.softirq.unwrap_or(0)),
        processor_time_percent: share(|times| CpuTimes::of(times).busy),
        user_time_percent: share(|times| times.user + times.nice),
    }
}

fn mem(before: &Reading, after: &Reading, rates: Rates, memory: &procfs::Meminfo, free: u64) -> MemUse {
    let rate = |counter: &str| rates.per_second(before.page(counter), after.page(counter));
    // The kernel counts it in KiB.
    let pages_written = rounded(rate("pgpgout") * 1024.0 / rustix::param::page_size() as f64);
    MemUse {
        total_physical_memory_bytes: memory.mem_total,
        free_memory_bytes: free,
        page_faults_per_second: rate("pgfault"),
        page_reads_per_second: rate("pgmajfault"),
        page_writes_per_second: Some(pages_written),
        pages_output_per_second: Some(rate("pswpout")),
        pool_non_paged_bytes: memory.s_unreclaim.unwrap_or(memory.slab),
        pool_paged_bytes: memory.s_reclaimable,
    }
}

fn hdd(before: &Reading, after: &Reading, rates: Rates, space: Space) -> HddUse {
    let (before, after) = (&before.disk, &after.disk);
    let bytes = |before: u64, after: u64| Some(rates.per_second(before * SECTOR_BYTES, after * SECTOR_BYTES));
    HddUse {
        disk_free_percent: space.free_percent(),
        disk_free_bytes: space.free_bytes,
        disk_reads_per_second: Some(rates.per_second(before.reads, after.reads)),
        disk_writes_per_second: Some(rates.per_second(before.writes, after.writes)),
        disk_read_bytes_per_second: bytes(before.sectors_read, after.sectors_read),
        disk_write_bytes_per_second: bytes(before.sectors_written, after.sectors_written),
        disk_transfers_per_second: Some(rates.per_second(before.reads + before.writes, after.reads + after.writes)),
    }
}

fn process_count() -> u64 {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_name().to_string_lossy().bytes().all(|byte| byte.is_ascii_digit())).count() as u64
}

/// What the drivers below `root` say of their graphics processors.
pub(super) fn gpus(root: &Path) -> Vec<f64> {
    let mut cards: Vec<PathBuf> =
        std::fs::read_dir(root).into_iter().flatten().flatten().map(|card| card.path()).collect();
    cards.sort();
    let busy = cards.iter().filter_map(|card| read_line(&card.join("device/gpu_busy_percent").to_string_lossy()));
    busy.filter_map(|line| line.parse().ok()).collect()
}
