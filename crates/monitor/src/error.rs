//! Why a monitor does not start.

use std::io;
use std::path::PathBuf;

use peermark_http::BindError;
use peermark_node::NodeError;
use peermark_probe::agenda::AgendaError;
use thiserror::Error;

use crate::config::ConfigError;
use crate::history::HistoryError;

/// Why a monitor does not start.
#[derive(Debug, Error)]
pub enum MonitorError {
    /// A setting.
    #[error(transparent)]
    Setting(#[from] ConfigError),
    /// The tasks make no agenda.
    #[error(transparent)]
    Agenda(#[from] AgendaError),
    /// The directory of its data.
    #[error("{path}: {source}")]
    Data {
        /// The directory or file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The node's key.
    #[error(transparent)]
    Key(#[from] NodeError),
    /// Its history.
    #[error("the history of the self-tests cannot be used")]
    History(#[from] HistoryError),
    /// Its API.
    #[error(transparent)]
    Listen(#[from] BindError),
}
