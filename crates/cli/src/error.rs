//! What the user can run into, and the documented exit code of each.

use std::path::PathBuf;
use std::process::ExitCode;

use peermark_node::NodeError;
use thiserror::Error;

/// The exit codes besides 0, clap's 2 for wrong usage and Rust's for a bug. Documented in the README and printed by `peermark --help`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// The configuration cannot be used.
    Configuration = 64,
    /// A scenario or other input cannot be used.
    BadData = 65,
    /// Something that is needed is not there.
    Unavailable = 69,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Everything that is the user's world and not a bug.
#[derive(Debug, Error)]
pub(crate) enum ExpectedError {
    /// A configuration file, environment variable or flag.
    #[error("configuration: {0}")]
    Configuration(String),
    /// A node did not start.
    #[error("node: {0}")]
    Node(#[from] NodeError),
    /// A file that was named cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The system refuses what every process needs.
    #[error("cannot start: {0}")]
    System(std::io::Error),
}

impl ExpectedError {
    /// Every error has its code; a new variant cannot forget one.
    pub(crate) fn exit_code(&self) -> Exit {
        match self {
            Self::Configuration(_) => Exit::Configuration,
            Self::Node(error) => match error {
                NodeError::Setting { .. } => Exit::Configuration,
                NodeError::Identity { .. } => Exit::BadData,
                NodeError::Data { .. } | NodeError::Blocks(_) | NodeError::Listen { .. } | NodeError::Http(_) => {
                    Exit::Unavailable
                }
            },
            Self::Read { .. } => Exit::Unavailable,
            Self::System(_) => Exit::Unavailable,
        }
    }
}
