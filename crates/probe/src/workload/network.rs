//! The nodes that are measured.

use peermark_node::client::{ClientError, ClientOptions, NodeClient};
use thiserror::Error;

/// One node.
#[derive(Clone, Debug)]
pub struct Target {
    /// Number of the node in its run.
    pub index: u32,
    /// Its client.
    pub client: NodeClient,
    /// Its mode, as the run names it: `altruistic`, `marketplace`, `foreign`.
    pub mode: String,
}

/// Nodes, in the order of their numbers.
#[derive(Clone, Debug)]
pub struct Network {
    targets: Vec<Target>,
}

/// Why nodes are no network.
#[derive(Debug, Error)]
pub enum NetworkError {
    /// There is none.
    #[error("no node to measure")]
    Empty,
    /// One of them does not answer as a node does.
    #[error("node {url}")]
    Node {
        /// Its URL as given.
        url: String,
        /// Why.
        source: ClientError,
    },
}

impl Network {
    /// A network of known nodes.
    ///
    /// # Errors
    /// [`NetworkError::Empty`].
    pub fn new(targets: Vec<Target>) -> Result<Self, NetworkError> {
        if targets.is_empty() { Err(NetworkError::Empty) } else { Ok(Self { targets }) }
    }

    /// The nodes at `urls`, whoever runs them: all that is asked of them is the storage API, whose base path is found.
    ///
    /// # Errors
    /// [`NetworkError`], naming the first node that does not answer.
    pub async fn connect(urls: &[String], options: ClientOptions) -> Result<Self, NetworkError> {
        let mut targets = Vec::with_capacity(urls.len());
        for (index, url) in (0..).zip(urls) {
            let client = NodeClient::connect(url, options)
                .await
                .map_err(|source| NetworkError::Node { url: url.clone(), source })?;
            targets.push(Target { index, client, mode: "foreign".to_owned() });
        }
        Self::new(targets)
    }

    /// The nodes.
    pub fn targets(&self) -> &[Target] {
        &self.targets
    }

    /// How many nodes.
    pub fn len(&self) -> usize {
        self.targets.len()
    }

    /// Never: a network has a node.
    pub fn is_empty(&self) -> bool {
        self.targets.is_empty()
    }

    /// The same nodes with other limits and connections of their own, for another runtime.
    pub(crate) fn fork(&self, options: ClientOptions) -> Self {
        let fork = |target: &Target| Target { client: target.client.fork(options), ..target.clone() };
        Self { targets: self.targets.iter().map(fork).collect() }
    }
}
