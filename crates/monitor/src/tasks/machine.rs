//! What a CPU figure has to be read with: which machine, how busy it was, how much of it this process may use.

use std::fs::read_to_string;
use std::path::Path;

use procfs::{Current, CurrentSI};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Features that the kernels of the tests and storage nodes make use of.
const FEATURES: [&str; 14] = [
    "aes",
    "asimd",
    "avx",
    "avx2",
    "avx512f",
    "bmi2",
    "fma",
    "pclmulqdq",
    "pmull",
    "sha1",
    "sha2",
    "sha_ni",
    "sse4_2",
    "vaes",
];

/// The machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Machine {
    /// CPU model as the kernel names it.
    pub cpu: String,
    /// Its features that matter here.
    pub features: Vec<String>,
    /// Online logical CPUs.
    pub logical_cpus: u32,
    /// Physical cores; `null` where the kernel does not tell.
    pub physical_cores: Option<u32>,
    /// CPUs that the control group may use at a time; `null` without a quota.
    pub quota_cpus: Option<f64>,
    /// Frequency of the first CPU now, MHz; `null` where the kernel does not tell.
    pub mhz: Option<f64>,
    /// Frequency governor, where the kernel tells.
    pub governor: Option<String>,
    /// How often the first CPU was slowed down for its heat since the machine started, where the kernel tells.
    pub thermal_throttles: Option<u64>,
    /// Whether it is a virtual machine; `null` where the kernel does not tell.
    pub virtual_machine: Option<bool>,
}

/// How busy the machine was at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Load {
    /// Runnable and waiting tasks, mean of the last minute, as the kernel counts.
    pub one_minute: f64,
    /// Tasks that can run at this moment, this one included.
    pub runnable: u32,
}

/// Times of all CPUs together since the machine started, in ticks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct CpuTimes {
    pub(super) busy: u64,
    pub(super) steal: u64,
    pub(super) total: u64,
}

impl Machine {
    /// This machine. What the kernel does not tell reads `unknown`, 1 or `null`.
    pub fn here() -> Self {
        let info = procfs::CpuInfo::current().ok();
        let field = |name: &str| info.as_ref().and_then(|info| info.get_field(0, name)).map(str::to_owned);
        let flags = field("flags").or_else(|| field("Features")).unwrap_or_default();
        let flags: Vec<&str> = flags.split_whitespace().collect();
        let features = FEATURES.iter().filter(|name| flags.contains(name)).map(|name| (*name).to_owned()).collect();
        let cpu0 = |file: &str| read_line(&format!("/sys/devices/system/cpu/cpu0/{file}"));
        let scaled = cpu0("cpufreq/scaling_cur_freq").and_then(|khz| khz.parse::<f64>().ok()).map(|khz| khz / 1e3);
        Self {
            cpu: field("model name").or_else(|| field("Hardware")).unwrap_or_else(|| "unknown".to_owned()),
            features,
            logical_cpus: online_cpus(),
            physical_cores: physical_cores(),
            quota_cpus: quota(Path::new("/sys/fs/cgroup"), &read_to_string("/proc/self/cgroup").unwrap_or_default()),
            mhz: scaled.or_else(|| field("cpu MHz")?.parse().ok()),
            governor: cpu0("cpufreq/scaling_governor"),
            thermal_throttles: cpu0("thermal_throttle/core_throttle_count").and_then(|count| count.parse().ok()),
            virtual_machine: cfg!(target_arch = "x86_64").then(|| flags.contains(&"hypervisor")),
        }
    }
}

impl Load {
    /// Now; zeros where the kernel does not tell.
    pub fn now() -> Self {
        procfs::LoadAverage::current().map_or(Self { one_minute: 0.0, runnable: 0 }, |load| Self {
            one_minute: f64::from(load.one),
            runnable: load.cur,
        })
    }
}

impl CpuTimes {
    /// Now; zeros where the kernel does not tell.
    pub(super) fn now() -> Self {
        procfs::KernelStats::current().map_or_else(|_| Self::default(), |stats| Self::of(&stats.total))
    }

    pub(super) fn of(cpu: &procfs::CpuTime) -> Self {
        // Time of guests is part of user and nice already.
        let idle = cpu.idle + cpu.iowait.unwrap_or(0);
        let steal = cpu.steal.unwrap_or(0);
        let busy = cpu.user + cpu.nice + cpu.system + cpu.irq.unwrap_or(0) + cpu.softirq.unwrap_or(0);
        Self { busy, steal, total: busy + idle + steal }
    }

    /// Share of all CPUs that others of the hypervisor took since `earlier`, in parts per million.
    pub(super) fn steal_ppm(self, earlier: Self) -> u32 {
        ppm(self.steal.saturating_sub(earlier.steal), self.total.saturating_sub(earlier.total))
    }

    /// Share of all CPUs that was in use since `earlier`, steal included, in parts per million.
    pub(super) fn busy_ppm(self, earlier: Self) -> u32 {
        let used = (self.busy + self.steal).saturating_sub(earlier.busy + earlier.steal);
        ppm(used, self.total.saturating_sub(earlier.total))
    }
}

fn ppm(part: u64, whole: u64) -> u32 {
    u32::try_from(part.saturating_mul(1_000_000) / whole.max(1)).unwrap_or(u32::MAX)
}

/// Online logical CPUs, whatever this process may use of them.
pub(super) fn online_cpus() -> u32 {
    procfs::KernelStats::current().ok().and_then(|stats| u32::try_from(stats.cpu_time.len()).ok()).unwrap_or(1).max(1)
}

/// Pairs of package and core among the CPUs.
fn physical_cores() -> Option<u32> {
    let mut cores = std::collections::BTreeSet::new();
    for entry in std::fs::read_dir("/sys/devices/system/cpu").ok()?.flatten() {
        let topology = entry.path().join("topology");
        let fact = |name: &str| read_line(&topology.join(name).to_string_lossy());
        if let (Some(package), Some(core)) = (fact("physical_package_id"), fact("core_id")) {
            cores.insert((package, core));
        }
    }
    u32::try_from(cores.len()).ok().filter(|count| *count > 0)
}

/// The smallest `cpu.max` of the control group named in `/proc/self/cgroup` and of those above it (version 2 of the interface).
fn quota(root: &Path, own: &str) -> Option<f64> {
    let path = own.lines().find_map(|line| line.strip_prefix("0::"))?.trim_start_matches('/');
    let mut smallest: Option<f64> = None;
    for group in root.join(path).ancestors().take_while(|group| group.starts_with(root)) {
        let Some(line) = read_line(&group.join("cpu.max").to_string_lossy()) else { continue };
        let mut words = line.split_whitespace().map(str::parse::<f64>);
        if let (Some(Ok(quota)), Some(Ok(period))) = (words.next(), words.next()) {
            let cpus = quota / period.max(1.0);
            smallest = Some(smallest.map_or(cpus, |before| before.min(cpus)));
        }
    }
    smallest
}

/// The one line of a file of the kernel.
pub(super) fn read_line(path: &str) -> Option<String> {
    Some(read_to_string(path).ok()?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_cpus_and_a_name() {
        let here = Machine::here();
        assert!(here.logical_cpus >= 1 && !here.cpu.is_empty(), "{here:?}");
        assert!(here.physical_cores.is_none_or(|cores| cores <= here.logical_cpus), "{here:?}");
    }

    #[test]
    fn the_tightest_quota_on_the_way_up_counts() {
        let root = tempfile::tempdir().unwrap();
        let inner = root.path().join("a/b");
        std::fs::create_dir_all(&inner).unwrap();
        std::fs::write(inner.join("cpu.max"), "max 100000\n").unwrap();
        assert_eq!(quota(root.path(), "0::/a/b\n"), None);
        std::fs::write(root.path().join("a/cpu.max"), "150000 100000\n").unwrap();
        assert_eq!(quota(root.path(), "12:cpu:/x\n0::/a/b\n"), Some(1.5));
        std::fs::write(inner.join("cpu.max"), "50000 100000\n").unwrap();
        assert_eq!(quota(root.path(), "0::/a/b\n"), Some(0.5));
        assert_eq!(quota(root.path(), ""), None);
    }

    #[test]
    fn shares_are_of_the_time_between() {
        let earlier = CpuTimes { busy: 10, steal: 0, total: 100 };
        let later = CpuTimes { busy: 30, steal: 5, total: 200 };
        assert_eq!((later.busy_ppm(earlier), later.steal_ppm(earlier)), (250_000, 50_000));
        assert_eq!(earlier.busy_ppm(earlier), 0);
    }
}
