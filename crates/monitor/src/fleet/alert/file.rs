//! What is raised, on disk: a small document that is replaced as a whole.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::AlertNotice;
use crate::fleet::document::RaisedAlert;

pub(super) const SCHEMA: &str = "peermark.monitor-alerts/1";

/// Why what is raised cannot be kept.
#[derive(Debug, Error)]
pub enum AlertFileError {
    /// The system refused.
    #[error("cannot keep alerts in {path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is of somebody else.
    #[error("{path} holds no alerts of a fleet: move it away to begin anew")]
    Document {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct AlertFile {
    pub(super) schema: String,
    pub(super) watches: Vec<KeptWatch>,
    /// Decided, and perhaps not sent.
    pub(super) owed: Vec<AlertNotice>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct KeptWatch {
    pub(super) alert: String,
    pub(super) node: String,
    pub(super) task: Option<String>,
    pub(super) raised: Option<RaisedAlert>,
    pub(super) raises: u64,
}

impl AlertFile {
    pub(super) fn read(path: &Path) -> Result<Option<Self>, AlertFileError> {
        match std::fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|source| AlertFileError::Document { path: path.to_owned(), source }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(AlertFileError::Io { path: path.to_owned(), source }),
        }
    }

    /// Replaces the file: whoever reads it, also after a loss of power, finds the old one or the new one.
    pub(super) fn write(&self, path: &Path) -> Result<(), AlertFileError> {
        let replaced = || {
            let mut new = path.as_os_str().to_owned();
            new.push(".new");
            let new = PathBuf::from(new);
            let mut file = File::create(&new)?;
            file.write_all(&serde_json::to_vec(self)?)?;
            file.sync_all()?;
            std::fs::rename(&new, path)?;
            let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            File::open(directory)?.sync_all()
        };
        replaced().map_err(|source: io::Error| AlertFileError::Io { path: path.to_owned(), source })
    }
}
