//! The processes of a run: started in order, ready, stopped, and gone with this process however it ends.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, StreamExt};
use http::{HeaderMap, Method};
use peermark_core::{Clock, EventKind};
use peermark_dht::operation::Variant;
use peermark_node::client::{Call, ClientOptions};
use peermark_store::dht::{DhtStore, LiveNode as Member};
use tokio::process::Command;
use tokio::time::Instant;

use super::plan::{ALPHA, K, MeasurerPlan};
use super::result::{Measurer, NetworkFacts};
use super::{DhtError, DhtOptions, OPERATION_TIMEOUT};
use crate::launch::{LaunchError, Launcher, LiveNode, NodeKind, NodeProcess};
use crate::leftovers::NodesFile;
use crate::run::{RecordError, Show};

/// Nodes that start or are asked at the same time.
const PARALLEL: usize = 8;

/// How long nodes that answer may take until they are ready.
const READY_PATIENCE: Duration = Duration::from_secs(60);

const POLL: Duration = Duration::from_millis(100);

/// What all nodes of a run have in common.
#[derive(Clone, Debug)]
pub(super) struct Membership {
    /// Name of the DHT protocol: different for every run, so that no lab ever joins another network.
    pub(super) protocol: String,
    /// The store, by its absolute path.
    pub(super) store: PathBuf,
}

/// The nodes while they run.
pub(super) struct DhtNetwork {
    launcher: Launcher,
    membership: Membership,
    nodes_dir: PathBuf,
    measurers: Vec<MeasurerPlan>,
    /// Servers first, in the order of their numbers.
    nodes: Vec<LiveNode>,
    processes: Vec<NodeProcess>,
}

impl DhtNetwork {
    /// Starts the servers wave by wave, then the nodes that measure.
    pub(super) async fn start(
        options: &DhtOptions,
        directory: &Path,
        membership: Membership,
        show: &Show,
    ) -> Result<Self, DhtError> {
        let client = ClientOptions { timeout: Duration::from_secs(5), max_connections: 2, ..ClientOptions::default() };
        let mut network = Self {
            launcher: Launcher::unlimited(options.program.clone(), client),
            membership,
            nodes_dir: directory.join("nodes"),
            measurers: options.plan.measurers.clone(),
            nodes: Vec::new(),
            processes: Vec::new(),
        };
        for wave in options.plan.waves() {
            let starts = wave.iter().map(|plan| (plan.node, NodeKind::DhtServer, plan.joins.as_slice(), None));
            network.start_all(starts.collect(), show).await?;
        }
        let starts = options.plan.measurers.iter().map(|plan| {
            let (fleet, region) = (plan.fleet.as_str().to_owned(), plan.region.to_owned());
            (plan.node, NodeKind::DhtMeasurer { fleet, region }, plan.joins.as_slice(), Some(plan))
        });
        network.start_all(starts.collect(), show).await?;
        Ok(network)
    }

    /// Starts nodes side by side. One that does not start takes the others with it: processes that are dropped are killed.
    async fn start_all(
        &mut self,
        starts: Vec<(u32, NodeKind, &[u32], Option<&MeasurerPlan>)>,
        show: &Show,
    ) -> Result<(), DhtError> {
        let this = &*self;
        let started = stream::iter(starts.into_iter().map(|(node, kind, joins, measurer)| async move {
            let started = this.start_one(node, kind, joins, measurer).await?;
            show(EventKind::NodeState { node, state: "started".into(), detail: None });
            Ok::<_, LaunchError>(started)
        }));
        let started: Vec<Result<_, LaunchError>> = started.buffer_unordered(PARALLEL).collect().await;
        let mut started = started.into_iter().collect::<Result<Vec<_>, _>>()?;
        started.sort_by_key(|(_, node)| node.index);
        for (process, node) in started {
            self.processes.push(process);
            self.nodes.push(node);
        }
        Ok(())
    }

    async fn start_one(
        &self,
        node: u32,
        kind: NodeKind,
        joins: &[u32],
        measurer: Option<&MeasurerPlan>,
    ) -> Result<(NodeProcess, LiveNode), LaunchError> {
        let directory = self.nodes_dir.join(format!("{node:03}"));
        let log = directory.join("log");
        std::fs::create_dir_all(&directory).map_err(|source| LaunchError::Write { path: directory.clone(), source })?;
        let mut command = self.command(&["dht", "server"], joins);
        command.args(["--server-host", "127.0.0.1", "--server-port", "0"]);
        command.args(["--telemetry-host", "127.0.0.1", "--telemetry-port", "0", "--peer-port", "0"]);
        command.arg("--exit-with-stdin");
        match measurer {
            None => {
                command.args(["--server-mode", "--dry-run"]);
            }
            Some(plan) => {
                let timeout = format!("{}s", OPERATION_TIMEOUT.as_secs());
                command.args(["--fleet", plan.fleet.as_str(), "--region", plan.region, "--startup-delay", "0s"]);
                command.args(["--provide-timeout", &timeout, "--retrieve-timeout", &timeout]);
                command.arg("--store").arg(&self.membership.store).args(variant_flag(plan.fleet));
            }
        }
        command.current_dir(&directory);
        let (process, said) = self.launcher.announced(node, command, &log).await?;
        let client = self.launcher.client(node, &said.api)?;
        let live = LiveNode {
            index: node,
            kind,
            api: said.api,
            peer_id: Some(said.peer_id),
            addresses: said.addresses,
            pid: process.pid(),
            data: directory,
            log,
            client,
        };
        Ok((process, live))
    }

    /// This product's binary with what all nodes of this network have in common.
    pub(super) fn command(&self, subcommand: &[&str], joins: &[u32]) -> Command {
        let mut command = Command::new(&self.launcher.program);
        command.args(subcommand);
        command.args(["--protocol", &self.membership.protocol, "--k", &K.to_string(), "--alpha", &ALPHA.to_string()]);
        for address in joins.iter().filter_map(|join| self.nodes.get(*join as usize)?.addresses.first()) {
            command.args(["--bootstrap", address]);
        }
        // A run depends on its arguments alone, not on what the user's shell configures for other servers.
        command.env_clear();
        command
    }

    /// Waits until every node that measures has peers and is in the store. Returns their rows there.
    pub(super) async fn make_ready(
        &self,
        tables: &DhtStore,
        clock: &dyn Clock,
        show: &Show,
    ) -> Result<Vec<Member>, DhtError> {
        let until = Instant::now() + READY_PATIENCE;
        let asked = stream::iter(self.nodes.iter().map(|node| async move {
            let ready = wait_until_ready(node, until).await;
            if ready.is_ok() {
                show(EventKind::NodeState { node: node.index, state: "ready".into(), detail: None });
            }
            ready
        }));
        let asked: Vec<Result<(), DhtError>> = asked.buffer_unordered(PARALLEL).collect().await;
        asked.into_iter().collect::<Result<(), _>>()?;
        self.members(tables, clock, until).await
    }

    async fn members(&self, tables: &DhtStore, clock: &dyn Clock, until: Instant) -> Result<Vec<Member>, DhtError> {
        let mut fleets: Vec<String> = self.measurers.iter().map(|plan| plan.fleet.as_str().to_owned()).collect();
        fleets.dedup();
        loop {
            let mut members = tables.live_nodes(&fleets, clock.wall_ms()).await?;
            members.retain(|member| self.nodes.iter().any(|node| node.peer_id.as_ref() == Some(&member.peer_id)));
            let is_missing = |node: &&LiveNode| {
                let is_there = members.iter().any(|member| Some(&member.peer_id) == node.peer_id.as_ref());
                matches!(node.kind, NodeKind::DhtMeasurer { .. }) && !is_there
            };
            match self.nodes.iter().find(is_missing) {
                None => return Ok(members),
                Some(node) if Instant::now() >= until => return Err(not_ready(node, "no heartbeat in the store")),
                Some(_) => tokio::time::sleep(POLL).await,
            }
        }
    }

    /// Writes `nodes.json`.
    pub(super) fn write_nodes(&self, run_id: &str, directory: &Path) -> Result<(), DhtError> {
        let written = NodesFile::new(run_id, &self.nodes).write(directory);
        Ok(written.map_err(RecordError::writing(directory))?)
    }

    /// The launcher, for what is started beside the nodes.
    pub(super) fn launcher(&self) -> &Launcher {
        &self.launcher
    }

    /// Nodes that ended although nobody stopped them.
    pub(super) fn ended(&mut self) -> u32 {
        self.processes.iter_mut().filter_map(NodeProcess::ended).count() as u32
    }

    /// Nodes that run.
    pub(super) fn up(&mut self) -> u32 {
        self.processes.len() as u32 - self.ended()
    }

    /// What the result says about the network.
    pub(super) fn facts(&self, ready_after_ns: u64) -> NetworkFacts {
        let peer_id =
            |node: u32| self.nodes.get(node as usize).and_then(|node| node.peer_id.clone()).unwrap_or_default();
        NetworkFacts {
            servers: (self.nodes.len() - self.measurers.len()) as u32,
            k: K,
            alpha: ALPHA,
            protocol: self.membership.protocol.clone(),
            ready_after_ns,
            measurers: self
                .measurers
                .iter()
                .map(|plan| Measurer {
                    node: plan.node,
                    fleet: plan.fleet.as_str().into(),
                    region: plan.region.into(),
                    peer_id: peer_id(plan.node),
                })
                .collect(),
        }
    }

    /// Stops the nodes that measure, which write their last traces meanwhile, then the servers, and waits until all are gone.
    pub(super) async fn stop(mut self) {
        let servers = self.processes.len() - self.measurers.len();
        let measurers = self.processes.split_off(servers);
        for processes in [measurers, self.processes] {
            let stops = processes.into_iter().map(|mut process| async move {
                if let Err(error) = process.stop().await {
                    tracing::warn!(pid = process.pid(), %error, "a node did not stop in order");
                }
            });
            futures::future::join_all(stops).await;
        }
    }
}

/// The flag of `dht server` that makes it a node of this fleet.
fn variant_flag(fleet: Variant) -> Option<&'static str> {
    match fleet {
        Variant::Default => None,
        Variant::OptProv => Some("--optprov"),
        Variant::FullRt => Some("--fullrt"),
    }
}

async fn wait_until_ready(node: &LiveNode, until: Instant) -> Result<(), DhtError> {
    loop {
        let call = Call {
            method: Method::GET,
            path: "/readiness",
            headers: HeaderMap::new(),
            body: Bytes::new(),
            max_answer_bytes: 16 << 10,
            timeout: Duration::from_secs(5),
        };
        let reason = match node.client.call(call).await {
            Ok(answer) if answer.status == 200 => return Ok(()),
            Ok(_) => "its routing table is empty".to_owned(),
            Err(error) => error.to_string(),
        };
        if Instant::now() >= until {
            return Err(not_ready(node, &reason));
        }
        tokio::time::sleep(POLL).await;
    }
}

fn not_ready(node: &LiveNode, reason: &str) -> DhtError {
    let (seconds, log) = (READY_PATIENCE.as_secs(), node.log.clone());
    DhtError::NotReady { node: node.index, seconds, reason: reason.to_owned(), log }
}
