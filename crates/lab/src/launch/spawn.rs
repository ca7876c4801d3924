//! Starts nodes, waits until each answers, and holds them until they are stopped.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use peermark_node::client::{ClientOptions, NodeClient};
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::Command;

use super::foreign;
use super::limits::NodeLimits;
use super::plan::{Blueprint, NodeKind, NodePlan};
use super::process::{NodeProcess, Started, tail};
use super::{LaunchError, LiveNode};
use crate::scenario::{Store, Transport};

/// How long a node may take from its start to its first answer.
pub(super) const START_PATIENCE: Duration = Duration::from_secs(30);

/// Longest announcement that is read.
const MAX_LINE_BYTES: u64 = 16 << 10;

/// Whether nodes outlive their controller.
pub use super::process::Started as Lease;

/// Starts the nodes of one run.
#[derive(Debug)]
pub struct Launcher {
    /// This product's binary.
    pub program: PathBuf,
    /// Whether nodes outlive this process.
    pub lease: Started,
    /// Where nodes join; empty for the hub.
    pub bootstrap: Vec<String>,
    /// Options of the clients that drive the nodes.
    pub client: ClientOptions,
    /// What each node may use.
    limits: NodeLimits,
}

/// The line that a node of ours prints when it answers.
#[derive(Debug, Deserialize)]
pub(crate) struct Announcement {
    pub(crate) api: String,
    pub(crate) peer_id: String,
    pub(crate) addresses: Vec<String>,
}

impl Launcher {
    /// A launcher for the nodes of a blueprint. The first node that it starts is the hub.
    pub fn new(program: PathBuf, lease: Started, client: ClientOptions, blueprint: &Blueprint) -> Self {
        let settings = &blueprint.settings;
        let limits = NodeLimits { memory_bytes: settings.memory_limit.map(|limit| limit.0), cores: settings.cpu_limit };
        Self { program, lease, bootstrap: Vec::new(), client, limits }
    }

    /// A launcher for nodes without limits that end with this process.
    pub(crate) fn unlimited(program: PathBuf, client: ClientOptions) -> Self {
        let limits = NodeLimits { memory_bytes: None, cores: None };
        Self { program, lease: Started::Leased, bootstrap: Vec::new(), client, limits }
    }

    /// Starts a node and waits until it answers.
    ///
    /// # Errors
    /// [`LaunchError`], with the end of the node's log where it ended.
    pub async fn start(&self, blueprint: &Blueprint, plan: &NodePlan) -> Result<(NodeProcess, LiveNode), LaunchError> {
        let write = |source| LaunchError::Write { path: plan.data.clone(), source };
        std::fs::create_dir_all(&plan.data).map_err(write)?;
        match &plan.foreign {
            None => self.start_own(blueprint, plan).await,
            Some(template) => foreign::start(self, template, plan).await,
        }
    }

    async fn start_own(&self, blueprint: &Blueprint, plan: &NodePlan) -> Result<(NodeProcess, LiveNode), LaunchError> {
        let command = self.own_command(blueprint, plan);
        let (process, announcement) = self.announced(plan.index, command, &plan.log).await?;
        let api = format!("{}/api/archivist/v1", announcement.api);
        let client = self.client(plan.index, &api)?;
        let live = LiveNode {
            index: plan.index,
            kind: plan.kind.clone(),
            api,
            peer_id: Some(announcement.peer_id),
            addresses: announcement.addresses,
            pid: process.pid(),
            data: plan.data.clone(),
            log: plan.log.clone(),
            client,
        };
        Ok((process, live))
    }

    /// Starts a program of ours and waits for the line that it announces itself with.
    pub(crate) async fn announced(
        &self,
        node: u32,
        command: Command,
        log: &Path,
    ) -> Result<(NodeProcess, Announcement), LaunchError> {
        let mut process = NodeProcess::start(node, command, log, self.lease, true)?;
        self.limit(&mut process, node)?;
        let line = tokio::time::timeout(START_PATIENCE, first_line(&mut process)).await;
        let line = match line {
            Ok(line) if !line.is_empty() => line,
            Ok(_) => return Err(self.ended(&mut process, node, log).await),
            Err(_) => return Err(LaunchError::Silent { node, seconds: START_PATIENCE.as_secs(), log: log.to_owned() }),
        };
        let announcement =
            serde_json::from_str(&line).map_err(|_| LaunchError::Announcement { node, line: line.clone() })?;
        Ok((process, announcement))
    }

    pub(crate) fn client(&self, node: u32, api: &str) -> Result<Arc<NodeClient>, LaunchError> {
        let client = NodeClient::new(api, self.client).map_err(|source| LaunchError::Api { node, source })?;
        Ok(Arc::new(client))
    }

    /// Applies the scenario's limits.
    pub(super) fn limit(&self, process: &mut NodeProcess, node: u32) -> Result<(), LaunchError> {
        let name = format!("peermark-{}-{:03}-{}", std::process::id(), node, process.pid());
        process.limit(&name, self.limits)
    }

    /// The error of a process that ended before it answered.
    pub(super) async fn ended(&self, process: &mut NodeProcess, node: u32, log: &Path) -> LaunchError {
        match process.stop().await {
            Ok(status) => LaunchError::Ended { node, status, log: log.to_owned(), tail: tail(log) },
            Err(source) => LaunchError::Spawn { node, program: self.program.display().to_string(), source },
        }
    }

    fn own_command(&self, blueprint: &Blueprint, plan: &NodePlan) -> Command {
        let settings = &blueprint.settings;
        let mut command = Command::new(&self.program);
        let listen = match settings.transport {
            Transport::Tcp => "/ip4/127.0.0.1/tcp/0",
            Transport::Quic => "/ip4/127.0.0.1/udp/0/quic-v1",
        };
        let store = match settings.store {
            Store::Disk => "disk",
            Store::Memory => "memory",
        };
        command.args(["node", "run", "--data"]).arg(&plan.data);
        command.args(["--api", &format!("127.0.0.1:{}", plan.api_port.unwrap_or(0))]);
        command.args(["--listen", listen, "--store", store, "--mode", plan.kind.mode()]);
        command.args(["--quota", &settings.quota.0.to_string(), "--cache", &settings.cache.0.to_string()]);
        command.args(["--block-size", &settings.block_size.0.to_string()]);
        command.args(["--dht-protocol", &blueprint.dht_protocol]);
        command.args(["--dht-replication", &settings.dht_replication.to_string()]);
        // What a node under load can afford: its self-tests are part of the report.
        command.args(["--monitor", "light"]);
        for address in &self.bootstrap {
            command.args(["--bootstrap", address]);
        }
        if self.lease == Started::Leased {
            command.arg("--exit-with-stdin");
        }
        // A run depends on its scenario alone, not on what the user's shell or directory configures for other nodes.
        command.env_clear();
        command.current_dir(plan.data.parent().unwrap_or(Path::new(".")));
        command
    }
}

/// The first line of a process, empty when it ended before. The rest is read and dropped, so that the pipe never fills.
async fn first_line(process: &mut NodeProcess) -> String {
    let Some(stdout) = process.stdout() else { return String::new() };
    let mut reader = BufReader::new(stdout);
    let mut line = String::new();
    if (&mut reader).take(MAX_LINE_BYTES).read_line(&mut line).await.is_err() {
        line.clear();
    }
    tokio::spawn(async move { tokio::io::copy(&mut reader, &mut tokio::io::sink()).await });
    line.trim().to_owned()
}

impl NodeKind {
    /// Whether a node of this kind can be asked for its counters.
    pub fn tells_counters(&self) -> bool {
        self.is_own()
    }
}
