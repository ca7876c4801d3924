//! Starting a network of node processes, and making sure that none is left.
//!
//! Every node of ours holds the reading end of a pipe whose writing end is this process: when this process ends, however it ends,
//! the pipe closes and the node stops. A foreign program knows nothing of that, so a guard (this product's own binary) runs it
//! and kills it when the pipe closes. Networks that are to outlive their controller (`--keep`) are started without the pipe and
//! are found again by [`crate::leftovers`].

mod foreign;
mod limits;
mod mesh;
mod plan;
mod process;
mod ready;
mod spawn;

use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::Arc;

use peermark_node::client::{ClientError, NodeClient};
use thiserror::Error;

pub use mesh::Topology;
pub use plan::{Blueprint, NodeKind, NodePlan};
pub(crate) use process::tail;
pub use process::{NodeProcess, Started};
pub use ready::{ReadyError, make_ready};
pub use spawn::{Launcher, Lease};

/// Why a network did not come up.
#[derive(Debug, Error)]
pub enum LaunchError {
    /// A directory or file of the run cannot be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// The path.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A program cannot be started.
    #[error("cannot start node {node} ({program}): {source}")]
    Spawn {
        /// Number of the node.
        node: u32,
        /// The program.
        program: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A node ended before it answered.
    #[error("node {node} ended at its start ({status}); the end of its log {log}:\n{tail}")]
    Ended {
        /// Number of the node.
        node: u32,
        /// How it ended.
        status: ExitStatus,
        /// Its log.
        log: PathBuf,
        /// The last lines.
        tail: String,
    },
    /// A node did not answer in time.
    #[error("node {node} did not answer within {seconds} s; see {log}")]
    Silent {
        /// Number of the node.
        node: u32,
        /// How long it was waited for.
        seconds: u64,
        /// Its log.
        log: PathBuf,
    },
    /// The first line of a node is not what it should be.
    #[error("node {node} announced itself with {line:?}")]
    Announcement {
        /// Number of the node.
        node: u32,
        /// What it said.
        line: String,
    },
    /// A node's API failed while the network was set up.
    #[error("node {node}: {source}")]
    Api {
        /// Number of the node.
        node: u32,
        /// What failed.
        source: ClientError,
    },
    /// No free port for a foreign node.
    #[error("no free port for node {node}: {source}")]
    Port {
        /// Number of the node.
        node: u32,
        /// What the system said.
        source: std::io::Error,
    },
    /// A control group cannot be made.
    #[error("limits for nodes need a writable control group: {0}")]
    ControlGroup(String),
}

/// A node that answers.
#[derive(Clone, Debug)]
pub struct LiveNode {
    /// Its number.
    pub index: u32,
    /// What it is.
    pub kind: NodeKind,
    /// URL of its API with the base path, such as `http://127.0.0.1:4001/api/archivist/v1`.
    pub api: String,
    /// Its peer id, where it tells one.
    pub peer_id: Option<String>,
    /// libp2p addresses with peer id, where it tells them.
    pub addresses: Vec<String>,
    /// Its process.
    pub pid: u32,
    /// Its data directory.
    pub data: PathBuf,
    /// Its log.
    pub log: PathBuf,
    /// A client for its API.
    pub client: Arc<NodeClient>,
}
