//! The network of a run while it is up.

use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, StreamExt};
use peermark_core::{EventKind, Seed};
use peermark_node::client::{ClientOptions, NodeClient};
use peermark_probe::workload::{NetworkError, Target};
use tokio::time::Instant;

use super::observe::Observer;
use super::{RunError, Show};
use crate::launch::{Blueprint, LaunchError, Launcher, Lease, LiveNode, NodeProcess, Topology, make_ready};
use crate::leftovers::NodesFile;

/// Nodes that start at the same time.
const PARALLEL: usize = 8;

/// The processes and clients of a run's nodes.
pub(super) struct RunningNetwork {
    blueprint: Blueprint,
    launcher: Launcher,
    pub(super) nodes: Vec<LiveNode>,
    processes: Vec<NodeProcess>,
    pub(super) observer: Observer,
    /// Where `nodes.json` is, once it was written.
    written: Option<(String, PathBuf)>,
}

impl RunningNetwork {
    /// Starts all nodes, the hub first.
    pub(super) async fn start(
        program: &Path,
        blueprint: Blueprint,
        lease: Lease,
        show: &Show,
    ) -> Result<Self, RunError> {
        let client = ClientOptions { timeout: Duration::from_secs(15), max_connections: 8, ..ClientOptions::default() };
        let mut launcher = Launcher::new(program.to_owned(), lease, client, &blueprint);
        let started = |node: u32| show(EventKind::NodeState { node, state: "started".into(), detail: None });
        let (hub_process, hub) = launcher.start(&blueprint, &blueprint.nodes[0]).await?;
        started(0);
        launcher.bootstrap.clone_from(&hub.addresses);
        let others = stream::iter(blueprint.nodes.iter().skip(1).map(|plan| {
            let (launcher, blueprint) = (&launcher, &blueprint);
            async move {
                let node = launcher.start(blueprint, plan).await?;
                started(plan.index);
                Ok::<_, LaunchError>(node)
            }
        }));
        let results: Vec<Result<_, LaunchError>> = others.buffer_unordered(PARALLEL).collect().await;
        let mut all = vec![(hub_process, hub)];
        let mut failure = None;
        for result in results {
            match result {
                Ok(node) => all.push(node),
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        if let Some(error) = failure {
            // Also nodes that were to outlive this process: a network that never came up is of no use.
            stop_all(all.iter_mut().map(|(process, _)| process)).await;
            return Err(error.into());
        }
        all.sort_by_key(|(_, node)| node.index);
        let (processes, nodes) = all.into_iter().unzip();
        Ok(Self { blueprint, launcher, nodes, processes, observer: Observer::default(), written: None })
    }

    /// Dials the mesh and waits until every node is ready.
    pub(super) async fn make_ready(&self, seed: Seed, show: &Show) -> Result<(), RunError> {
        let total = self.nodes.len() as u32;
        let topology = Topology::draw(total, self.blueprint.settings.dials, seed);
        let until = Instant::now() + self.blueprint.settings.ready_timeout.0;
        let ready = |node: u32| show(EventKind::NodeState { node, state: "ready".into(), detail: None });
        Ok(make_ready(&self.nodes, &topology, until, ready).await?)
    }

    /// Open connections between nodes, each counted once.
    pub(super) async fn connections(&self) -> u64 {
        let own = self.nodes.iter().filter(|node| node.kind.is_own());
        let answers = stream::iter(own.map(|node| async move {
            let open = node.client.get_json::<Vec<serde_json::Value>>("/api/v1/connections").await.unwrap_or_default();
            open.iter().filter(|connection| connection["direction"] == "outbound").count() as u64
        }));
        answers.buffer_unordered(PARALLEL).fold(0, |sum, count| std::future::ready(sum + count)).await
    }

    /// The nodes as targets of a load.
    pub(super) fn targets(&self) -> Result<peermark_probe::workload::Network, NetworkError> {
        let target = |node: &LiveNode| Target {
            index: node.index,
            client: (*node.client).clone(),
            mode: node.kind.mode().into(),
        };
        peermark_probe::workload::Network::new(self.nodes.iter().map(target).collect())
    }

    /// Writes `nodes.json`.
    pub(super) fn write_nodes(&mut self, run_id: &str, run_dir: &Path) -> std::io::Result<()> {
        self.written = Some((run_id.to_owned(), run_dir.to_owned()));
        NodesFile::new(run_id, &self.nodes).write(run_dir)
    }

    /// Looks at all nodes, and notices those that ended on their own.
    pub(super) async fn look(&mut self) -> Vec<u32> {
        let mut gone = Vec::new();
        for (process, node) in self.processes.iter_mut().zip(&self.nodes) {
            if process.ended().is_some() && self.observer.is_up(node.index) {
                self.observer.exited(node.index);
                gone.push(node.index);
            }
        }
        self.observer.look(&self.nodes).await;
        gone
    }

    pub(super) async fn begin_observing(&mut self) {
        self.observer.begin(&self.nodes).await;
    }

    pub(super) async fn settle(&mut self) {
        self.observer.settle(&self.nodes).await;
    }

    /// Nodes whose processes run.
    pub(super) fn up(&mut self) -> u32 {
        self.processes.iter_mut().filter_map(|process| process.ended().is_none().then_some(())).count() as u32
    }

    pub(super) async fn kill(&mut self, node: u32) -> std::io::Result<ExitStatus> {
        let missing = || std::io::Error::new(std::io::ErrorKind::NotFound, "no such node");
        let status = self.processes.get_mut(node as usize).ok_or_else(missing)?.kill().await?;
        self.observer.killed(node);
        Ok(status)
    }

    pub(super) async fn answers(&self, node: u32) -> bool {
        match self.nodes.get(node as usize) {
            Some(node) => node.client.peer_id().await.is_ok(),
            None => false,
        }
    }

    /// Starts a killed node again: same data, same identity, same API port.
    pub(super) async fn restart(&mut self, node: u32) -> Result<(), LaunchError> {
        let index = node as usize;
        let mut plan = self.blueprint.nodes[index].clone();
        plan.api_port = Some(self.nodes[index].client.endpoint().port());
        let (process, live) = self.launcher.start(&self.blueprint, &plan).await?;
        self.observer.restarted(node, live.pid);
        self.processes[index] = process;
        self.nodes[index] = live;
        if let Some((run_id, directory)) = &self.written
            && let Err(error) = NodesFile::new(run_id, &self.nodes).write(directory)
        {
            tracing::warn!(%error, "nodes.json does not know the restarted node");
        }
        Ok(())
    }

    /// Stops every process and waits until it is gone.
    pub(super) async fn stop(&mut self) {
        stop_all(self.processes.iter_mut()).await;
        for plan in &self.blueprint.nodes {
            // Blocks of a finished run are of no use; its log and figures stay.
            drop(std::fs::remove_dir_all(&plan.data));
        }
    }
}

/// Stops processes in order, all at the same time.
async fn stop_all(processes: impl Iterator<Item = &mut NodeProcess>) {
    let stops = processes.map(|process| async move {
        if let Err(error) = process.stop().await {
            tracing::warn!(pid = process.pid(), %error, "a node did not stop in order");
        }
    });
    futures::future::join_all(stops).await;
}

/// A ready network without load, for those who bring their own.
pub struct BareNetwork {
    network: RunningNetwork,
}

impl BareNetwork {
    /// Starts all nodes of a blueprint and waits until they are ready.
    ///
    /// # Errors
    /// [`RunError`]; no process is left then.
    pub async fn start(program: &Path, blueprint: Blueprint, lease: Lease, seed: Seed) -> Result<Self, RunError> {
        let quiet: Show = Arc::new(|_| ());
        let network = RunningNetwork::start(program, blueprint, lease, &quiet).await?;
        network.make_ready(seed, &quiet).await?;
        Ok(Self { network })
    }

    /// Clients of the nodes, in the order of their numbers.
    pub fn clients(&self) -> Vec<Arc<NodeClient>> {
        self.network.nodes.iter().map(|node| node.client.clone()).collect()
    }

    /// Processes of the nodes.
    pub fn pids(&self) -> Vec<u32> {
        self.network.nodes.iter().map(|node| node.pid).collect()
    }

    /// Open connections between the nodes, each counted once.
    pub async fn connections(&self) -> u64 {
        self.network.connections().await
    }

    /// Stops every process and waits until it is gone.
    pub async fn stop(mut self) {
        self.network.stop().await;
    }
}
