//! The document: schema `peermark.dht-report/1`. Times are nanoseconds unless the name says otherwise; `null` means that there is
//! no number, never zero.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The value of `schema` in every document of this version.
pub const SCHEMA: &str = "peermark.dht-report/1";

/// What the DHT tables say about a period.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DhtReport {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// Where the rows came from, for people.
    pub place: String,
    /// What was asked about.
    pub period: Period,
    /// What the changes are against.
    pub before: Period,
    /// Fleets that were asked for; all where empty.
    pub fleets: Vec<String>,
    /// Regions are labels, no distance: every server is on a loopback address, so regions are pooled.
    pub regions_are_labels: bool,
    /// Regions of the servers that answered.
    pub regions: Vec<String>,
    /// Rows that were read and what became of them.
    pub rows: Rows,
    /// Per fleet, operation and region; the composite of the regions first.
    pub latencies: Vec<LatencyFigures>,
    /// Why rows failed, per fleet and operation, most frequent first.
    pub errors: Vec<ErrorCount>,
    /// Where answers came from, per fleet and operation, from the traces.
    pub hits: Vec<HitFigures>,
    /// Where the time went, per fleet and operation, from the traces.
    pub anatomy: Vec<Anatomy>,
    /// When a provide was done, per fleet, from the traces.
    pub moments: Vec<Moments>,
    /// Everything that limits what the figures may be used for, in plain words.
    pub warnings: Vec<String>,
}

/// A stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Period {
    /// Its first moment, milliseconds since the Unix epoch.
    pub from_ms: u64,
    /// The first moment after it, milliseconds since the Unix epoch.
    pub until_ms: u64,
}

/// Rows that were read and what became of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Rows {
    /// Rows of the period.
    pub read: u64,
    /// Rows of the period that the figures stand on.
    pub counted: u64,
    /// Provides set apart: fewer than `least_provide` peers in the routing table.
    pub set_apart_provides: u64,
    /// Retrievals set apart: fewer than `least_retrieve` peers in the routing table.
    pub set_apart_retrievals: u64,
    /// Rows of steps that are no DHT operation (parsec's IPNI), left out.
    pub other_steps: u64,
    /// Rows of the period before that its figures stand on.
    pub counted_before: u64,
    /// Traces of the period.
    pub traces: u64,
    /// Fewest peers in the routing table of a provide that counts.
    pub least_provide: i32,
    /// Fewest peers in the routing table of a retrieval that counts.
    pub least_retrieve: i32,
    /// Why these.
    pub rule: String,
    /// What failed is at or above this.
    pub deadline_ns: u64,
    /// Whether all rows and traces of both periods were read.
    pub complete: bool,
}

/// A percentile with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Percentile {
    /// The estimate.
    pub value: u64,
    /// Lower end of the interval.
    pub low: Option<u64>,
    /// Upper end of the interval.
    pub high: Option<u64>,
    /// It falls among failures: the true value is at least `value`, the deadline.
    pub censored: bool,
}

/// A share of one with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Share {
    /// The share.
    pub ratio: f64,
    /// Lower end (Wilson).
    pub low: f64,
    /// Upper end (Wilson).
    pub high: f64,
    /// Whether the interval respects that failures come in bursts; if not, there were too few slices of time and it takes rows as
    /// independent.
    pub respects_bursts: bool,
}

/// Levels of a box plot; a level that is `null` falls among failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Boxes {
    /// 5th percentile.
    pub p5: Option<u64>,
    /// Lower quartile.
    pub p25: Option<u64>,
    /// Median.
    pub p50: Option<u64>,
    /// Upper quartile.
    pub p75: Option<u64>,
    /// 95th percentile.
    pub p95: Option<u64>,
}

/// A percentile relative to the period before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ChangeFigures {
    /// This period's divided by the one's before.
    pub ratio: f64,
    /// Lower end of the 95 % interval.
    pub low: f64,
    /// Upper end of the 95 % interval.
    pub high: f64,
    /// `better`, `worse`, `no difference` or `cannot be told`.
    pub verdict: String,
}

/// Latency of one operation of one fleet in one region.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LatencyFigures {
    /// Fleet.
    pub fleet: String,
    /// Region; `null` for the composite of the regions, which is no percentile of any user.
    pub region: Option<String>,
    /// `provide` or `retrieve`.
    pub operation: String,
    /// Rows, failures included.
    pub n: u64,
    /// Rows that failed.
    pub failed: u64,
    /// Their share; `null` without rows.
    pub failed_share: Option<Share>,
    /// Median.
    pub p50: Option<Percentile>,
    /// 90th percentile.
    pub p90: Option<Percentile>,
    /// 99th percentile.
    pub p99: Option<Percentile>,
    /// Levels of the box; `null` below 59 rows, which the 95th percentile needs.
    pub boxes: Option<Boxes>,
    /// Latency and the share of all rows that ended well within it, ascending.
    pub cdf: Vec<(u64, f64)>,
    /// Rows of the period before.
    pub n_before: u64,
    /// Change of the median; `null` where either median has no closed interval.
    pub change_p50: Option<ChangeFigures>,
    /// Change of the 90th percentile, likewise.
    pub change_p90: Option<ChangeFigures>,
    /// Why a number is missing.
    pub notes: Vec<String>,
}

/// How often one error was seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorCount {
    /// Fleet.
    pub fleet: String,
    /// `provide` or `retrieve`.
    pub operation: String,
    /// The error as the server said it, cut to 120 characters; `(others)` for what was beyond 200 different ones.
    pub error: String,
    /// Rows.
    pub count: u64,
    /// Share of all rows of the fleet and operation.
    pub share: f64,
}

/// Operations by where their answer came from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HitFigures {
    /// Fleet.
    pub fleet: String,
    /// `provide` or `retrieve`.
    pub operation: String,
    /// `local`, `remote`, `miss` or `failed`.
    pub hit: String,
    /// Operations.
    pub n: u64,
    /// Share of the operations of the fleet and kind.
    pub share: f64,
    /// Median time until it was known.
    pub p50: Option<Percentile>,
    /// 90th percentile of that time.
    pub p90: Option<Percentile>,
}

/// Where the time went.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Anatomy {
    /// Fleet.
    pub fleet: String,
    /// `provide` or `retrieve`.
    pub operation: String,
    /// Operations that asked the network.
    pub n: u64,
    /// RPCs.
    pub rpcs: u64,
    /// Median RPCs of an operation.
    pub rpcs_p50: Option<u64>,
    /// 90th percentile of the RPCs of an operation.
    pub rpcs_p90: Option<u64>,
    /// Share of RPCs without which the result would have been the same; `null` without RPCs.
    pub wasted_share: Option<f64>,
    /// RPCs that failed, by class.
    pub failed_rpcs: BTreeMap<String, u64>,
    /// Share of the operations' time in which the RPCs that the end had to wait for dialled.
    pub dial_share: Option<f64>,
    /// Share in encryption, authentication and multiplexing.
    pub handshake_share: Option<f64>,
    /// Share between a question and its answer.
    pub question_share: Option<f64>,
    /// The rest: queues, scheduling, decoding.
    pub rest_share: Option<f64>,
    /// Median of an operation's time divided by the sum of the round-trip times that its end had to wait for.
    pub floor_p50: Option<f64>,
    /// 90th percentile of that.
    pub floor_p90: Option<f64>,
    /// Operations whose round-trip times were all known.
    pub floor_n: u64,
}

/// When a provide was done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Moments {
    /// Fleet.
    pub fleet: String,
    /// Provides that succeeded.
    pub n: u64,
    /// Until the call returned.
    pub returned_p50: Option<Percentile>,
    /// Its 90th percentile.
    pub returned_p90: Option<Percentile>,
    /// Provides of which at least one record was seen to be stored.
    pub stored_n: u64,
    /// Median number of peers that were seen to have stored the record.
    pub stored_peers_p50: Option<u64>,
    /// Until the last of them was seen.
    pub stored_p50: Option<Percentile>,
    /// Its 90th percentile.
    pub stored_p90: Option<Percentile>,
    /// Provides whose record was found from every region that looked for records in the period.
    pub visible_n: u64,
    /// Until it had been found from each: an upper bound, by the wall clocks of the hosts.
    pub visible_p50: Option<Percentile>,
    /// Its 90th percentile.
    pub visible_p90: Option<Percentile>,
}
