//! Looks at a storage node through its API.

use std::time::Duration;

use peermark_core::in_words;
use peermark_node::client::{ClientError, ClientOptions, NodeClient};

/// Longest time for each question.
const TIMEOUT: Duration = Duration::from_secs(5);

/// What a node says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeFacts {
    /// Where it was asked.
    pub url: String,
    /// Why it does not answer; `None` where it does.
    pub error: Option<String>,
    /// Whether it answers, but not to whoever has no token, or this one.
    pub wants_token: bool,
    /// Addresses that it announces.
    pub announced: usize,
    /// Peers in its routing table.
    pub routing_peers: usize,
    /// Bytes that it may store.
    pub quota_bytes: Option<u64>,
    /// Bytes that it stores or has promised.
    pub used_bytes: Option<u64>,
}

/// Asks a node: any that serves the Archivist or Codex API, with `token` where one is given. Ends within about 25 s. The token is sent
/// as it is: whether the way is one for it is for the caller to say.
pub async fn ask_node(url: &str, token: Option<&str>) -> NodeFacts {
    let mut facts = NodeFacts { url: url.to_owned(), ..NodeFacts::default() };
    if let Err(error) = ask(&mut facts, token).await {
        facts.wants_token = matches!(error, ClientError::Status { code: 401 | 403, .. });
        facts.error = Some(in_words(&error));
    }
    facts
}

async fn ask(facts: &mut NodeFacts, token: Option<&str>) -> Result<(), ClientError> {
    let options = ClientOptions { connect_timeout: TIMEOUT, timeout: TIMEOUT, max_connections: 1 };
    let node = NodeClient::connect_with(&facts.url, options, token).await?;
    let info = node.debug_info().await?;
    facts.announced = info.announce_addresses.len();
    facts.routing_peers = info.table.nodes.len();
    // Not every node says how full it is.
    if let Ok(space) = node.space().await {
        facts.quota_bytes = Some(space.quota_max_bytes);
        facts.used_bytes = Some(space.quota_used_bytes.saturating_add(space.quota_reserved_bytes));
    }
    Ok(())
}
