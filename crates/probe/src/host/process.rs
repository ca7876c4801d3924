//! What one process uses. A process that ends meanwhile is no error: it uses nothing any more.

use procfs::process::Process;

/// What a process uses now.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ProcessUse {
    /// Memory that is its alone: `Private_Clean + Private_Dirty`, bytes. `None` where the kernel does not let us read it.
    pub private_bytes: Option<u64>,
    /// CPU time since it started, in user and kernel, seconds.
    pub cpu_seconds: f64,
    /// Open file descriptors; `None` where they are not ours to count.
    pub files: Option<u64>,
    /// Threads.
    pub threads: u64,
}

/// Looks at one process. It knows the process by its start time too, so a successor under the same id is not taken for it.
#[derive(Debug)]
pub struct ProcessSampler {
    process: Process,
    started: u64,
}

impl ProcessSampler {
    /// A sampler of a running process; `None` if there is none with this id.
    pub fn start(pid: u32) -> Option<Self> {
        let process = Process::new(i32::try_from(pid).ok()?).ok()?;
        let started = process.stat().ok()?.starttime;
        Some(Self { process, started })
    }

    /// What it uses now; `None` once it has ended.
    pub fn look(&self) -> Option<ProcessUse> {
        let stat = self.process.stat().ok()?;
        let is_gone = matches!(stat.state, 'Z' | 'X') || stat.starttime != self.started;
        if is_gone {
            return None;
        }
        Some(ProcessUse {
            private_bytes: self.private_bytes(),
            cpu_seconds: (stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64,
            files: self.process.fd_count().ok().map(|count| count as u64),
            threads: u64::try_from(stat.num_threads).unwrap_or(0),
        })
    }

    /// Most memory that it ever held, bytes: `VmHWM`. `None` once it has ended, or where the kernel does not tell.
    pub fn peak_resident_bytes(&self) -> Option<u64> {
        Some(self.process.status().ok()?.vmhwm? * 1_024)
    }

    fn private_bytes(&self) -> Option<u64> {
        let rollup = self.process.smaps_rollup().ok()?;
        let map = &rollup.memory_map_rollup.0.first()?.extension.map;
        Some(map.get("Private_Clean")? + map.get("Private_Dirty")?)
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn it_sees_this_process() {
        let usage = ProcessSampler::start(std::process::id()).unwrap().look().unwrap();
        assert!(usage.private_bytes.unwrap() > 100_000 && usage.threads >= 1 && usage.files.unwrap() >= 3, "{usage:?}");
        let sampler = ProcessSampler::start(std::process::id()).unwrap();
        assert!(sampler.peak_resident_bytes().unwrap() >= usage.private_bytes.unwrap());
    }

    #[test]
    fn a_process_that_ended_uses_nothing() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let sampler = ProcessSampler::start(child.id()).unwrap();
        assert!(sampler.look().is_some());
        drop(child.stdin.take());
        child.wait().unwrap();
        assert_eq!(sampler.look(), None);
        assert!(ProcessSampler::start(u32::MAX).is_none());
    }
}
