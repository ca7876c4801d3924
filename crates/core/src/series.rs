//! What is measured ([`Series`], written once) and one operation of it ([`Sample`], fixed size).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::clock::MonotonicNs;
use crate::failure::Outcome;

/// Which kind of evidence a series is. Classes are never mixed in one aggregate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum EvidenceClass {
    /// Asked for, with load of our own making: a lab run, a benchmark.
    Raw,
    /// Seen while real work was done.
    Working,
    /// Measured outside of any contract.
    OffChain,
    /// A node about itself. May lower a score, never raise it.
    SelfReport,
}

/// The unit of [`Sample::value`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Nanoseconds.
    Nanoseconds,
    /// Bytes.
    Bytes,
    /// A count of things.
    Count,
    /// Parts per million of one.
    PartsPerMillion,
    /// Bits per second.
    BitsPerSecond,
}

/// What is measured by whom about whom. Written once; samples refer to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Series {
    /// Version of this description.
    pub schema: u32,
    /// The run or task that the series belongs to.
    pub run: String,
    /// What is measured, dotted: `block.get`, `data.put`, `dht.provide`.
    pub kind: String,
    /// The kind of evidence.
    pub class: EvidenceClass,
    /// Who measures: a peer id, or the name of the measuring process.
    pub observer: String,
    /// Who is measured: a peer id, or `network` where any node may answer.
    pub subject: String,
    /// Region of the observer (geohash), empty where none is declared.
    pub observer_region: String,
    /// Region of the subject (geohash), empty where none is declared.
    pub subject_region: String,
    /// The unit of the samples' values.
    pub unit: Unit,
    /// Fingerprint of the environment ([`crate::Environment::fingerprint`]).
    pub environment: String,
}

impl Series {
    /// The version that this code writes.
    pub const SCHEMA: u32 = 1;
}

/// One operation. All times are nanoseconds since the run's epoch, on one monotonic clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// Number of the operation within its series, from 0.
    pub seq: u64,
    /// When the schedule wanted it to start. Latency counts from here.
    pub intended_ns: MonotonicNs,
    /// When it really started. Service time counts from here.
    pub started_ns: MonotonicNs,
    /// When it ended, or its deadline where it failed by it.
    pub ended_ns: MonotonicNs,
    /// Payload bytes that were moved and verified.
    pub bytes: u64,
    /// The value in the unit of the series.
    pub value: i64,
    /// How it ended.
    pub outcome: Outcome,
    /// Identifies what the operation was about (payload, dataset), for re-derivation.
    pub trace: u64,
}

impl Sample {
    /// End minus intended start: what a user who arrives on schedule would see.
    pub fn latency_ns(&self) -> u64 {
        self.ended_ns.saturating_sub(self.intended_ns)
    }

    /// End minus real start: how long the system under test worked.
    pub fn service_ns(&self) -> u64 {
        self.ended_ns.saturating_sub(self.started_ns)
    }

    /// Real start minus intended start: how late the generator itself was.
    pub fn slip_ns(&self) -> u64 {
        self.started_ns.saturating_sub(self.intended_ns)
    }
}
