//! Synced appends and two streams, on a file that has no name while it is used.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use peermark_core::Clock;
use rand::Rng;
use rustix::fs::{Advice, OFlags, fadvise};
use tokio_util::sync::CancellationToken;

use super::{BROKEN, NO_SPACE, NOT_WRITABLE};
use crate::task::Stop;
use crate::tasks::thread::go_on;
use crate::tasks::usage::rounded;

/// Size of one append that is synced: a page.
const APPEND_BYTES: usize = 4096;

/// Size of one write or read of a stream.
const CHUNK_BYTES: usize = 1 << 20;

/// What direct I/O wants buffers and offsets to be multiples of, on any disk.
const ALIGNMENT: usize = 4096;

pub(super) struct Measured {
    pub(super) sync_p50_ns: u64,
    pub(super) sync_p99_ns: u64,
    pub(super) sync_max_ns: u64,
    pub(super) write_mb_per_second: f64,
    pub(super) read_mb_per_second: f64,
    pub(super) direct: bool,
    pub(super) cpu: Duration,
}

/// A buffer whose first byte lies where direct I/O takes it.
struct Aligned {
    bytes: Vec<u8>,
    from: usize,
}

impl Aligned {
    fn new() -> Self {
        let bytes = vec![0; CHUNK_BYTES + ALIGNMENT];
        let from = bytes.as_ptr().align_offset(ALIGNMENT);
        // A pointer that cannot be aligned has usize::MAX, which no allocator of ours returns.
        Self { from: if from < ALIGNMENT { from } else { 0 }, bytes }
    }

    fn chunk(&mut self, length: usize) -> &mut [u8] {
        &mut self.bytes[self.from..self.from + length]
    }
}

/// Measures in `directory` with a file of `size` bytes.
pub(super) fn all(
    directory: &Path,
    size: u64,
    syncs: u32,
    random: &mut impl Rng,
    clock: &dyn Clock,
    cancel: &CancellationToken,
) -> Result<Measured, Stop> {
    // Whole chunks: what is measured is what is moved.
    let size = size - size % CHUNK_BYTES as u64;
    let started = cpu_time();
    let mut took = appends(directory, syncs, random, clock, cancel)?;
    took.sort_unstable();
    let nearest_rank = |share: f64| took[((took.len() as f64 * share).ceil() as usize).clamp(1, took.len()) - 1];
    let (file, direct) = open_direct(directory)?;
    let write_ns = write_stream(&file, size, random, clock, cancel)?;
    if !direct {
        // Else the stream would come back from memory. Where the kernel does not forget it, `direct` says so.
        let _ = fadvise(&file, 0, None, Advice::DontNeed);
    }
    let read_ns = read_stream(&file, size, clock, cancel)?;
    let mb_per_second = |ns: u64| rounded(size as f64 * 1e3 / ns.max(1) as f64);
    Ok(Measured {
        sync_p50_ns: nearest_rank(0.5),
        sync_p99_ns: nearest_rank(0.99),
        sync_max_ns: nearest_rank(1.0),
        write_mb_per_second: mb_per_second(write_ns),
        read_mb_per_second: mb_per_second(read_ns),
        direct,
        cpu: cpu_time().saturating_sub(started),
    })
}

fn appends(
    directory: &Path,
    syncs: u32,
    random: &mut impl Rng,
    clock: &dyn Clock,
    cancel: &CancellationToken,
) -> Result<Vec<u64>, Stop> {
    let mut file = unnamed(directory, 0).map_err(|error| failed("create a file", &error))?;
    let mut page = [0; APPEND_BYTES];
    let mut took = Vec::with_capacity(syncs as usize);
    for _ in 0..syncs {
        go_on(cancel)?;
        // Disks that compress would be praised for zeros.
        random.fill_bytes(&mut page);
        let before_ns = clock.now_ns();
        let appended = file.write_all(&page).and_then(|()| file.sync_all());
        appended.map_err(|error| failed("append and sync 4 KiB", &error))?;
        took.push(clock.now_ns() - before_ns);
    }
    Ok(took)
}

/// A file past the kernel's cache, or an ordinary one where the file system has none.
fn open_direct(directory: &Path) -> Result<(File, bool), Stop> {
    let direct = unnamed(directory, OFlags::DIRECT.bits() as i32);
    if let Ok(file) = direct
        && file.write_all_at(Aligned::new().chunk(ALIGNMENT), 0).is_ok()
    {
        return Ok((file, true));
    }
    Ok((unnamed(directory, 0).map_err(|error| failed("create a file", &error))?, false))
}

fn write_stream(
    file: &File,
    size: u64,
    random: &mut impl Rng,
    clock: &dyn Clock,
    cancel: &CancellationToken,
) -> Result<u64, Stop> {
    let mut buffer = Aligned::new();
    random.fill_bytes(buffer.chunk(CHUNK_BYTES));
    let before_ns = clock.now_ns();
    for at in (0..size / CHUNK_BYTES as u64).map(|chunk| chunk * CHUNK_BYTES as u64) {
        go_on(cancel)?;
        let chunk = buffer.chunk(CHUNK_BYTES);
        // Every chunk is another one, and carries where it belongs.
        chunk[..8].copy_from_slice(&at.to_le_bytes());
        file.write_all_at(chunk, at).map_err(|error| failed("write", &error))?;
    }
    file.sync_all().map_err(|error| failed("sync", &error))?;
    Ok(clock.now_ns() - before_ns)
}

fn read_stream(file: &File, size: u64, clock: &dyn Clock, cancel: &CancellationToken) -> Result<u64, Stop> {
    let mut buffer = Aligned::new();
    let before_ns = clock.now_ns();
    for at in (0..size / CHUNK_BYTES as u64).map(|chunk| chunk * CHUNK_BYTES as u64) {
        go_on(cancel)?;
        let chunk = buffer.chunk(CHUNK_BYTES);
        file.read_exact_at(chunk, at).map_err(|error| failed("read", &error))?;
        if chunk[..8] != at.to_le_bytes() {
            return Err(BROKEN.stop(format!("at byte {at} other bytes came back than were written")));
        }
    }
    Ok(clock.now_ns() - before_ns)
}

/// A new file without a name: nothing is left behind, whatever happens.
fn unnamed(directory: &Path, flags: i32) -> io::Result<File> {
    let open =
        |path: &Path, flags: i32| OpenOptions::new().read(true).write(true).mode(0o600).custom_flags(flags).open(path);
    match open(directory, flags | OFlags::TMPFILE.bits() as i32) {
        // File systems without unnamed files say either.
        Err(error) if matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::IsADirectory) => {
            let path = directory.join(format!(".peermark-disk-{}", std::process::id()));
            let created =
                OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).custom_flags(flags).open(&path);
            // A file that is not there need not be removed; one that was left behind once is in the way no longer.
            std::fs::remove_file(&path)
                .or_else(|error| if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) })?;
            created
        }
        opened => opened,
    }
}

fn failed(doing: &str, error: &io::Error) -> Stop {
    let failure = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => &NO_SPACE,
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem | ErrorKind::NotFound => &NOT_WRITABLE,
        _ => &BROKEN,
    };
    failure.stop(format!("{doing}: {error}"))
}

/// CPU time of this thread.
fn cpu_time() -> Duration {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(used.tv_sec.cast_unsigned(), u32::try_from(used.tv_nsec).unwrap_or(0))
}
