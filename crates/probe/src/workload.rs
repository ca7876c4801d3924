//! What is done to storage nodes: uploads, cross-node fetches, cold and warm reads, dissemination.
//!
//! Every operation is one call of [`peermark_node::client`] on one payload; every byte that comes back is compared with the byte that
//! was sent. What an operation needs (content that the fetcher never had, content that nobody read yet) is drawn from a catalogue
//! of what this run uploaded, so that no operation is served by an accident of an earlier one.

mod catalog;
mod driver;
mod network;
mod sizes;
mod task;

use std::fmt;

pub(crate) use catalog::{Catalog, Content, FETCH_SPREAD, Stock};
pub(crate) use driver::{ListDriver, MixDriver, Payloads};
pub use network::{Network, NetworkError, Target};
pub use sizes::{SizeMix, SizeMixError};
pub(crate) use task::{Seeded, Task, Then, Worker};

/// One kind of operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Op {
    /// Upload new content to a random node. Ends when the node has acknowledged it.
    Upload,
    /// Fetch content through a node that does not hold it and never fetched it before.
    Fetch,
    /// Read content on the node that it was uploaded to, for the first time since.
    ReadCold,
    /// Read content on the node that it was uploaded to, again.
    ReadWarm,
    /// Fetch one dataset through every node that does not hold it, all at once.
    Disseminate,
}

impl Op {
    /// The name under which it is stored and printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Upload => "upload",
            Self::Fetch => "fetch",
            Self::ReadCold => "read_cold",
            Self::ReadWarm => "read_warm",
            Self::Disseminate => "disseminate",
        }
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
