//! Why a node does not start or stops.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::blocks::BlocksError;

/// An operational error of a node.
#[derive(Debug, Error)]
pub enum NodeError {
    /// The data directory cannot be used.
    #[error("cannot use data directory {path}: {source}")]
    Data {
        /// The directory or a file in it.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The identity file holds no key.
    #[error("identity file {path} holds no ed25519 key: {reason}")]
    Identity {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The block store cannot be opened.
    #[error(transparent)]
    Blocks(#[from] BlocksError),
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {reason}")]
    Listen {
        /// The address.
        address: String,
        /// What the system said.
        reason: String,
    },
    /// The API would be open to everybody.
    #[error(transparent)]
    Http(#[from] peermark_http::BindError),
    /// A setting cannot be used.
    #[error("setting {name}: {reason}")]
    Setting {
        /// Its name.
        name: &'static str,
        /// Why not.
        reason: String,
    },
}
