//! A pause outlives a restart: whoever holds tests back for a reason does not want them because a machine was started again.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;

use crate::desk::Pause;

/// Its file in the data directory.
const FILE: &str = "pause.json";

/// Longest file that is read.
const MAX_BYTES: u64 = 4096;

/// The pause that was ordered last.
pub(crate) struct PauseFile {
    path: PathBuf,
    pause: Mutex<Option<Pause>>,
}

impl PauseFile {
    /// The one below `data`; none where there is none that can be read.
    pub(crate) fn open(data: &Path) -> Self {
        let path = data.join(FILE);
        let pause = match read(&path) {
            Ok(pause) => pause,
            Err(error) => {
                tracing::warn!(%error, path = %path.display(), "an earlier pause cannot be read and is over");
                None
            }
        };
        Self { path, pause: Mutex::new(pause) }
    }

    /// The pause, also one that is over.
    pub(crate) fn get(&self) -> Option<Pause> {
        self.pause.lock().clone()
    }

    /// Why tests are held back.
    pub(crate) fn reason(&self) -> String {
        self.pause.lock().as_ref().map(|pause| pause.reason.clone()).unwrap_or_default()
    }

    /// Keeps another one, or none. A pause that cannot be written holds until the next restart.
    pub(crate) fn keep(&self, pause: Option<&Pause>) {
        *self.pause.lock() = pause.cloned();
        if let Err(error) = self.write(pause) {
            tracing::warn!(%error, path = %self.path.display(), "the pause does not outlive a restart");
        }
    }

    fn write(&self, pause: Option<&Pause>) -> io::Result<()> {
        match pause {
            Some(pause) => {
                let partial = self.path.with_extension("partial");
                fs::write(&partial, serde_json::to_vec(pause)?)?;
                fs::rename(&partial, &self.path)
            }
            None => match fs::remove_file(&self.path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            },
        }
    }
}

fn read(path: &Path) -> io::Result<Option<Pause>> {
    match fs::metadata(path) {
        Ok(found) if found.len() <= MAX_BYTES => Ok(Some(serde_json::from_slice(&fs::read(path)?)?)),
        Ok(_) => Err(io::Error::new(io::ErrorKind::FileTooLarge, "longer than a pause")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_there_after_a_restart_and_garbage_is_none() {
        let directory = tempfile::tempdir().unwrap();
        let pause = Pause { until_ms: 7, reason: "new disk".into() };
        PauseFile::open(directory.path()).keep(Some(&pause));
        let again = PauseFile::open(directory.path());
        assert_eq!((again.get(), again.reason()), (Some(pause), "new disk".to_owned()));
        again.keep(None);
        assert_eq!(PauseFile::open(directory.path()).get(), None);
        for garbage in ["{", &"x".repeat(5000)] {
            fs::write(directory.path().join(FILE), garbage).unwrap();
            assert_eq!(PauseFile::open(directory.path()).get(), None);
        }
    }
}
