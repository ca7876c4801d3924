//! Which node of the site does the test: the one with the lowest number that answers.

use std::path::Path;
use std::time::Duration;

use futures::future::join_all;
use rand::Rng;

use super::{NOT_PERMITTED, PublicIpConfig, SitePeer};
use crate::client::{Access, MonitorClient, ServiceError};
use crate::icmp::{PingError, ping};
use crate::task::{Context, Stop};

/// Longest wait for a peer, and how often it is pinged.
const ANSWER: Duration = Duration::from_secs(3);
const PINGS: u64 = 3;

/// Who leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leader {
    /// This node.
    This,
    /// Another one, by its number.
    Other(u64),
}

/// Asks all peers with lower numbers at once. Who cannot be asked does not answer.
pub(super) async fn find(config: &PublicIpConfig, context: &Context) -> Result<Leader, Stop> {
    let lower = config.peers.iter().filter(|peer| peer.node < config.node);
    let asked = join_all(lower.map(async |peer| (peer.node, answers(peer, config, context).await))).await;
    let mut first = None;
    for (node, answered) in asked {
        if answered? && first.is_none_or(|first| node < first) {
            first = Some(node);
        }
    }
    Ok(first.map_or(Leader::This, Leader::Other))
}

async fn answers(peer: &SitePeer, config: &PublicIpConfig, context: &Context) -> Result<bool, Stop> {
    if let Some(url) = &peer.monitor {
        match monitor_answers(url, config.ca.as_deref()).await {
            Ok(()) | Err(ServiceError::Refused { .. } | ServiceError::Document { .. }) => return Ok(true),
            Err(error) => tracing::debug!(node = peer.node, error = error.told(), "no answer"),
        }
    }
    let Some(ip) = peer.ping else { return Ok(false) };
    for attempt in 0..PINGS {
        let mut mark = [0; 16];
        context
            .seed
            .stream_at("public-ip-validation/ping", peer.node.wrapping_mul(PINGS) + attempt)
            .fill_bytes(&mut mark);
        match ping(&*context.clock, ip, &mark, ANSWER / 3).await {
            Ok(_) => return Ok(true),
            Err(error @ PingError::NotPermitted) => return Err(NOT_PERMITTED.stop(error.to_string())),
            Err(error) => tracing::debug!(node = peer.node, %error, "no answer"),
        }
    }
    Ok(false)
}

async fn monitor_answers(url: &str, ca: Option<&Path>) -> Result<(), ServiceError> {
    let access = Access::from_files(url, None, ca, ANSWER).await?;
    MonitorClient::new(&access)?.get::<serde_json::Value>("/status").await.map(drop)
}
