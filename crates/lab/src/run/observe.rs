//! What nodes count and use, collected while the load runs, so that a node that dies has not taken its figures with it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, StreamExt};
use peermark_node::client::NodeClient;
use peermark_probe::host::ProcessSampler;
use serde::Deserialize;

use crate::launch::LiveNode;
use crate::result::{Exchange, NodeResources};

/// Nodes that are asked at the same time.
const PARALLEL: usize = 8;

/// How long after the load counters may still change, because blocks are on their way.
const SETTLE: Duration = Duration::from_secs(2);

/// A node's own counters of block exchange.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub(super) struct Counters {
    blocks_sent: u64,
    blocks_received: u64,
    bytes_sent: u64,
    bytes_received: u64,
    unpaid_wants: u64,
    wrong_blocks: u64,
    spurious_blocks: u64,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
struct NodeUse {
    net_received_bytes: u64,
    net_sent_bytes: u64,
}

#[derive(Deserialize)]
struct NodePeers {
    peers: u64,
}

/// What is known of one node.
#[derive(Default)]
struct Seen {
    /// Counters when the load began, or 0 for an incarnation that began during it.
    first: Counters,
    last: Counters,
    /// Of incarnations that ended.
    ended: Counters,
    lost_an_incarnation: bool,
    process: Option<ProcessSampler>,
    saw_process: bool,
    cpu_before: f64,
    cpu: f64,
    cpu_ended: f64,
    private_bytes: Option<u64>,
    net_before: u64,
    net_ended: u64,
    net: Option<u64>,
    peers: Option<u64>,
    state: &'static str,
}

/// Collects from all nodes of a run.
#[derive(Default)]
pub(super) struct Observer {
    nodes: HashMap<u32, Seen>,
}

impl Counters {
    fn minus(self, other: Self) -> Self {
        let less = |a: u64, b: u64| a.saturating_sub(b);
        Self {
            blocks_sent: less(self.blocks_sent, other.blocks_sent),
            blocks_received: less(self.blocks_received, other.blocks_received),
            bytes_sent: less(self.bytes_sent, other.bytes_sent),
            bytes_received: less(self.bytes_received, other.bytes_received),
            unpaid_wants: less(self.unpaid_wants, other.unpaid_wants),
            wrong_blocks: less(self.wrong_blocks, other.wrong_blocks),
            spurious_blocks: less(self.spurious_blocks, other.spurious_blocks),
        }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            blocks_sent: self.blocks_sent + other.blocks_sent,
            blocks_received: self.blocks_received + other.blocks_received,
            bytes_sent: self.bytes_sent + other.bytes_sent,
            bytes_received: self.bytes_received + other.bytes_received,
            unpaid_wants: self.unpaid_wants + other.unpaid_wants,
            wrong_blocks: self.wrong_blocks + other.wrong_blocks,
            spurious_blocks: self.spurious_blocks + other.spurious_blocks,
        }
    }
}

impl Observer {
    /// Notes where every node stands before the load.
    pub(super) async fn begin(&mut self, nodes: &[LiveNode]) {
        for node in nodes {
            let process = ProcessSampler::start(node.pid);
            let cpu = process.as_ref().and_then(ProcessSampler::look).map_or(0.0, |usage| usage.cpu_seconds);
            let seen = Seen { process, cpu_before: cpu, cpu, state: "up", ..Seen::default() };
            self.nodes.insert(node.index, seen);
        }
        for (index, counters, usage, _) in ask(nodes).await {
            let Some(seen) = self.nodes.get_mut(&index) else { continue };
            seen.first = counters.unwrap_or_default();
            seen.last = seen.first;
            seen.net_before = usage.map_or(0, |usage| usage.net_received_bytes + usage.net_sent_bytes);
        }
    }

    /// Looks at every node once. Nodes that do not answer keep what was seen before.
    pub(super) async fn look(&mut self, nodes: &[LiveNode]) {
        for (index, counters, usage, peers) in ask(nodes).await {
            let Some(seen) = self.nodes.get_mut(&index) else { continue };
            seen.last = counters.unwrap_or(seen.last);
            seen.peers = peers.or(seen.peers);
            let sum = |usage: NodeUse| usage.net_received_bytes + usage.net_sent_bytes;
            let net = usage.map(|usage| seen.net_ended + sum(usage).saturating_sub(seen.net_before));
            seen.net = net.or(seen.net);
        }
        self.nodes.values_mut().for_each(Seen::look_at_process);
    }

    /// The process of a node was killed. What it had counted since the last look is lost.
    pub(super) fn killed(&mut self, node: u32) {
        let Some(seen) = self.nodes.get_mut(&node) else { return };
        seen.ended = seen.ended.plus(seen.last.minus(seen.first));
        (seen.first, seen.last) = (Counters::default(), Counters::default());
        seen.lost_an_incarnation = true;
        seen.cpu_ended += seen.cpu - seen.cpu_before;
        (seen.cpu, seen.cpu_before) = (0.0, 0.0);
        seen.process = None;
        seen.state = "killed";
    }

    /// A node runs again under another process.
    pub(super) fn restarted(&mut self, node: u32, pid: u32) {
        let Some(seen) = self.nodes.get_mut(&node) else { return };
        seen.process = ProcessSampler::start(pid);
        (seen.net_ended, seen.net_before) = (seen.net.unwrap_or(0), 0);
        seen.state = "up";
    }

    /// Nodes that ended on their own.
    pub(super) fn exited_count(&self) -> u32 {
        self.nodes.values().filter(|seen| seen.state == "exited").count() as u32
    }

    /// Whether a node is thought to run.
    pub(super) fn is_up(&self, node: u32) -> bool {
        self.nodes.get(&node).is_some_and(|seen| seen.state == "up")
    }

    /// A node ended on its own.
    pub(super) fn exited(&mut self, node: u32) {
        self.killed(node);
        if let Some(seen) = self.nodes.get_mut(&node) {
            seen.state = "exited";
        }
    }

    /// Looks until the counters of both sides agree or stand still, at most [`SETTLE`].
    pub(super) async fn settle(&mut self, nodes: &[LiveNode]) {
        let until = tokio::time::Instant::now() + SETTLE;
        let mut before = None;
        while tokio::time::Instant::now() < until {
            self.look(nodes).await;
            let total = self.total();
            if total.blocks_sent == total.blocks_received || before == Some(total) {
                return;
            }
            before = Some(total);
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    fn total(&self) -> Counters {
        self.nodes
            .values()
            .fold(Counters::default(), |sum, seen| sum.plus(seen.ended).plus(seen.last.minus(seen.first)))
    }

    /// Blocks exchanged during the load. `fetched_blocks` is how many data blocks the verified cross-node fetches consist of.
    pub(super) fn exchange(&self, nodes: &[LiveNode], fetched_blocks: u64) -> Exchange {
        let silent: Vec<&LiveNode> = nodes.iter().filter(|node| !node.kind.tells_counters()).collect();
        if let Some(first) = silent.first() {
            let reason = format!(
                "{} foreign nodes show no counters of block exchange (first: node {})",
                silent.len(),
                first.index
            );
            return Exchange {
                blocks_sent: None,
                blocks_received: None,
                bytes_sent: None,
                bytes_received: None,
                unexplained: None,
                unpaid_wants: None,
                reason: Some(reason),
            };
        }
        let total = self.total();
        // A block that came late or twice was sent and arrived; its receiver counts it apart.
        let arrived = total.blocks_received + total.spurious_blocks + total.wrong_blocks;
        let apart = total.blocks_sent.abs_diff(arrived);
        let missing = fetched_blocks.saturating_sub(total.blocks_received);
        Exchange {
            blocks_sent: Some(total.blocks_sent),
            blocks_received: Some(total.blocks_received),
            bytes_sent: Some(total.bytes_sent),
            bytes_received: Some(total.bytes_received),
            unexplained: Some(apart + missing),
            unpaid_wants: Some(total.unpaid_wants),
            reason: self.exchange_reason(apart, missing, total),
        }
    }

    fn exchange_reason(&self, apart: u64, missing: u64, total: Counters) -> Option<String> {
        let mut parts = Vec::new();
        let mut lost: Vec<u32> =
            self.nodes.iter().filter(|(_, seen)| seen.lost_an_incarnation).map(|(index, _)| *index).collect();
        lost.sort_unstable();
        if apart > 0 {
            parts.push(format!("{apart} blocks were counted on one side only"));
        }
        if apart > 0 && !lost.is_empty() {
            parts.push(format!("nodes {lost:?} ended during the run and took their last counts with them"));
        }
        if missing > 0 {
            parts.push(format!("{missing} fetched blocks are explained by no Bitswap message"));
        }
        if total.spurious_blocks > 0 {
            parts.push(format!("{} blocks arrived late or twice", total.spurious_blocks));
        }
        if total.wrong_blocks > 0 {
            parts.push(format!("{} blocks had a wrong hash", total.wrong_blocks));
        }
        (!parts.is_empty()).then(|| parts.join("; "))
    }

    /// What each node used during the load.
    pub(super) fn resources(&self, nodes: &[LiveNode]) -> Vec<NodeResources> {
        let resources = nodes.iter().map(|node| {
            let seen = self.nodes.get(&node.index);
            NodeResources {
                node: node.index,
                kind: node.kind.program().to_owned(),
                mode: node.kind.mode().to_owned(),
                peer_id: node.peer_id.clone(),
                private_bytes: seen.and_then(|seen| seen.private_bytes),
                cpu_seconds: seen
                    .filter(|seen| seen.saw_process)
                    .map(|seen| seen.cpu_ended + seen.cpu - seen.cpu_before),
                disk_bytes: Some(disk_bytes(&node.data)),
                net_bytes: seen.and_then(|seen| seen.net),
                peers: seen.and_then(|seen| seen.peers),
                state: seen.map_or("up", |seen| seen.state).to_owned(),
            }
        });
        resources.collect()
    }
}

impl Seen {
    fn look_at_process(&mut self) {
        let Some(usage) = self.process.as_ref().and_then(ProcessSampler::look) else { return };
        self.saw_process = true;
        self.cpu = usage.cpu_seconds;
        self.private_bytes = self.private_bytes.max(usage.private_bytes);
    }
}

type Answer = (u32, Option<Counters>, Option<NodeUse>, Option<u64>);

async fn ask(nodes: &[LiveNode]) -> Vec<Answer> {
    let own = nodes.iter().filter(|node| node.kind.tells_counters());
    let asked: Vec<_> = own.map(|node| ask_node(node.index, node.client.clone())).collect();
    stream::iter(asked).buffer_unordered(PARALLEL).collect().await
}

/// A node that does not answer is a node that is down; the load counts what that costs.
async fn ask_node(index: u32, client: Arc<NodeClient>) -> Answer {
    let counters = client.get_json::<Counters>("/api/v1/exchange").await.ok();
    let usage = client.get_json::<NodeUse>("/api/v1/resources").await.ok();
    let peers = client.get_json::<NodePeers>("/api/v1/node").await.ok();
    (index, counters, usage, peers.map(|answer| answer.peers))
}

/// Bytes of the files below a directory.
fn disk_bytes(directory: &std::path::Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(directory) else { return 0 };
    let size = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => disk_bytes(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    };
    entries.flatten().map(size).sum()
}
