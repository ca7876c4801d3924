//! The document that a run leaves behind: `result.json`, schema `peermark.run/1`.
//!
//! A percentile is `{value, low, high}` or `null`: where too few samples stand behind it, or where the generator's own lateness
//! explains more than a fifth of it, there is no number. All latencies are nanoseconds.

use std::collections::BTreeMap;

use peermark_core::{Calibration, Culprit, Environment, Seed, Unit};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The value of `schema` in every document of this version.
pub const SCHEMA: &str = "peermark.run/1";

/// One finished (or aborted) run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunResult {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// Identifies the run; also the name of its directory.
    pub run_id: String,
    /// When it began, milliseconds since the Unix epoch.
    pub started_wall_ms: u64,
    /// How long it lasted, from start of the first node to the end of the last phase.
    pub duration_ns: u64,
    /// The seed that reproduces topology, schedule and payloads.
    pub seed: Seed,
    /// Name of the scenario.
    pub scenario: String,
    /// Fingerprint of the resolved scenario without its seed: equal fingerprints asked for the same thing.
    pub scenario_fingerprint: String,
    /// Whether the measurement can be trusted, and if not, why.
    pub validity: Validity,
    /// Machine and build.
    pub environment: Environment,
    /// How many nodes came up.
    pub nodes: NodeCounts,
    /// One entry per operation and phase, in the order of the phases.
    pub operations: Vec<OperationResult>,
    /// Blocks that travelled between nodes, counted on both sides.
    pub exchange: Exchange,
    /// What each node used.
    pub resources: Vec<NodeResources>,
    /// The limits that the run had to keep.
    pub thresholds: Vec<ThresholdResult>,
    /// The host before the run.
    pub calibration: Calibration,
    /// The host after the run.
    pub calibration_after: Calibration,
    /// How the host and the generator did during the load.
    pub host: HostUse,
    /// Faults that were injected, with what was seen.
    pub faults: Vec<FaultResult>,
    /// What the nodes' own tests said, one entry per test; empty where the nodes run none. Class SELF_REPORT: of the nodes, by
    /// themselves.
    #[serde(default)]
    pub self_tests: Vec<SelfTestResult>,
    /// Everything that limits what the figures may be used for, in plain words.
    pub warnings: Vec<String>,
}

/// What one self-test said on all nodes that ran it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SelfTestResult {
    /// Name of the test.
    pub task: String,
    /// The unit of its value.
    pub unit: Unit,
    /// What its value is.
    pub value: String,
    /// Nodes that ran it.
    pub nodes: u32,
    /// Attempts that ran to their end, whatever they found.
    pub ok: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Attempts that did not try.
    pub skipped: u64,
    /// Values of the successes; `null` without any.
    pub values: Option<SelfTestValues>,
    /// How often each failure and finding was named.
    pub problems_by_code: BTreeMap<String, u64>,
    /// The first of them, in full.
    pub problems: Vec<SelfTestProblem>,
}

/// How values lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SelfTestValues {
    /// How many there are.
    pub n: u64,
    /// Smallest.
    pub low: i64,
    /// Median, the lower one of two.
    pub median: i64,
    /// Largest.
    pub high: i64,
}

/// What a self-test has to complain of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SelfTestProblem {
    /// Number of the node.
    pub node: u32,
    /// Which of the test's failures.
    pub code: String,
    /// Who has to mend it.
    pub culprit: Culprit,
    /// The particulars.
    pub detail: String,
    /// What to do about it; `null` where it had passed by the end of the run.
    pub advice: Option<String>,
}

impl SelfTestResult {
    pub(crate) fn new(task: &str, unit: Unit, value: &str) -> Self {
        Self {
            task: task.to_owned(),
            unit,
            value: value.to_owned(),
            nodes: 0,
            ok: 0,
            failed: 0,
            skipped: 0,
            values: None,
            problems_by_code: BTreeMap::new(),
            problems: Vec::new(),
        }
    }
}

/// Whether the figures may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Verdict {
    /// Nothing was found that speaks against the figures.
    Valid,
    /// Something else than the nodes decided some figure; `reasons` says what.
    Suspect,
}

/// The measurement's own quality.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Validity {
    /// VALID or SUSPECT.
    pub verdict: Verdict,
    /// Why SUSPECT, in plain words; empty when VALID. The first word is a stable name such as `CPU-bound`.
    pub reasons: Vec<String>,
}

/// How many nodes came up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NodeCounts {
    /// Processes that were started, or nodes that were named.
    pub started: u32,
    /// Nodes that were ready: API answers, peers, routing table, one verified cross-node fetch.
    pub ready: u32,
    /// Nodes that never became ready or died without having been killed by the scenario.
    pub failed: u32,
    /// From the first process start until every node was ready.
    pub ready_after_ns: Option<u64>,
    /// Open connections between nodes when all were ready, each counted once.
    pub connections: u64,
}

/// How the arrivals of an operation were scheduled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Arrivals {
    /// Open loop, exponential gaps.
    Poisson,
    /// Open loop, equal gaps.
    Uniform,
    /// Closed loop: the next operation starts when one ends. Its latencies hide queueing and are labelled so.
    Closed,
    /// Many at one moment: every node that lacks a file fetches it at once.
    Burst,
}

/// One operation in one phase.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OperationResult {
    /// Name of the phase.
    pub phase: String,
    /// The operation: `upload`, `fetch`, `read_cold`, `read_warm`, `disseminate`.
    pub op: String,
    /// How arrivals were scheduled.
    pub arrivals: Arrivals,
    /// Operations that the schedule called for.
    pub count: u64,
    /// Complete and verified.
    pub ok: u64,
    /// Failures by class.
    pub failed: BTreeMap<String, u64>,
    /// Failures by who has to mend them.
    pub culprits: BTreeMap<String, u64>,
    /// Arrivals per second that the schedule called for; `null` in a closed loop.
    pub target_rate: Option<f64>,
    /// Highest rate that the network kept up with when the rate was searched; `null` where it was given.
    pub knee_rate: Option<f64>,
    /// Completed operations per second of the phase.
    pub achieved_rate: f64,
    /// When the phase began to measure, since the load began: the clock of `faults[].at_ns`, and where `timeline[].at_s` is 0.
    pub started_ns: u64,
    /// How long the phase measured, without its warm-up.
    pub duration_ns: u64,
    /// From the intended start to the end: what a user who arrives on schedule would see.
    pub latency_ns: Distribution,
    /// From the real start to the end.
    pub service_ns: Distribution,
    /// From the intended to the real start: the generator's own lateness.
    pub slip_ns: Distribution,
    /// Payload bytes moved and verified.
    pub bytes: u64,
    /// Absolute deadline of each operation; failures count as values at or above it.
    pub deadline_ns: u64,
    /// The latency distribution as cumulative points for the chart: (latency in ns, share of all operations at or below it).
    pub cdf: Vec<(u64, f64)>,
    /// The phase in slices of time, for the chart.
    pub timeline: Vec<TimeSlice>,
    /// Why a percentile above is `null`, in plain words, one line each.
    pub notes: Vec<String>,
}

/// Percentiles with their 95 % intervals.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Distribution {
    /// Values behind the percentiles, failures included.
    pub n: u64,
    /// Median.
    pub p50: Option<Percentile>,
    /// 90th percentile.
    pub p90: Option<Percentile>,
    /// 99th percentile.
    pub p99: Option<Percentile>,
    /// Largest value seen (upper edge of its bucket); `null` without values.
    pub max: Option<u64>,
}

/// One percentile with its interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Percentile {
    /// The estimate.
    pub value: u64,
    /// Lower end of the 95 % interval; `null` where its coverage cannot be had.
    pub low: Option<u64>,
    /// Upper end of the 95 % interval; `null` where its coverage cannot be had.
    pub high: Option<u64>,
    /// The percentile falls among failures: the true value is at least `value`, the deadline.
    pub censored: bool,
}

/// A slice of a phase.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TimeSlice {
    /// Start of the slice since the phase began, seconds.
    pub at_s: f64,
    /// Completed operations per second.
    pub ops_per_second: f64,
    /// Failures in the slice.
    pub failed: u64,
    /// Median latency of the slice, ns; `null` without operations.
    pub p50_ns: Option<u64>,
    /// 99th percentile of the slice as far as its samples tell (its maximum below 100 samples), ns.
    pub p99_ns: Option<u64>,
}

/// Blocks that travelled between nodes over Bitswap during the load, counted by the nodes themselves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Exchange {
    /// Blocks sent; `null` where a node shows no count.
    pub blocks_sent: Option<u64>,
    /// Blocks received and verified by hash; `null` where a node shows no count.
    pub blocks_received: Option<u64>,
    /// Payload bytes of the blocks sent.
    pub bytes_sent: Option<u64>,
    /// Payload bytes of the blocks received.
    pub bytes_received: Option<u64>,
    /// Blocks that one side counted and the other did not, plus fetched blocks that no Bitswap message explains; 0 is the proof
    /// that every fetched block came from another node. `null` where a node shows no count.
    pub unexplained: Option<u64>,
    /// Wants that a marketplace node refused because no valid promise covered them.
    pub unpaid_wants: Option<u64>,
    /// Why a field is `null` or `unexplained` is not 0.
    pub reason: Option<String>,
}

/// What one node used, from the operating system.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NodeResources {
    /// Number of the node.
    pub node: u32,
    /// `peermark` or the name of the foreign command.
    pub kind: String,
    /// `altruistic`, `marketplace` or `foreign`.
    pub mode: String,
    /// Peer id, where the node tells.
    pub peer_id: Option<String>,
    /// Highest private memory seen during the load (`Private_Clean + Private_Dirty` of the process).
    pub private_bytes: Option<u64>,
    /// CPU time used during the load.
    pub cpu_seconds: Option<f64>,
    /// Bytes in the node's data directory at the end.
    pub disk_bytes: Option<u64>,
    /// Bytes sent and received by the node over its peer connections, as the node counts them (loopback has no counter per process).
    pub net_bytes: Option<u64>,
    /// Peers connected at the end.
    pub peers: Option<u64>,
    /// State at the end: `up`, `killed`, `exited`.
    pub state: String,
}

/// One limit that the run had to keep.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ThresholdResult {
    /// As written: `fetch.p99<50ms`.
    pub name: String,
    /// The limit, in the unit of the metric (ns, ratio or operations per second).
    pub limit: f64,
    /// What was measured; `null` when there was no number, which fails the threshold.
    pub value: Option<f64>,
    /// Whether the limit was kept.
    pub ok: bool,
}

/// How the host did during the load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HostUse {
    /// Share of all CPU time that was busy, 0 to 1.
    pub busy: f64,
    /// Share of CPU time that the hypervisor gave to others, 0 to 1.
    pub steal: f64,
    /// CPU seconds of the load generator itself.
    pub generator_cpu_seconds: f64,
    /// Times that a CPU was throttled, where the kernel counts it.
    pub throttled: Option<u64>,
}

/// One injected fault.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FaultResult {
    /// `kill` or `restart`.
    pub action: String,
    /// The node it was done to.
    pub node: u32,
    /// When, since the load began.
    pub at_ns: u64,
    /// Whether it was verified (the process was gone; the node answered again).
    pub verified: bool,
    /// What was seen.
    pub detail: String,
}
