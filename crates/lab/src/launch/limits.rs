//! Memory and CPU limits per node, by control groups (version 1 or 2), where this process may make them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::LaunchError;

const ROOT: &str = "/sys/fs/cgroup";

/// Length of a CPU period in microseconds: the kernel's default.
const PERIOD_US: u64 = 100_000;

/// What one node may use.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct NodeLimits {
    pub(super) memory_bytes: Option<u64>,
    pub(super) cores: Option<f64>,
}

/// The groups of one node; removed when dropped, which works once its processes are gone.
#[derive(Debug)]
pub(super) struct ControlGroups {
    directories: Vec<PathBuf>,
}

impl NodeLimits {
    pub(super) fn is_unlimited(&self) -> bool {
        self.memory_bytes.is_none() && self.cores.is_none()
    }
}

impl ControlGroups {
    /// Puts a process into new groups with these limits. `name` must differ between nodes and runs.
    pub(super) fn enclose(pid: u32, name: &str, limits: NodeLimits) -> Result<Self, LaunchError> {
        let mut groups = Self { directories: Vec::new() };
        let made = if Path::new(ROOT).join("cgroup.controllers").exists() {
            groups.make_unified(pid, name, limits)
        } else {
            groups.make_split(pid, name, limits)
        };
        made.map(|()| groups).map_err(|(path, error)| LaunchError::ControlGroup(format!("{}: {error}", path.display())))
    }

    fn make_unified(&mut self, pid: u32, name: &str, limits: NodeLimits) -> Result<(), (PathBuf, io::Error)> {
        let directory = Path::new(ROOT).join(name);
        self.make(&directory)?;
        if let Some(bytes) = limits.memory_bytes {
            write(&directory.join("memory.max"), &bytes.to_string())?;
        }
        if let Some(cores) = limits.cores {
            write(&directory.join("cpu.max"), &format!("{} {PERIOD_US}", quota_us(cores)))?;
        }
        write(&directory.join("cgroup.procs"), &pid.to_string())
    }

    fn make_split(&mut self, pid: u32, name: &str, limits: NodeLimits) -> Result<(), (PathBuf, io::Error)> {
        if let Some(bytes) = limits.memory_bytes {
            let directory = Path::new(ROOT).join("memory").join(name);
            self.make(&directory)?;
            write(&directory.join("memory.limit_in_bytes"), &bytes.to_string())?;
            write(&directory.join("cgroup.procs"), &pid.to_string())?;
        }
        if let Some(cores) = limits.cores {
            let directory = Path::new(ROOT).join("cpu").join(name);
            self.make(&directory)?;
            write(&directory.join("cpu.cfs_period_us"), &PERIOD_US.to_string())?;
            write(&directory.join("cpu.cfs_quota_us"), &quota_us(cores).to_string())?;
            write(&directory.join("cgroup.procs"), &pid.to_string())?;
        }
        Ok(())
    }

    fn make(&mut self, directory: &Path) -> Result<(), (PathBuf, io::Error)> {
        fs::create_dir(directory).map_err(|error| (directory.to_owned(), error))?;
        self.directories.push(directory.to_owned());
        Ok(())
    }
}

impl Drop for ControlGroups {
    fn drop(&mut self) {
        for directory in &self.directories {
            if let Err(error) = fs::remove_dir(directory) {
                tracing::warn!(directory = %directory.display(), %error, "a control group stays behind");
            }
        }
    }
}

fn quota_us(cores: f64) -> u64 {
    // The kernel takes no quota below a millisecond.
    ((cores * PERIOD_US as f64) as u64).max(1000)
}

fn write(path: &Path, value: &str) -> Result<(), (PathBuf, io::Error)> {
    fs::write(path, value).map_err(|error| (path.to_owned(), error))
}
