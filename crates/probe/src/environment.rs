//! The facts about this machine that make two runs comparable or not.

use peermark_core::Environment;
use procfs::Current;

use crate::thread::allowed_cores;

/// The environment of this process, built as `version` from `commit`. Facts that the kernel does not tell read `unknown` or 0.
pub fn environment(version: &str, commit: &str) -> Environment {
    let kernel = |fact| read_line(&format!("/proc/sys/kernel/{fact}")).unwrap_or_else(|| "unknown".to_owned());
    Environment {
        version: version.to_owned(),
        commit: commit.to_owned(),
        kernel: format!("{} {}", kernel("ostype"), kernel("osrelease")),
        cpu: cpu_model().unwrap_or_else(|| "unknown".to_owned()),
        cores: u32::try_from(allowed_cores().len()).unwrap_or(0),
        memory_bytes: procfs::Meminfo::current().map_or(0, |memory| memory.mem_total),
        governor: read_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        build: if cfg!(debug_assertions) { "debug" } else { "release" }.to_owned(),
    }
}

fn cpu_model() -> Option<String> {
    let cpus = procfs::CpuInfo::current().ok()?;
    // Architectures other than x86 name their model elsewhere or not at all.
    cpus.model_name(0).or_else(|| cpus.fields.get("Hardware").map(String::as_str)).map(str::to_owned)
}

fn read_line(path: &str) -> Option<String> {
    Some(std::fs::read_to_string(path).ok()?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_names_kernel_cores_and_memory() {
        let here = environment("1.2.3", "abc");
        assert_eq!((here.version.as_str(), here.commit.as_str()), ("1.2.3", "abc"));
        assert!(here.kernel.starts_with("Linux ") && here.cores > 0 && here.memory_bytes > 1 << 20, "{here:?}");
        assert_eq!(here.fingerprint(), environment("other", "other").fingerprint());
    }
}
