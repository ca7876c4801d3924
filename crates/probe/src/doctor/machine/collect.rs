//! Looks at the machine. Every look is bounded; together they take about three seconds.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use peermark_core::Clock;
use procfs::Current as _;

use super::Facts;
use crate::clock::MonotonicClock;
use crate::environment::environment;
use crate::host::HostSampler;

/// How long the CPU is looked at.
const LOOK: Duration = Duration::from_secs(2);

/// Longest time for asking the time service.
const ASK: Duration = Duration::from_secs(3);

/// Writes of the disk check, and the time after which it is enough.
const WRITES: usize = 20;
const WRITE_NS: u64 = 3_000_000_000;

/// Looks at this machine and at the disk of `directory`, which must exist. Writes one small file there and deletes it.
pub async fn collect(directory: &Path) -> Facts {
    let mut host = HostSampler::start();
    let sampled = async {
        tokio::time::sleep(LOOK).await;
        host.look()
    };
    // A disk that hangs holds up a thread of its own, and the question for its space is one to the disk too.
    let disk = {
        let directory = directory.to_owned();
        tokio::task::spawn_blocking(move || fsync_ns(&directory))
    };
    let space = {
        let directory = directory.to_owned();
        tokio::task::spawn_blocking(move || rustix::fs::statvfs(&directory).ok())
    };
    let disk = async { tokio::join!(tokio::time::timeout(LOOK + ASK, disk), tokio::time::timeout(LOOK + ASK, space)) };
    let (cpu, clock_synchronised, (fsync, space)) = tokio::join!(sampled, clock_synchronised(), disk);
    let fsync_ns = match fsync {
        Ok(Ok(written)) => written.map_err(|error| error.to_string()),
        Ok(Err(_)) => Err("the check broke".to_owned()),
        Err(_elapsed) => Err("no write was durable within five seconds".to_owned()),
    };
    let space = space.ok().and_then(Result::ok).flatten();
    let memory = procfs::Meminfo::current().ok();
    Facts {
        directory: directory.to_owned(),
        clock_synchronised,
        disk_free_bytes: space.as_ref().map(|space| space.f_bavail.saturating_mul(space.f_frsize)),
        disk_bytes: space.as_ref().map(|space| space.f_blocks.saturating_mul(space.f_frsize)),
        fsync_ns: Some(fsync_ns),
        memory_available_bytes: memory.as_ref().and_then(|memory| memory.mem_available),
        memory_bytes: memory.as_ref().map(|memory| memory.mem_total),
        memory_pressure: procfs::MemoryPressure::current().ok().map(|pressure| f64::from(pressure.some.avg10) / 100.0),
        open_files: rustix::process::getrlimit(rustix::process::Resource::Nofile).current.or(Some(u64::MAX)),
        cpu_busy: cpu.busy,
        cpu_steal: cpu.steal,
        throttled: cpu.throttled,
        governor: environment("", "").governor,
        somaxconn: number("/proc/sys/net/core/somaxconn"),
        rmem_max: number("/proc/sys/net/core/rmem_max"),
        wmem_max: number("/proc/sys/net/core/wmem_max"),
        node: None,
    }
}

fn number(path: &str) -> Option<u64> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// What the system's time service says about the kernel's clock; `None` where there is none that can be asked.
async fn clock_synchronised() -> Option<bool> {
    let asked = tokio::process::Command::new("timedatectl")
        .args(["show", "--property=NTPSynchronized", "--value"])
        .stdin(std::process::Stdio::null())
        .kill_on_drop(true)
        .output();
    let said = tokio::time::timeout(ASK, asked).await.ok()?.ok()?;
    match String::from_utf8_lossy(&said.stdout).trim() {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}

/// Median time of a durable write of 4 KiB over the same place of a file.
fn fsync_ns(directory: &Path) -> io::Result<u64> {
    let path = directory.join(format!(".peermark-doctor-{}", std::process::id()));
    let file = OpenOptions::new().write(true).create_new(true).open(&path)?;
    let _gone = Gone(path);
    measured(file)
}

fn measured(mut file: File) -> io::Result<u64> {
    let clock = MonotonicClock::new();
    let mut took = Vec::with_capacity(WRITES);
    while took.len() < WRITES && clock.now_ns() < WRITE_NS {
        file.seek(SeekFrom::Start(0))?;
        let began_ns = clock.now_ns();
        file.write_all(&[took.len() as u8; 4096])?;
        file.sync_data()?;
        took.push(clock.now_ns() - began_ns);
    }
    took.sort_unstable();
    Ok(took[took.len() / 2])
}

/// Deletes a file, however the check ends.
struct Gone(PathBuf);

impl Drop for Gone {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.0) {
            tracing::warn!(%error, path = %self.0.display(), "a file of the disk check stays");
        }
    }
}
