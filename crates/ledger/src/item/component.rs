//! Parts of plans and forms that are stored once and referred to. Equal content has one id (S46).

use peermark_core::region::Geohash;
use serde::{Deserialize, Serialize};

use crate::{Height, Id, Ppm};

/// Ranges of a feed. `R` is how it refers to the feed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dataset<R = Id> {
    /// The feed.
    pub feed: R,
    /// First and last chunk of each range, both within it.
    pub ranges: Vec<(u64, u64)>,
}

/// What a plan asks of the hosting, or a hoster promises. Absent parts are not asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Performance {
    /// Share of requests that must be answered.
    pub availability: Option<Ppm>,
    /// Rate towards readers.
    pub egress: Option<Speed>,
    /// Rate towards the hoster.
    pub ingress: Option<Speed>,
    /// Time to the first byte.
    pub latency: Option<Lag>,
}

/// A rate and how often it must be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Speed {
    /// Bits per second.
    pub bits_per_s: u64,
    /// Share of transfers that reach it.
    pub guarantee: Ppm,
}

/// A delay and how often it must be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lag {
    /// Milliseconds.
    pub lag_ms: u32,
    /// Share of requests that keep it.
    pub guarantee: Ppm,
}

/// When something is active, in blocks from the plan's or form's beginning. Outside there is no challenge and no blame.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timing {
    /// Blocks before the first activity.
    pub delay: Height,
    /// Blocks of each activity; `None` until the end.
    pub duration: Option<Height>,
    /// Blocks between the end of one activity and the beginning of the next.
    pub pause: Height,
    /// Further activities after the first; `None` for as many as there is time for, if a pause is given.
    pub repeat: Option<u32>,
}

/// Areas: one for a user, several for a plan. Sorted, without doubles.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Region {
    /// The areas.
    pub geohashes: Vec<Geohash>,
}

/// What a machine has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resources {
    /// Bytes for hosting.
    pub storage_bytes: u64,
    /// Thousandths of a core.
    pub cpu_milli: u64,
    /// Bytes of memory.
    pub memory_bytes: u64,
    /// Towards others.
    pub upload_bits_per_s: u64,
    /// From others.
    pub download_bits_per_s: u64,
}
