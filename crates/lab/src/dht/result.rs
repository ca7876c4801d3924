//! The document that a run leaves behind: `result.json`, schema `peermark.dht-lab/1`.
//!
//! A percentile is `{value, low, high, censored}` or `null`, as in `peermark.run/1`; all times are nanoseconds.

use std::collections::BTreeMap;

use peermark_core::{Calibration, Environment, Seed};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::result::{Distribution, HostUse, ThresholdResult, Validity};

/// The value of `schema` in every document of this version.
pub const SCHEMA: &str = "peermark.dht-lab/1";

/// What every output says about regions.
pub const NO_DISTANCE: &str = "regions are labels, no distance";

/// One finished (or stopped) run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DhtResult {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// Identifies the run; also the name of its directory.
    pub run_id: String,
    /// When it began, milliseconds since the Unix epoch.
    pub started_wall_ms: u64,
    /// From the first process start to the end of the last round.
    pub duration_ns: u64,
    /// Decides topology and contents; the keys of the nodes are their own.
    pub seed: Seed,
    /// Whether the measurement can be trusted, and if not, why.
    pub validity: Validity,
    /// Machine and build.
    pub environment: Environment,
    /// Always [`NO_DISTANCE`]: no figure is drawn by region.
    pub distance: String,
    /// The servers and the nodes that measure.
    pub network: NetworkFacts,
    /// What was checked before the measurement.
    pub preflight: Vec<PreflightCheck>,
    /// How long the schedulers ran.
    pub measured_ns: u64,
    /// Longest operation; failures count as values at or above it.
    pub deadline_ns: u64,
    /// How long after a provide a record was looked for in all regions; what was not seen counts as a value at or above it.
    pub visible_deadline_ns: u64,
    /// One entry per scheduler: `mixed` over all fleets, `pair` across two.
    pub schedules: Vec<ScheduleResult>,
    /// The limits that the run had to keep.
    pub thresholds: Vec<ThresholdResult>,
    /// The host before the run.
    pub calibration: Calibration,
    /// The host after the run.
    pub calibration_after: Calibration,
    /// How the host and this process did while the schedulers ran.
    pub host: HostUse,
    /// Everything that limits what the figures may be used for, in plain words.
    pub warnings: Vec<String>,
    /// Whether it was stopped before its time.
    pub stopped: bool,
}

/// The network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NetworkFacts {
    /// DHT servers.
    pub servers: u32,
    /// Peers that a record is stored with.
    pub k: u32,
    /// RPCs of one lookup at once.
    pub alpha: u32,
    /// Name of the Kademlia protocol, of this run alone.
    pub protocol: String,
    /// From the first process start until every node was ready.
    pub ready_after_ns: u64,
    /// The nodes that measure.
    pub measurers: Vec<Measurer>,
}

/// A node that measures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Measurer {
    /// Its number.
    pub node: u32,
    /// Its fleet.
    pub fleet: String,
    /// The label that stands for its region.
    pub region: String,
    /// Its peer id.
    pub peer_id: String,
}

/// One check before the measurement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PreflightCheck {
    /// Its name, as METHODOLOGY lists it.
    pub name: String,
    /// What it says.
    pub verdict: CheckVerdict,
    /// What was seen.
    pub detail: String,
}

/// What a check says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CheckVerdict {
    /// It holds.
    #[serde(rename = "holds")]
    Holds,
    /// It holds, with something to know when reading the figures.
    #[serde(rename = "note")]
    Note,
    /// It does not hold: figures are wrong.
    #[serde(rename = "FAILS")]
    Fails,
}

/// What one scheduler measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ScheduleResult {
    /// `mixed` or `pair`.
    pub name: String,
    /// Fleets whose nodes published.
    pub publish: Vec<String>,
    /// Fleets whose nodes looked up.
    pub lookup: Vec<String>,
    /// From one round to the next.
    pub interval_ns: u64,
    /// Rounds that were run.
    pub rounds: u64,
    /// Of these, rounds that came to their end.
    pub complete: u64,
    /// Rounds that could not begin.
    pub skipped: u64,
    /// Per fleet, in the order in which fleets were named.
    pub fleets: Vec<FleetResult>,
}

/// What the nodes of one fleet measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FleetResult {
    /// The fleet.
    pub fleet: String,
    /// Its provides; `null` where it only looked up.
    pub provide: Option<ProvideResult>,
    /// Its lookups; `null` where it only published.
    pub lookup: Option<LookupResult>,
}

/// Provides, with their three moments. Each counts from the beginning of the provide.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProvideResult {
    /// Provides that were asked for.
    pub count: u64,
    /// Those that succeeded.
    pub ok: u64,
    /// The others by failure class; `no_answer` where the node said nothing.
    pub failed: BTreeMap<String, u64>,
    /// Until the call returned: what parsec stores.
    pub returned_ns: Distribution,
    /// Until the last of `k` records was seen to be stored. Provides with fewer count as values at or above the deadline.
    pub confirmed_ns: Distribution,
    /// Until nodes of all labels saw the record. Those that did not in time count as values at or above `visible_deadline_ns`.
    pub visible_ns: Distribution,
    /// What it took.
    pub rpcs: Rpcs,
}

/// Lookups of the first provider.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LookupResult {
    /// Lookups that were asked for, local hits included.
    pub count: u64,
    /// Those that found a provider, local hits included.
    pub ok: u64,
    /// The others by failure class; `not_found` is a miss, `no_answer` a node that said nothing.
    pub failed: BTreeMap<String, u64>,
    /// Lookups that the node answered from its own store: not in the figures below.
    pub local: u64,
    /// Until the first provider came from a peer.
    pub duration_ns: Distribution,
    /// What it took.
    pub rpcs: Rpcs,
}

/// RPCs of operations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Rpcs {
    /// Operations whose every hop is known.
    pub operations: u64,
    /// RPCs of these.
    pub sent: u64,
    /// Of these, RPCs without which the result would have been the same.
    pub wasted: u64,
    /// RPCs per operation; `null` without operations.
    pub per_operation: Option<f64>,
    /// Share of RPCs that were wasted, 0 to 1; `null` without RPCs.
    pub wasted_share: Option<f64>,
}

/// The JSON Schema (draft 2020-12) of [`DhtResult`] as it is written: the contract of `result.json`.
pub fn schema() -> serde_json::Value {
    crate::report::schema_of::<DhtResult>(SCHEMA)
}
