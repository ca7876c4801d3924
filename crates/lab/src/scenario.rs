//! A scenario: a versioned file that describes a lab run. The same file and seed ask for the same run.
//!
//! Read in two steps: [`Scenario::parse`] turns text into types and names unknown keys with the nearest known one;
//! [`Scenario::check`] refuses what cannot be run. Neither touches the machine.

mod builtin;
mod duration;
mod parse;

use peermark_core::{ByteSize, Seed};
use peermark_judge::Threshold;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use builtin::Workload;
pub use duration::HumanDuration;
pub use parse::ScenarioError;

/// Version of the format that this code reads.
pub const VERSION: u32 = 1;

/// Most nodes of one run: above it, one machine measures itself.
pub const MAX_NODES: u32 = 1000;

/// A lab run, described.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Always [`VERSION`].
    pub version: u32,
    /// Name of the scenario, for people and for comparing runs.
    pub name: String,
    /// Decides topology, schedule and payloads. Drawn and printed when it is not given.
    #[serde(default)]
    pub seed: Option<Seed>,
    /// How long the load lasts, over all phases.
    #[serde(default = "default_duration")]
    pub duration: HumanDuration,
    /// The network.
    #[serde(default)]
    pub nodes: Nodes,
    /// Nodes of other programs, started beside ours.
    #[serde(default)]
    pub foreign: Vec<Foreign>,
    /// The load, one phase after the other.
    #[serde(default, rename = "phase")]
    pub phases: Vec<Phase>,
    /// What is broken when.
    #[serde(default, rename = "fault")]
    pub faults: Vec<Fault>,
    /// Limits such as `fetch.p99<50ms`. A run that misses one ends with exit code 100.
    #[serde(default)]
    pub thresholds: Vec<String>,
}

/// The network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Nodes {
    /// How many nodes; node 0 is the hub that the others join by.
    pub count: u32,
    /// Share of marketplace nodes among those that are not the hub, 0 to 1.
    pub marketplace_share: f64,
    /// Transport between nodes.
    pub transport: Transport,
    /// Where blocks are kept.
    pub store: Store,
    /// Most bytes of blocks per node.
    pub quota: ByteSize,
    /// Memory cache per node.
    pub cache: ByteSize,
    /// Bytes of the blocks that uploads are cut into.
    pub block_size: ByteSize,
    /// Peers that every node dials and keeps, drawn by the seed.
    pub dials: u32,
    /// Peers that a provider record is stored with. Less than the 20 of large networks, where it would be every node.
    pub dht_replication: u32,
    /// Longest wait until every node is ready.
    pub ready_timeout: HumanDuration,
    /// REST port of node 0; node i has this plus i. Free ports when absent.
    pub api_port_base: Option<u16>,
    /// Memory limit per node, where control groups can be used.
    pub memory_limit: Option<ByteSize>,
    /// Limit in cores per node, where control groups can be used.
    pub cpu_limit: Option<f64>,
}

/// Transport between nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// TCP with Noise and Yamux.
    #[default]
    Tcp,
    /// QUIC.
    Quic,
}

/// Where nodes keep blocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Store {
    /// On disk, as a node of a real network does.
    #[default]
    Disk,
    /// In memory.
    Memory,
}

/// Nodes of another program that has the Archivist or Codex REST API.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Foreign {
    /// Name for tables and logs.
    pub name: String,
    /// How many.
    #[serde(default = "one")]
    pub count: u32,
    /// Program and arguments. `{api_port}`, `{listen_port}`, `{data}` and `{bootstrap}` are filled in.
    pub command: Vec<String>,
}

/// One phase of the load.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Phase {
    /// Name of the phase; the operation's when absent.
    #[serde(default)]
    pub name: Option<String>,
    /// What is done.
    pub op: Op,
    /// Share of the run's duration, relative to the other phases' shares.
    #[serde(default = "one_share")]
    pub share: f64,
    /// Part of the phase that is not counted.
    #[serde(default = "default_warm_up")]
    pub warm_up: HumanDuration,
    /// Arrivals per second. Half of the rate that the network keeps up with, found in a few seconds, when absent.
    #[serde(default)]
    pub rate: Option<f64>,
    /// How arrivals are scheduled.
    #[serde(default)]
    pub arrivals: ArrivalKind,
    /// Operations at a time, in a closed loop.
    #[serde(default = "default_concurrency")]
    pub concurrency: u32,
    /// Absolute deadline of an operation, from its intended start.
    #[serde(default = "default_timeout")]
    pub timeout: HumanDuration,
    /// Sizes of the files, with weights.
    #[serde(default = "default_sizes")]
    pub sizes: Vec<SizeWeight>,
    /// Nodes that hold the file at the start of a dissemination.
    #[serde(default = "one")]
    pub seeders: u32,
}

/// What a phase does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// Files to random nodes.
    Upload,
    /// Files through nodes that lack them.
    Fetch,
    /// Uploads, fetches and local reads in parallel.
    Stress,
    /// One file to every node that lacks it, all at once.
    Disseminate,
    /// Files from the node that holds them, first time since its cache forgot them.
    ReadCold,
    /// The same files again.
    ReadWarm,
}

/// How arrivals are scheduled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ArrivalKind {
    /// Open loop, exponential gaps.
    #[default]
    Poisson,
    /// Open loop, equal gaps.
    Uniform,
    /// Closed loop: latencies hide queueing and are labelled so.
    Closed,
}

/// A file size and how often it is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SizeWeight {
    /// Bytes of the file.
    pub size: ByteSize,
    /// How often, relative to the other sizes.
    #[serde(default = "one_share")]
    pub weight: f64,
}

/// Something that is broken on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// When, since the load began.
    pub at: HumanDuration,
    /// Number of the node.
    pub node: u32,
    /// What is done to it.
    pub action: FaultAction,
}

/// What is done to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FaultAction {
    /// SIGKILL: no goodbye.
    Kill,
    /// SIGKILL, then the same node again on its data.
    Restart,
}

impl Default for Nodes {
    fn default() -> Self {
        Self {
            count: 50,
            marketplace_share: 1.0 / 3.0,
            transport: Transport::Tcp,
            store: Store::Disk,
            quota: ByteSize(2 << 30),
            cache: ByteSize(8 << 20),
            block_size: ByteSize(64 << 10),
            dials: 8,
            dht_replication: 8,
            ready_timeout: HumanDuration::from_secs(60),
            api_port_base: None,
            memory_limit: None,
            cpu_limit: None,
        }
    }
}

fn default_duration() -> HumanDuration {
    HumanDuration::from_secs(30)
}

fn one() -> u32 {
    1
}

fn one_share() -> f64 {
    1.0
}

fn default_warm_up() -> HumanDuration {
    HumanDuration::from_millis(500)
}

fn default_concurrency() -> u32 {
    16
}

fn default_timeout() -> HumanDuration {
    HumanDuration::from_secs(10)
}

fn default_sizes() -> Vec<SizeWeight> {
    vec![SizeWeight { size: ByteSize(64 << 10), weight: 1.0 }]
}

impl Op {
    /// The name in results and thresholds.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Upload => "upload",
            Self::Fetch => "fetch",
            Self::Stress => "stress",
            Self::Disseminate => "disseminate",
            Self::ReadCold => "read_cold",
            Self::ReadWarm => "read_warm",
        }
    }
}

impl Phase {
    /// A phase of an operation with every setting at its default.
    pub fn of(op: Op, share: f64) -> Self {
        Self {
            name: None,
            op,
            share,
            warm_up: default_warm_up(),
            rate: None,
            arrivals: ArrivalKind::Poisson,
            concurrency: default_concurrency(),
            timeout: default_timeout(),
            sizes: default_sizes(),
            seeders: 1,
        }
    }

    /// The name in results.
    pub fn label(&self) -> &str {
        self.name.as_deref().unwrap_or(self.op.as_str())
    }
}

impl Scenario {
    /// Nodes of every kind.
    pub fn total_nodes(&self) -> u32 {
        self.nodes.count + self.foreign.iter().map(|foreign| foreign.count).sum::<u32>()
    }

    /// Sets the number of nodes of a built-in workload, whose seeders then leave at least one node without the file.
    pub fn resize(&mut self, nodes: u32) {
        self.nodes.count = nodes;
        for phase in &mut self.phases {
            phase.seeders = phase.seeders.min(nodes.saturating_sub(1)).max(1);
        }
    }

    /// The thresholds, read.
    ///
    /// # Errors
    /// [`ScenarioError::Invalid`] names the threshold that cannot be read.
    pub fn parsed_thresholds(&self) -> Result<Vec<Threshold>, ScenarioError> {
        let parse = |text: &String| {
            let invalid =
                |error: peermark_judge::threshold::ParseThresholdError| ScenarioError::invalid("thresholds", error);
            text.parse::<Threshold>().map_err(invalid)
        };
        self.thresholds.iter().map(parse).collect()
    }

    /// Hex digest of everything but the seed: equal fingerprints asked for the same thing.
    pub fn fingerprint(&self) -> String {
        let seedless = Self { seed: None, ..self.clone() };
        let text = serde_json::to_string(&seedless).expect("a scenario of strings and numbers serialises");
        Sha256::digest(text.as_bytes()).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
mod tests;
