//! What attesters measured, and what hosters say about themselves. All whole numbers, all bounded.

use peermark_core::region::Geohash;
use peermark_judge::histogram::SparseHistogram;
use peermark_judge::outcome::OutcomeCounts;
use serde::{Deserialize, Serialize};

use crate::item::hosting::RawReason;
use crate::{Digest, Height, Id, Key, Ppm, Signature};

/// What an attester reveals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measured {
    /// Of a feed in use.
    Working(WorkingReport),
    /// Of a user while idle.
    Raw(Box<RawReport>),
}

/// One attester's view of a feed in one round (R59).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkingReport {
    /// Where the attester is.
    pub region: Geohash,
    /// Whether the sets of the feed can be had.
    pub hosting_health: HostingHealth,
    /// How much is asked for.
    pub swarm_busyness: SwarmBusyness,
    /// One for each hoster of the challenge, in the order of their ids.
    pub hoster_performances: Vec<HosterPerformance>,
    /// Merkle root over the raw samples, which the attester keeps for disputes.
    pub raw_root: Digest,
}

/// Whether the sets of a feed can be had, whoever serves them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostingHealth {
    /// Sets that were asked for.
    pub sets: u32,
    /// Sets of which at least one hoster answered.
    pub reachable: u32,
    /// Chunks that came.
    pub chunks_ok: u32,
    /// Chunks that were asked for.
    pub chunks_tried: u32,
    /// Chunks that came from peers that are no hosters: they count for nobody (R72).
    pub unknown_suppliers: u32,
}

/// How much of a feed was asked for while the attester listened (R22-R29).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SwarmBusyness {
    /// Seconds of listening.
    pub window_s: u32,
    /// Requests for chunks of contracts, one of each peer.
    pub requests: u32,
    /// Peers by salted hash.
    pub unique_peers: u32,
    /// Chunk and how often it was asked for, by chunk.
    pub per_index: Vec<(u64, u32)>,
    /// Coarse interest: first chunk, length, how often.
    pub want_ranges: Vec<(u64, u64, u32)>,
}

/// What an attester measured of one hoster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HosterPerformance {
    /// The hoster.
    pub hoster: Id,
    /// How each request ended.
    pub outcomes: OutcomeCounts,
    /// Time to the first byte.
    pub latency: SparseHistogram,
    /// Rate towards the attester.
    pub egress: SparseHistogram,
    /// Rate towards the hoster, where a plan asks for it.
    pub ingress: Option<SparseHistogram>,
    /// Bytes that came.
    pub bytes: u64,
    /// The hoster's word that it was measured; needed where anything came.
    pub contact: Option<Contact>,
}

/// A hoster's word that it was in contact with an attester under its one-time key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contact {
    /// The attester's key on the network in this round.
    pub one_time_key: Key,
    /// Hash of what went to and fro.
    pub transcript: Digest,
    /// The hoster's signature over [`crate::statement::contact`].
    pub signature: Signature,
}

/// What an attester measured of an idle user (R15).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawReport {
    /// Where the attester is.
    pub region: Geohash,
    /// The measurement.
    pub performance: HosterPerformance,
    /// Load of the user's machine meanwhile, as it says (R3).
    pub host_load_ppm: Option<Ppm>,
    /// Merkle root over the raw samples.
    pub raw_root: Digest,
}

/// Chunks and bytes (R39).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Traffic {
    /// Chunks.
    pub chunks: u64,
    /// Bytes.
    pub bytes: u64,
}

/// What a hoster says about one contract in one epoch (R38-R42, R53-R58). It may lower a score, never raise it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SelfReport {
    /// The contract.
    pub contract: Id,
    /// The epoch: the running one or the one before.
    pub epoch: u64,
    /// What it was given.
    pub ingress: Traffic,
    /// What it served: the sums over `per_index`.
    pub egress: Traffic,
    /// Chunk, how often it was asked for, its bytes; by chunk.
    pub per_index: Vec<(u64, u32, u64)>,
    /// From and to: blocks in which it was up, in order, without overlap.
    pub availability: Vec<(Height, Height)>,
    /// What it used (R41, R47); what is not known is absent, never 0.
    pub resources: ResourceUse,
    /// Merkle root over its metrics.
    pub metrics_root: Digest,
}

/// What a job used: the short vector of R47.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ResourceUse {
    /// Processor time, milliseconds.
    pub cpu_ms: Option<u64>,
    /// Most memory, bytes.
    pub memory_bytes: Option<u64>,
    /// Read from disks, bytes.
    pub disk_read_bytes: Option<u64>,
    /// Written to disks, bytes.
    pub disk_written_bytes: Option<u64>,
    /// Received, bytes.
    pub net_in_bytes: Option<u64>,
    /// Sent, bytes.
    pub net_out_bytes: Option<u64>,
}

/// A user says that something about it changed: it is measured anew (R18-R20).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportChange {
    /// What changed: hardware, location or other.
    pub reason: RawReason,
    /// For people, at most 200 bytes.
    pub note: String,
}

/// Where a user lies in the space of delays, and the delays it measured (S61-S63). At most one in an epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Coordinates {
    /// Microseconds in each of eight dimensions.
    pub position_us: [i64; 8],
    /// Microseconds of its access link.
    pub height_us: u32,
    /// How sure it is.
    pub error_ppm: u32,
    /// Other users and the delay towards them in microseconds, by user. The way back may differ.
    pub lags_us: Vec<(Id, u32)>,
}
