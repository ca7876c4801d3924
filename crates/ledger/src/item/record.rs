//! Reports, and what the judge said about them.

use peermark_core::region::Geohash;
use serde::{Deserialize, Serialize};

use super::hosting::RawReason;
use super::judged::{Alert, ContractVerdict, Dispute, Estimates, Finding, Flag, Qualified, Ranks};
use super::user::Role;
use crate::transaction::report::{Coordinates, HostingHealth, ResourceUse, Traffic};
use crate::{Digest, Height, Id, Ppm};

/// A report or a statement. Where it is long, the log keeps it and this names the entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Whom it is about.
    pub subject: Id,
    /// Who said it; `None` for the ledger itself.
    pub observer: Option<Id>,
    /// When.
    pub at: Height,
    /// The entry that it came with; `None` for what the ledger derived.
    pub entry: Option<Digest>,
    /// What it is.
    pub body: Body,
}

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "body")]
#[non_exhaustive]
pub enum Body {
    /// Somebody suspended a signer with proof.
    Evidence {
        /// What it proves.
        what: String,
    },
    /// An attester revealed what it measured of a feed. The numbers are in the observations of its epoch.
    Working(Working),
    /// An attester revealed what it measured of an idle user.
    Raw(RawShort),
    /// What a committee found of an idle user; the newest is the user's baseline (R21).
    RawBenchmark(RawBenchmark),
    /// A hoster's report about itself.
    SelfReport(SelfReportShort),
    /// A user says that something about it changed.
    Change {
        /// What.
        reason: RawReason,
        /// For people.
        note: String,
    },
    /// Where a user lies in the space of delays.
    Coordinates(Coordinates),
    /// What is known of a hoster's performance.
    Estimate(Box<Finding<Estimates>>),
    /// Whether a hoster keeps what its contract promises.
    Verdict(Box<Finding<ContractVerdict>>),
    /// The hosters of a contract beside each other.
    Ranks(Box<Finding<Ranks>>),
    /// A hoster's standing.
    Qualification(Box<Finding<Qualified>>),
    /// A group of attesters whose voice does not count, with the evidence.
    AttesterFlag(Box<Finding<Flag>>),
    /// Nobody can tell who is right: earlier verdicts stand.
    Dispute(Box<Finding<Dispute>>),
    /// An alert was raised or is over.
    Alert(Box<Finding<Alert>>),
}

/// The short form of a [`WorkingReport`](crate::transaction::report::WorkingReport).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Working {
    /// The challenge.
    pub challenge: Id,
    /// Where the attester is.
    pub region: Geohash,
    /// Whether the sets of the feed could be had.
    pub hosting_health: HostingHealth,
    /// Requests harvested, peers seen, seconds.
    pub requests: u32,
    /// Peers seen.
    pub unique_peers: u32,
    /// Seconds of listening.
    pub window_s: u32,
    /// Root over the raw samples.
    pub raw_root: Digest,
}

/// One attester's part of a raw benchmark, as far as the result needs it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RawShort {
    /// The challenge.
    pub challenge: Id,
    /// Where the attester is.
    pub region: Geohash,
    /// Time to the first byte, microseconds; `None` where nothing came.
    pub latency_us: Option<Spread>,
    /// Rate towards the attester, bits per second.
    pub egress_bps: Option<Spread>,
    /// Load of the machine meanwhile.
    pub host_load_ppm: Option<Ppm>,
    /// Root over the raw samples.
    pub raw_root: Digest,
}

/// Quantiles of a histogram: lower ends of their buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each field is the quantile of its name")]
pub struct Spread {
    pub p50: u64,
    pub p90: u64,
    pub p95: u64,
    pub p99: u64,
    /// Values.
    pub n: u64,
}

/// What a committee found of an idle user: low medians over its attesters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RawBenchmark {
    /// The user's roles at that time.
    pub roles: Vec<Role>,
    /// Why it was measured.
    pub reason: RawReason,
    /// What the data was derived from.
    pub blob_seed: Digest,
    /// Who measured, by id.
    pub attesters: Vec<Id>,
    /// Time to the first byte, microseconds.
    pub latency_us: Option<Spread>,
    /// Rate, bits per second.
    pub egress_bps: Option<Spread>,
    /// Load of its machine meanwhile.
    pub host_load_ppm: Option<Ppm>,
}

/// The short form of a [`SelfReport`](crate::transaction::report::SelfReport).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SelfReportShort {
    /// The contract.
    pub contract: Id,
    /// The epoch.
    pub epoch: u64,
    /// What it was given.
    pub ingress: Traffic,
    /// What it served.
    pub egress: Traffic,
    /// Chunk and how often it was asked for.
    pub per_index: Vec<(u64, u32)>,
    /// Blocks in which it was up.
    pub up_blocks: Height,
    /// What it used.
    pub resources: ResourceUse,
    /// Root over its metrics.
    pub metrics_root: Digest,
}
