//! What this machine can do at this moment: three short loops whose figures every result carries before and after the load.
//!
//! Each takes rounds until its time is up and gives the median, so that one interruption does not decide. They use the host fully
//! while they run: never beside a measurement.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use peermark_core::calibration::{BytesPerSecond, FdatasyncNs};
use peermark_core::{Calibration, Clock};
use rustix::fs::{Mode, OFlags};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::thread::ThreadError;

/// Time for each of the three loops.
const LOOP_TIME: Duration = Duration::from_millis(250);

/// Size of one append that is synced: a page.
const APPEND_BYTES: usize = 4096;

/// Appends at most, so that a machine without a real disk does not fill memory.
const MAX_APPENDS: usize = 2_000;

/// Buffers that are hashed and sent.
const BUFFER_BYTES: usize = 64 * 1024;

/// Length of one round of hashing or sending.
const ROUND_NS: u64 = 10_000_000;

/// Why the machine could not be calibrated.
#[derive(Debug, Error)]
pub enum CalibrateError {
    /// The file that appends are synced to.
    #[error("append and sync in {path}")]
    Disk {
        /// Directory of the run.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The loopback connection.
    #[error("send over loopback")]
    Network {
        /// What the system said.
        source: io::Error,
    },
    /// The thread at the other end of it.
    #[error(transparent)]
    Thread {
        /// Why.
        #[from]
        source: ThreadError,
    },
}

/// Measures the machine: appends go to an unnamed file in `directory`, which has to exist. Takes about 0.8 s and blocks.
///
/// # Errors
/// [`CalibrateError`].
pub fn calibrate(directory: &Path, clock: &dyn Clock) -> Result<Calibration, CalibrateError> {
    let disk = |source| CalibrateError::Disk { path: directory.to_owned(), source };
    Ok(Calibration {
        fdatasync: FdatasyncNs { p50_ns: fdatasync(directory, clock).map_err(disk)? },
        hash: BytesPerSecond { bytes_per_second: hash(clock) },
        plain_tcp: BytesPerSecond { bytes_per_second: plain_tcp(clock)? },
    })
}

fn fdatasync(directory: &Path, clock: &dyn Clock) -> io::Result<u64> {
    let mut file = scratch_file(directory)?;
    let page = [0x5a; APPEND_BYTES];
    let mut took = Vec::new();
    let end_ns = clock.now_ns() + LOOP_TIME.as_nanos() as u64;
    loop {
        let before_ns = clock.now_ns();
        file.write_all(&page)?;
        file.sync_data()?;
        let after_ns = clock.now_ns();
        took.push(after_ns - before_ns);
        if after_ns >= end_ns || took.len() >= MAX_APPENDS {
            return Ok(median(&mut took));
        }
    }
}

/// A file without a name, so that nothing is left behind whatever happens. Where the file system has none, one that is unlinked at
/// once.
fn scratch_file(directory: &Path) -> io::Result<std::fs::File> {
    let mode = Mode::RUSR | Mode::WUSR;
    match rustix::fs::open(directory, OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC, mode) {
        Ok(file) => Ok(file.into()),
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::ISDIR) => {
            let path = directory.join(format!(".peermark-calibration-{}", std::process::id()));
            let file = std::fs::OpenOptions::new().create_new(true).write(true).open(&path)?;
            std::fs::remove_file(&path)?;
            Ok(file)
        }
        Err(error) => Err(error.into()),
    }
}

fn hash(clock: &dyn Clock) -> u64 {
    let mut buffer = vec![0x5a; BUFFER_BYTES];
    rounds(clock, || {
        let digest = Sha256::digest(&buffer);
        // The next input depends on this output: no call can be left out.
        buffer[..digest.len()].copy_from_slice(&digest);
        Ok(BUFFER_BYTES as u64)
    })
    .unwrap_or(0)
}

fn plain_tcp(clock: &dyn Clock) -> Result<u64, CalibrateError> {
    let network = |source| CalibrateError::Network { source };
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).map_err(network)?;
    let address = listener.local_addr().map_err(network)?;
    let mut sender = TcpStream::connect_timeout(&address, Duration::from_secs(1)).map_err(network)?;
    let (mut receiver, _) = listener.accept().map_err(network)?;
    sender.set_write_timeout(Some(Duration::from_secs(1))).map_err(network)?;
    let drain = std::thread::Builder::new().name("peermark-drain".into()).spawn(move || {
        let mut buffer = vec![0; BUFFER_BYTES];
        while receiver.read(&mut buffer).is_ok_and(|read| read > 0) {}
    });
    let drain = drain.map_err(ThreadError::from)?;
    let buffer = vec![0x5a; BUFFER_BYTES];
    let sent = rounds(clock, || sender.write_all(&buffer).map(|()| BUFFER_BYTES as u64)).map_err(network);
    drop(sender);
    drain.join().map_err(|_| ThreadError::Panicked)?;
    sent
}

/// Bytes per second: the median over rounds of [`ROUND_NS`] until [`LOOP_TIME`] is over.
fn rounds(clock: &dyn Clock, mut once: impl FnMut() -> io::Result<u64>) -> io::Result<u64> {
    let mut rates = Vec::new();
    let end_ns = clock.now_ns() + LOOP_TIME.as_nanos() as u64;
    loop {
        let began_ns = clock.now_ns();
        let mut bytes = 0;
        let mut now_ns = began_ns;
        while now_ns < began_ns + ROUND_NS {
            bytes += once()?;
            now_ns = clock.now_ns();
        }
        rates.push((bytes as f64 * 1e9 / (now_ns - began_ns) as f64) as u64);
        if now_ns >= end_ns {
            return Ok(median(&mut rates));
        }
    }
}

fn median(values: &mut [u64]) -> u64 {
    let middle = values.len() / 2;
    *values.select_nth_unstable(middle).1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::MonotonicClock;

    #[test]
    fn a_machine_is_calibrated_within_seconds_and_nothing_is_left() {
        let directory = tempfile::tempdir().unwrap();
        let clock = MonotonicClock::new();
        let figures = calibrate(directory.path(), &clock).unwrap();
        assert!(clock.now_ns() < 5_000_000_000, "far above what it takes, for a machine with other work");
        assert!(figures.fdatasync.p50_ns > 0);
        assert!(figures.hash.bytes_per_second > 10_000_000, "{figures:?}");
        assert!(figures.plain_tcp.bytes_per_second > 10_000_000, "{figures:?}");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_directory_that_is_not_there_is_named() {
        let error = calibrate(Path::new("/nowhere/at/all"), &MonotonicClock::new()).unwrap_err();
        assert!(
            matches!(&error, CalibrateError::Disk { path, .. } if path == Path::new("/nowhere/at/all")),
            "{error:?}"
        );
    }
}
