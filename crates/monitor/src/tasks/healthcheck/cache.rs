//! The data directory: written, synced, read back, removed; and what is left in its file system.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use peermark_core::ByteSize;
use rand::Rng;

use super::{CACHE_FULL, CACHE_IO, HealthcheckConfig, NO_INODES, READ_ONLY};
use crate::task::Finding;
use crate::tasks::usage::{Space, percent};

/// What is written.
const BYTES: usize = 64 << 10;

/// A file that is removed whatever happens.
struct Removed(PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        // Removing it is part of the check; this is for the ways out before.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// What is wrong, in the words that zos has for it where it has some.
pub(super) fn problems(data: &Path, limits: &HealthcheckConfig, random: &mut impl Rng) -> Vec<Finding> {
    let mut found = Vec::new();
    let path = data.join(format!(".peermark-healthcheck-{:016x}", random.next_u64()));
    if let Err((did, error)) = write_and_read(&path, random) {
        let failure = match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => &CACHE_FULL,
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem | ErrorKind::NotFound => &READ_ONLY,
            _ => &CACHE_IO,
        };
        found.push(failure.with(format!("failed to write to cache: {did} {}: {error}", path.display())));
    }
    if let Ok(space) = Space::at(data) {
        if space.free_bytes < limits.min_free.0 {
            let (free, least) = (ByteSize(space.free_bytes), limits.min_free);
            found.push(CACHE_FULL.with(format!("{free} free at {}, at least {least} are wanted", data.display())));
        }
        let inodes = percent(space.free_inodes as f64, space.total_inodes as f64);
        if space.total_inodes > 0 && inodes < limits.min_free_inodes_percent {
            found.push(NO_INODES.with(format!("{inodes} % of the inodes are free at {}", data.display())));
        }
    }
    found
}

type Step<T> = Result<T, (&'static str, io::Error)>;

fn write_and_read(path: &Path, random: &mut impl Rng) -> Step<()> {
    let mut written = vec![0; BYTES];
    random.fill_bytes(&mut written);
    let opened = OpenOptions::new().read(true).write(true).create_new(true).open(path);
    let mut file = opened.map_err(|error| ("open", error))?;
    let removed = Removed(path.to_owned());
    file.write_all(&written).map_err(|error| ("write", error))?;
    file.sync_all().map_err(|error| ("fsync", error))?;
    let read = read_back(&mut file).map_err(|error| ("read", error))?;
    if read != written {
        return Err(("read", io::Error::new(ErrorKind::InvalidData, "other bytes came back than were written")));
    }
    std::fs::remove_file(path).map_err(|error| ("remove", error))?;
    // It is gone: there is nothing left for the guard.
    std::mem::forget(removed);
    Ok(())
}

fn read_back(file: &mut File) -> io::Result<Vec<u8>> {
    // Else the answer would be from memory, where the kernel agrees to forget it.
    let _ = rustix::fs::fadvise(&*file, 0, None, rustix::fs::Advice::DontNeed);
    file.seek(SeekFrom::Start(0))?;
    let mut read = Vec::with_capacity(BYTES);
    file.take(BYTES as u64 + 1).read_to_end(&mut read)?;
    Ok(read)
}
