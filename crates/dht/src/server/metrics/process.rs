//! The process metrics that Prometheus's clients give, under their names.

use procfs::WithCurrentSystemInfo;
use procfs::process::{LimitValue, Process};

use super::page::Page;

/// Writes what the kernel tells; what it does not tell is absent.
pub(super) fn write(page: &mut Page) {
    let Ok(process) = Process::myself() else { return };
    if let Ok(stat) = process.stat() {
        let seconds = (stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64;
        page.single(
            "process_cpu_seconds_total",
            "counter",
            "Total user and system CPU time spent in seconds.",
            seconds,
        );
        let resident = stat.rss_bytes().get();
        page.single("process_resident_memory_bytes", "gauge", "Resident memory size in bytes.", resident);
        page.single("process_virtual_memory_bytes", "gauge", "Virtual memory size in bytes.", stat.vsize);
        page.single("process_threads", "gauge", "Number of OS threads in the process.", stat.num_threads);
        if let Ok(boot) = procfs::boot_time_secs() {
            let started = boot as f64 + stat.starttime as f64 / procfs::ticks_per_second() as f64;
            let help = "Start time of the process since unix epoch in seconds.";
            page.single("process_start_time_seconds", "gauge", help, started);
        }
    }
    if let Ok(open) = process.fd_count() {
        page.single("process_open_fds", "gauge", "Number of open file descriptors.", open);
    }
    if let Ok(limits) = process.limits()
        && let LimitValue::Value(most) = limits.max_open_files.soft_limit
    {
        page.single("process_max_fds", "gauge", "Maximum number of open file descriptors.", most);
    }
}
