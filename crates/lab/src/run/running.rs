//! Nodes that somebody else runs: all that is known of them is their API.

use peermark_node::client::{ClientOptions, NodeClient};
use peermark_probe::workload::{Network, NetworkError, Target};

use super::RunError;
use crate::result::{Exchange, NodeResources};

/// Clients of the nodes, with the base path of each found by asking.
pub(super) async fn connect(urls: &[String]) -> Result<Vec<NodeClient>, RunError> {
    let mut clients = Vec::with_capacity(urls.len());
    for url in urls {
        let client = NodeClient::connect(url, ClientOptions::default()).await;
        clients.push(client.map_err(|source| RunError::Url { url: url.clone(), source })?);
    }
    Ok(clients)
}

/// The nodes as targets of a load.
pub(super) fn targets(clients: &[NodeClient]) -> Result<Network, NetworkError> {
    let target = |(index, client): (usize, &NodeClient)| Target {
        index: index as u32,
        client: client.clone(),
        mode: "foreign".into(),
    };
    Network::new(clients.iter().enumerate().map(target).collect())
}

/// Nothing is claimed about how blocks travelled.
pub(super) fn exchange() -> Exchange {
    Exchange {
        blocks_sent: None,
        blocks_received: None,
        bytes_sent: None,
        bytes_received: None,
        unexplained: None,
        unpaid_wants: None,
        reason: Some("the nodes were not started by this run, so their counters are not taken for evidence".into()),
    }
}

/// What the nodes use is not to be seen from here.
pub(super) fn resources(urls: &[String]) -> Vec<NodeResources> {
    let node = |(index, url): (usize, &String)| NodeResources {
        node: index as u32,
        kind: url.clone(),
        mode: "foreign".into(),
        peer_id: None,
        private_bytes: None,
        cpu_seconds: None,
        disk_bytes: None,
        net_bytes: None,
        peers: None,
        state: "up".into(),
    };
    urls.iter().enumerate().map(node).collect()
}
