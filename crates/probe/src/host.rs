//! How busy the host is and what a process uses, read from the kernel's own counters.

mod process;

use std::path::Path;

use procfs::{Current, CurrentSI, KernelStats};

pub use process::{ProcessSampler, ProcessUse};

/// Highest number of CPUs whose throttle counters are read.
const MAX_CPUS: usize = 1024;

/// How the host did from one look to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct HostUsage {
    /// Share of all CPU time that was busy, 0 to 1; steal is not part of it.
    pub busy: f64,
    /// Share of CPU time that the hypervisor gave to others, 0 to 1.
    pub steal: f64,
    /// Share of time in which some task waited for a CPU, 0 to 1, over the kernel's last 10 s; `None` where it does not say.
    pub pressure: Option<f64>,
    /// Times that a CPU was throttled for heat; `None` where the kernel does not count it.
    pub throttled: Option<u64>,
}

/// Looks at the host's counters. Each look covers the time since the one before.
#[derive(Clone, Debug)]
pub struct HostSampler {
    last: Counters,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counters {
    busy: u64,
    steal: u64,
    all: u64,
    throttled: Option<u64>,
}

impl HostSampler {
    /// Begins now.
    pub fn start() -> Self {
        Self { last: Counters::read() }
    }

    /// The host since the last look. All zero where the kernel shows no counters.
    pub fn look(&mut self) -> HostUsage {
        let now = Counters::read();
        let usage = now.since(&self.last);
        self.last = now;
        usage
    }
}

impl Counters {
    fn read() -> Self {
        let Ok(stats) = KernelStats::current() else { return Self::default() };
        let cpu = stats.total;
        let some = |counter: Option<u64>| counter.unwrap_or(0);
        let steal = some(cpu.steal);
        // Guest time is contained in user time already.
        let busy = cpu.user + cpu.nice + cpu.system + some(cpu.irq) + some(cpu.softirq);
        let all = busy + steal + cpu.idle + some(cpu.iowait);
        Self { busy, steal, all, throttled: throttled() }
    }

    fn since(&self, earlier: &Self) -> HostUsage {
        let all = self.all.saturating_sub(earlier.all).max(1) as f64;
        HostUsage {
            busy: (self.busy.saturating_sub(earlier.busy) as f64 / all).min(1.0),
            steal: (self.steal.saturating_sub(earlier.steal) as f64 / all).min(1.0),
            pressure: procfs::CpuPressure::current().ok().map(|pressure| f64::from(pressure.some.avg10) / 100.0),
            throttled: self.throttled.zip(earlier.throttled).map(|(now, then)| now.saturating_sub(then)),
        }
    }
}

fn throttled() -> Option<u64> {
    let mut sum = None;
    for cpu in 0..MAX_CPUS {
        let path = format!("/sys/devices/system/cpu/cpu{cpu}/thermal_throttle/core_throttle_count");
        let Ok(text) = std::fs::read_to_string(Path::new(&path)) else { break };
        sum = Some(sum.unwrap_or(0) + text.trim().parse::<u64>().unwrap_or(0));
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_follow_the_counters() {
        let earlier = Counters { busy: 100, steal: 10, all: 1_000, throttled: Some(3) };
        let later = Counters { busy: 180, steal: 20, all: 1_100, throttled: Some(5) };
        let usage = later.since(&earlier);
        assert_eq!((usage.busy, usage.steal, usage.throttled), (0.8, 0.1, Some(2)));
        let stuck = earlier.since(&earlier);
        assert_eq!((stuck.busy, stuck.steal), (0.0, 0.0));
    }

    #[test]
    fn the_host_shows_shares() {
        let usage = HostSampler::start().look();
        assert!((0.0..=1.0).contains(&usage.busy) && (0.0..=1.0).contains(&usage.steal), "{usage:?}");
    }
}
