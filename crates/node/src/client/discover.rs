//! Under which path a node serves the storage API. Nothing but the API itself is asked: `/health` and the like are not everywhere.

use super::{ClientError, NodeClient};

/// The two official prefixes, in the order in which they are tried.
pub(super) const PREFIXES: [&str; 2] = ["/api/archivist/v1", "/api/codex/v1"];

/// The prefix that answers like a node: with a peer id, or else with a description of itself.
pub(super) async fn find_base(client: &NodeClient) -> Result<&'static str, ClientError> {
    let mut failed = None;
    for probe in [Probe::PeerId, Probe::DebugInfo] {
        for prefix in PREFIXES {
            match answers(client, prefix, probe).await {
                Ok(()) => return Ok(prefix),
                // Who answers 404 or with something else does not serve the API there, who answers 5xx or asks for a token may; without an answer at
                // all there is nothing to find.
                Err(
                    error @ (ClientError::Status { .. }
                    | ClientError::Json { .. }
                    | ClientError::Text { .. }
                    | ClientError::BodyTooLarge { .. }),
                ) => failed = failed.or(failed_server(error)),
                Err(error) => return Err(error),
            }
        }
    }
    Err(failed.unwrap_or_else(|| ClientError::NoApi { url: client.endpoint().to_string() }))
}

#[derive(Clone, Copy)]
enum Probe {
    PeerId,
    DebugInfo,
}

async fn answers(client: &NodeClient, prefix: &'static str, probe: Probe) -> Result<(), ClientError> {
    let there = client.at(prefix.to_owned(), client.inner.options);
    match probe {
        Probe::PeerId => there.peer_id().await.map(drop),
        Probe::DebugInfo => there.debug_info().await.map(drop),
    }
}

fn failed_server(error: ClientError) -> Option<ClientError> {
    matches!(error, ClientError::Status { code: 401 | 403 | 500..=599, .. }).then_some(error)
}
